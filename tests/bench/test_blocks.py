"""What a block consists of: how many calls, and what comes before them."""

import math
import subprocess
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from torchduet.bench.cases.case import Case
from torchduet.bench.state.own_state import OwnState
from torchduet.bench.timing.alternation import align_blocks
from torchduet.bench.timing.clock import Block
from torchduet.bench.timing.meter import Context
from torchduet.bench.timing.pacing import BLOCK_SECONDS, BLOCK_WARM_UP_SECONDS, WARMED_UP_BELOW, set_block
from torchduet.bench.timing.slowed.copies import slow_down
from torchduet.bench.timing.slowed.spin import Spin
from torchduet.bench.timing.timed_case import TimedCase
from torchduet.bench.workers.family import next_placement
from torchduet.suites.workload import Meter


class LoggingMeter(Meter):
    """Says whether it was paused in each call."""

    def __init__(self) -> None:
        self.paused = False


def a_run(seconds: float, log: list[str] | None = None) -> TimedCase:
    """A run whose calls and blocks are logged."""
    said = [] if log is None else log
    meter = LoggingMeter()

    class Clock:
        name = "fake"
        needs_lead_in = False

        def block(self, call: Any, args: Any, calls: int, after: Any = None) -> Block:
            del args
            said.append(f"block of {calls}")
            for _ in range(calls):
                call()
            if after is not None:
                after()
            return Block(seconds, seconds, seconds)

        def synchronize(self) -> None:
            said.append("wait")

    case = Case("s", "s", "w", "", (), "w", True, "cpu", "eager", "fp32")
    prepared = SimpleNamespace(
        case=case,
        args=(),
        call=lambda: said.append("paused call" if meter.paused else "call"),
        context=SimpleNamespace(meter=meter),
        own_state=OwnState(),
    )
    made = TimedCase(prepared, Clock(), seconds=seconds)  # type: ignore[arg-type]
    set_block(made, seconds)
    return made


@pytest.mark.parametrize(
    ("seconds", "calls", "warm_up_calls"),
    [
        (BLOCK_SECONDS / 1000, 1000, math.ceil(1000 * BLOCK_WARM_UP_SECONDS / BLOCK_SECONDS)),
        (0.3 * BLOCK_WARM_UP_SECONDS, round(BLOCK_SECONDS / BLOCK_WARM_UP_SECONDS / 0.3), 4),
        (BLOCK_SECONDS, 1, 1),
        (0.9 * WARMED_UP_BELOW, 1, 1),
        (1.1 * WARMED_UP_BELOW, 1, 0),
        (3.0, 1, 0),
    ],
)
def test_short_calls_fill_a_block_and_have_warm_up_calls(seconds: float, calls: int, warm_up_calls: int) -> None:
    run = a_run(seconds)
    assert (run.calls, run.warm_up_calls) == (calls, warm_up_calls)
    assert run.round_seconds == pytest.approx(seconds * (calls + warm_up_calls))


def test_the_lead_in_is_neither_timed_nor_metered() -> None:
    log: list[str] = []
    run = a_run(BLOCK_SECONDS / 2, log)
    run.block()
    assert log == ["paused call", "block of 2", "call", "call"]
    log.clear()
    run.call()
    assert log == ["paused call", "wait"]


def test_long_calls_are_not_led_in() -> None:
    log: list[str] = []
    a_run(1.0, log).block()
    assert log == ["block of 1", "call"]


def test_calls_after_another_cases_processes_are_led_in_once() -> None:
    log: list[str] = []
    others: list[str] = []
    run, other, forking = (
        a_run(2 * WARMED_UP_BELOW, log),
        a_run(2 * WARMED_UP_BELOW, others),
        a_run(2 * WARMED_UP_BELOW),
    )
    forking.prepared.call = lambda: subprocess.run(["true"], check=True)  # type: ignore[misc]
    forking.block()
    run.block()
    run.block()
    assert log == ["paused call", "block of 1", "call", "block of 1", "call"]
    other.block()
    assert others == ["paused call", "block of 1", "call"]  # what it writes to is still shared


def test_nothing_is_known_to_be_short_before_its_first_block() -> None:
    log: list[str] = []
    run, forking = a_run(2 * WARMED_UP_BELOW, log), a_run(2 * WARMED_UP_BELOW)
    forking.prepared.call = lambda: subprocess.run(["true"], check=True)  # type: ignore[misc]
    run.seconds = 0.0
    forking.block()
    run.block()
    assert log == ["block of 1", "call"]


def test_a_case_that_has_processes_itself_is_not_led_in() -> None:
    calls: list[object] = []
    run = a_run(2 * WARMED_UP_BELOW)
    run.prepared.call = lambda: calls.append(subprocess.run(["true"], check=True))  # type: ignore[misc]
    run.block()
    calls.clear()
    run.block()
    assert len(calls) == 1


