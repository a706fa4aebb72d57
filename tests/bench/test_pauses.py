"""What is timed while the process is stopped or the machine suspended is left out, and said."""

import math
import signal
from collections.abc import Callable, Iterator
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from torchduet.bench.cases.exchange import LeftOut
from torchduet.bench.host import suspension
from torchduet.bench.host.run_clock import MIN_STOPPED, RunClock
from torchduet.bench.noise.causes import causes
from torchduet.bench.noise.figures import Figures
from torchduet.bench.record.run_clock_words import words
from torchduet.bench.record.telemetry import BlockSwitches, Telemetry
from torchduet.bench.state.own_state import OwnState
from torchduet.bench.timing.alternation import MAX_RETAKES, _round
from torchduet.bench.timing.clock import Block
from torchduet.bench.timing.timed_case import TimedCase


@pytest.fixture(autouse=True)
def listening() -> Iterator[None]:
    before = signal.getsignal(signal.SIGCONT)
    suspension.listen()
    yield
    signal.signal(signal.SIGCONT, before)


def run_of(happens: Callable[[int], None]) -> TimedCase:
    """A case in whose n-th block something happens."""
    taken: list[int] = []

    def block(*_: Any) -> Block:
        taken.append(1)
        happens(len(taken))
        return Block(1e-3 * len(taken), 1e-3, 1e-3)

    case = SimpleNamespace(precision="fp32", device="cpu", id="it")
    prepared: Any = SimpleNamespace(
        case=case,
        call=lambda: None,
        args=(),
        context=SimpleNamespace(meter=SimpleNamespace(paused=False)),
        own_state=OwnState(),
    )
    clock: Any = SimpleNamespace(block=block, needs_lead_in=False)
    return TimedCase(prepared, clock, placements=[[]])


def rounds(run: TimedCase, number: int) -> list[float]:
    import random

    for _ in range(number):
        _round([run], random.Random(1), lambda _, error: str(error))
    assert run.error is None
    return [block.seconds for block in run.placements[0]]


def continued(when: Callable[[int], bool]) -> Callable[[int], None]:
    return lambda number: signal.raise_signal(signal.SIGCONT) if when(number) else None


def test_a_block_in_which_the_process_was_stopped_is_taken_again() -> None:
    run = run_of(continued(lambda number: number == 2))
    assert rounds(run, 3) == [1e-3, 3e-3, 4e-3]
    assert (run.left_out.blocks, run.left_out.kept) == (1, 0)
    assert run.left_out.seconds > 0


def test_a_block_in_which_the_machine_was_suspended_is_taken_again(monkeypatch: pytest.MonkeyPatch) -> None:
    asleep = [1000.0]
    monkeypatch.setattr(suspension, "machine_suspended", lambda: asleep[0])

    def close_the_lid(number: int) -> None:
        asleep[0] += 7200.0 if number == 2 else 1e-4  # the two clocks are not read at one moment

    run = run_of(close_the_lid)
    assert rounds(run, 3) == [1e-3, 3e-3, 4e-3]
    assert run.left_out == LeftOut(1, pytest.approx(7200.0), 0)


def test_what_is_stopped_all_the_time_counts_after_some_tries_and_says_so() -> None:
    run = run_of(continued(lambda _: True))
    assert len(rounds(run, 2)) == 2
    assert (run.left_out.blocks, run.left_out.kept) == (2 * MAX_RETAKES, 2)


def test_a_clock_for_budgets_stands_still_with_the_process() -> None:
    suspension.moment()
    before, since = suspension.awake(), suspension.moment()
    while suspension.perf_counter() - since.at < 0.01:
        pass
    signal.raise_signal(signal.SIGCONT)
    assert suspension.awake() - before < 0.01 <= suspension.suspended(since)


@pytest.mark.parametrize(("kept", "grade"), [(0, "noisy"), (2, "disturbed")])
def test_the_noise_of_a_case_says_what_was_left_out(kept: int, grade: str) -> None:
    figures = Figures(1, 2, Telemetry(1.0))
    assert causes(figures) == []
    seen = BlockSwitches(0.0, 0.0, loaders=False, stood_still=12.34, left_out=3, kept=kept)
    (cause,) = causes(figures.with_context_switches(seen))
    assert cause.grade == grade
    assert cause.words.startswith("the process or the machine was suspended for up to 12 s: 3 blocks were left out")
    assert ("2 counted nevertheless" in cause.words) == bool(kept)
    assert figures.with_context_switches(seen).known()["left_out"] == 3
    assert "left_out" not in replace(figures).known()


class Clocks:
    """The four clocks of a machine to which anything can be done."""

    def __init__(self) -> None:
        self.monotonic, self.asleep, self.set = 50.0, 10.0, 1.7e9

    def run_clock(self) -> RunClock:
        return RunClock(
            lambda: self.monotonic,
            lambda: self.asleep,
            lambda: self.set + self.monotonic + self.asleep,
            lambda: self.monotonic + self.asleep,
        )


def test_where_time_passes_as_it_should_nothing_is_said() -> None:
    clocks = Clocks()
    run_clock = clocks.run_clock()
    for _ in range(20):
        clocks.monotonic += 600.0
        clocks.set += 0.3  # what NTP corrects of a clock that drifts
        assert run_clock.waited(0.2, 0.2 + MIN_STOPPED / 2) == pytest.approx(0.2 + MIN_STOPPED / 2)
    assert run_clock.record() is None
    assert run_clock.awake() == clocks.monotonic


def test_a_stop_is_noticed_by_the_wait_that_it_made_late_and_spends_no_budget() -> None:
    clocks = Clocks()
    run_clock = clocks.run_clock()
    before = run_clock.awake()
    clocks.monotonic += 3600.2
    assert run_clock.waited(0.2, 3600.2) == 0.2
    assert run_clock.awake() - before == pytest.approx(0.2)
    record = run_clock.record()
    assert record == {"stopped": 3600.0, "suspended": 0.0, "clock_set": []}
    assert words(record) == ["pytest was suspended for 1 h 0 min (by Ctrl-Z, or with its machine)"]


def test_a_suspended_machine_and_a_clock_that_was_set_are_told_apart() -> None:
    clocks = Clocks()
    run_clock = clocks.run_clock()
    clocks.asleep += 7200.0
    run_clock.waited(0.2, 0.1)
    clocks.set -= 3600.0
    run_clock.waited(0.2, 0.1)
    clocks.set += 90.0
    run_clock.waited(0.2, 0.1)
    run_clock.waited(0.2, 0.1)
    record = run_clock.record()
    assert record == {"stopped": 0.0, "suspended": 7200.0, "clock_set": [-3600.0, 90.0]}
    suspended, clock = words(record)
    assert suspended.startswith("the machine was suspended for 2 h 0 min")
    assert clock.startswith("the machine's clock was set 1 h 0 min back, 1 min 30 s forward: no duration")


def test_another_process_goes_on_with_what_was_seen() -> None:
    clocks = Clocks()
    run_clock = clocks.run_clock()
    run_clock.restore({"stopped": 5.0, "suspended": 0.0, "clock_set": [-2.0]})
    clocks.set += 8.0
    run_clock.waited(0.2, 0.1)
    assert run_clock.record() == {"stopped": 5.0, "suspended": 0.0, "clock_set": [-2.0, 8.0]}


def test_the_real_clocks_agree_while_nothing_happens() -> None:
    run_clock = RunClock()
    assert run_clock.waited(0.2, 0.2) == 0.2
    assert run_clock.record() is None
    assert math.isfinite(suspension.machine_suspended())