def reason(run: TimedCase, error: Exception) -> str:
    del run
    return str(error)


def test_a_case_that_fails_now_costs_itself_alone() -> None:
    good, bad = a_run(BLOCK_SECONDS / 10), a_run(BLOCK_SECONDS / 9)

    def fail() -> None:
        raise RuntimeError("no more")

    bad.prepared.call = fail  # type: ignore[misc]
    align_blocks([good, bad], [(0, 1)], reason)
    assert (good.error, bad.error) == (None, "no more")


def test_equals_are_led_in_alike_though_one_was_warmed_up_in_a_slow_moment() -> None:
    quick, slow = a_run(0.9 * WARMED_UP_BELOW), a_run(0.9 * WARMED_UP_BELOW)
    slow.seconds = 1.4 * WARMED_UP_BELOW
    set_block(slow, slow.seconds)
    assert (quick.warm_up_calls, slow.warm_up_calls) == (1, 0)
    align_blocks([quick, slow], [(0, 1)], reason)
    assert (quick.warm_up_calls, slow.warm_up_calls) == (1, 1)


def test_what_is_compared_and_takes_about_as_long_gets_as_many_calls() -> None:
    seconds = (BLOCK_SECONDS / 10, BLOCK_SECONDS / 9, BLOCK_SECONDS / 3, BLOCK_SECONDS / 9)
    runs = [a_run(one) for one in seconds]
    align_blocks(runs, [(0, 1), (0, 2)], reason)
    assert [run.calls for run in runs] == [10, 10, 3, 9]
    align_blocks(runs, [(1, 0), (1, 3), (1, 2)], reason)
    assert [run.calls for run in runs] == [10, 10, 3, 10]


def test_copies_of_a_case_are_timed_alike_however_their_warm_ups_went() -> None:
    one, twin, other = a_run(0.030), a_run(0.045), a_run(0.031)
    twin.prepared.case = replace(twin.prepared.case, copy_number=1)  # type: ignore[misc]
    other.prepared.case = replace(other.prepared.case, implementation="other")  # type: ignore[misc]
    twin.idle_waiting = True
    align_blocks([one, twin, other], [(0, 1), (0, 2)], reason)
    assert (one.pacing_seconds, twin.pacing_seconds, other.pacing_seconds) == (0.030, 0.030, 0.030)
    assert (one.seconds, twin.seconds, other.seconds) == (0.030, 0.045, 0.031)
    assert (one.idle_waiting, twin.idle_waiting, other.idle_waiting) == (True, True, False)


def test_a_slowed_copy_takes_its_originals_blocks() -> None:
    original = a_run(BLOCK_SECONDS / 10)
    original.calls, original.pacing_seconds, original.idle_waiting = 12, BLOCK_SECONDS / 11, True
    copy = a_run(1.0)
    copy.prepared.case = replace(copy.prepared.case, slowdown=1.05)  # type: ignore[misc]
    slow_down(copy, original)
    assert (copy.calls, copy.warm_up_calls, copy.seconds) == (12, original.warm_up_calls, original.seconds)
    assert (copy.pacing_seconds, copy.idle_waiting) == (BLOCK_SECONDS / 11, True)
    assert isinstance(copy.extra_work, Spin)  # and not what timed it


def test_a_slowed_copy_has_its_originals_seed_and_identical_ones_have_the_same() -> None:
    whole, slowed, twin = a_run(1.0), a_run(1.0), a_run(1.0)
    for run, context in ((whole, (shared := Context())), (slowed, shared), (twin, Context())):
        run.prepared.context = context  # type: ignore[misc]
        run.prepared.next_placement = context.next_placement  # type: ignore[method-assign]
    next_placement([whole, slowed, twin])
    next_placement([whole, slowed, twin])
    assert shared.seed == twin.prepared.context.seed == Context().seed + 2
    assert len(shared.meter.placements) == 2


def test_a_case_that_was_warmed_up_in_a_stall_is_timed_like_the_other() -> None:
    other, stalled = a_run(4e-4), a_run(4e-4)
    stalled.seconds = 0.3
    set_block(stalled, stalled.seconds)
    align_blocks([other, stalled], [(0, 1)], lambda _, error: str(error))
    assert stalled.seconds == pytest.approx(4e-4)
    assert (stalled.calls, stalled.warm_up_calls) == (other.calls, other.warm_up_calls)


def test_a_case_that_takes_long_is_called_once_more_to_confirm_it() -> None:
    log: list[str] = []
    align_blocks([a_run(4e-4), a_run(0.3, log)], [(0, 1)], lambda _, error: str(error))
    assert log.count("block of 1") == 1
