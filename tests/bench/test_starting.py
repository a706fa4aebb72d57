"""What starting a GPU takes in a process is a stage of its own: it counts for no case, and a run plans for it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.bench.made_workers import begin
from tests.bench.measured import families_of
from torchduet.bench.cases.exchange import Answer, FamilyResult, Progress, Task
from torchduet.bench.host.run_clock import RunClock
from torchduet.bench.library.measuring import CallerMeasuring
from torchduet.bench.record.schema import STARTING
from torchduet.bench.timing import first_calls
from torchduet.bench.timing.device import CpuDevice
from torchduet.bench.workers import affordable
from torchduet.bench.workers import family as family_module
from torchduet.bench.workers import visit as visit_module
from torchduet.bench.workers.launcher import Launcher, OutOfTimeError
from torchduet.bench.workers.visit import measure

STARTS = 30.0  # seconds; longer than all budgets of this file
PAIR = """
suite.compare("w", {"one": lambda x: x + 1, "two": lambda x: x + 1 + 0}, inputs=lambda _: (torch.ones(64),), **EAGER)
"""


class Clock:
    """A clock that runs on by itself, and is moved when a device starts."""

    now = 0.0

    def __call__(self) -> float:
        self.now += 1e-5
        return self.now


@pytest.fixture
def starting(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """Families of the CPU are measured on a device whose start takes half a minute by this clock."""
    clock = Clock()

    class Accelerator(CpuDevice):
        asynchronous = True

        def context_bytes(self, uuid: str) -> int | None:
            del uuid
            clock.now += STARTS
            return 123

    for module in (first_calls, family_module, visit_module, affordable):
        monkeypatch.setattr(module, "awake", clock)
    monkeypatch.setattr(first_calls, "device_of", Accelerator)
    return clock


def visited(folder: Path, reports: list[str] | None = None, **changes: Any) -> FamilyResult:
    """The first visit to a family of two cases."""
    (family,) = families_of(folder, PAIR)
    said = [] if reports is None else reports
    return measure(Task(family, 0.2, 1, str(folder), share=1.0, **changes), lambda what, _fraction: said.append(what))


@pytest.mark.usefixtures("starting")
def test_it_takes_nothing_of_the_time_for_which_cases_are_skipped(tmp_path: Path) -> None:
    result = visited(tmp_path, max_seconds=5.0)
    assert [each.error or each.skip for each in result.results] == [None, None]
    assert all(each.blocks and each.context_bytes == 123 for each in result.results)
    assert STARTS <= result.seconds[STARTING] < STARTS + 1
    others = sum(seconds for stage, seconds in result.seconds.items() if stage not in (STARTING, "checking"))
    assert others < STARTS


@pytest.mark.usefixtures("starting")
def test_a_case_without_time_left_does_not_blame_it(tmp_path: Path) -> None:
    result = visited(tmp_path, max_seconds=0.0)
    assert all("0.0 s of the run's budget are left" in str(each.skip) for each in result.results)
    assert not any("starting" in str(each.skip) or f"{STARTS:.0f}" in str(each.skip) for each in result.results)


@pytest.mark.usefixtures("starting")
def test_it_is_shown_while_it_lasts_and_ends_before_the_inputs_are_made(tmp_path: Path) -> None:
    reports: list[str] = []
    visited(tmp_path, reports)
    shown = [what for what in reports if not what.startswith("importing")]
    assert shown[:2] == [f"{STARTING} cpu", "making the inputs on cpu"]


def test_a_device_that_cannot_be_started_is_the_reason_of_its_cases(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Busy(CpuDevice):
        asynchronous = True

        def context_bytes(self, uuid: str) -> int | None:
            raise RuntimeError(f"{uuid}CUDA-capable device(s) is/are busy or unavailable")

    monkeypatch.setattr(first_calls, "device_of", Busy)
    reasons = [each.error or "" for each in visited(tmp_path).results]
    assert len(reasons) == 2
    assert all("cpu could not be started: " in reason and "busy or unavailable" in reason for reason in reasons)


class Script:
    """An inbox with these messages, one for each second that is waited."""

    def __init__(self, messages: Sequence[Progress | Answer | None]) -> None:
        self.messages = list(messages)

    def receive(self, _seconds: float) -> Progress | Answer | None:
        return self.messages.pop(0)


class Seconds:
    """A run's clock by which each wait took a second."""

    def waited(self, _limit: float, _took: float) -> float:
        return 1.0


def listened(folder: Path, *messages: Progress | Answer | None, limit: float) -> object:
    """What the launcher makes of a worker's messages."""
    launcher, log = Launcher(run_clock=Seconds()), folder / "log"  # type: ignore[arg-type]
    log.touch()
    try:
        return launcher._listen(None, Script(messages), None, lambda _: None, log, limit).value  # type: ignore[arg-type]
    finally:
        launcher.close()


def test_a_workers_limit_does_not_include_it(tmp_path: Path) -> None:
    starts, inputs = Progress(f"{STARTING} cuda:0", 0.0), Progress("making the inputs on cuda:0", 0.0)
    imports, calls, answer = Progress("importing it", 0.0), Progress("checking s.w", 0.0), Answer("done")
    slow = [imports, None, None, Progress("making the inputs on cpu", 0.0), starts, *[None] * 20, inputs, calls, answer]
    assert listened(tmp_path, *slow, limit=6.0) == "done"
    with pytest.raises(OutOfTimeError):
        listened(tmp_path, imports, calls, *[None] * 20, answer, limit=6.0)


PAIRS = """
for name in "abcdef":
    suite.compare(name, {"one": one, "two": two}, inputs=inputs, modes=["eager"])
"""


def test_it_is_in_the_runs_record_and_in_what_the_next_visit_is_expected_to_take(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = [f"made.{name}" for name in "abcdef"]
    kept = begin(
        tmp_path,
        monkeypatch,
        PAIRS,
        budget="40s",
        journal=tmp_path / "run.json",
        starting=3.0,
        beside=dict.fromkeys(names, 3.1),
    )
    for family in kept.measuring.progress.families[:5]:
        kept.session.outcome(family.reported[0])
    seconds = kept.session.run_record()["seconds"]
    assert seconds["starting"] == pytest.approx(5 * 3.0)
    costs = {name: of.visited.beside for name, of in kept.measuring.visiting.families.items()}
    assert all(3.0 < cost < 4.0 for cost in costs.values())
    journal = kept.measuring.progress.journal
    assert journal is not None
    journal.close()
    again = begin(tmp_path, monkeypatch, PAIRS, budget="40s", journal=tmp_path / "run.json", again=True)
    assert {name: of.visited.beside for name, of in again.measuring.visiting.families.items()} == costs
    assert again.measuring.progress.seconds[STARTING] == pytest.approx(15.0)


def test_a_comparison_of_some_seconds_does_not_lose_them_to_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = begin(tmp_path, monkeypatch, PAIRS, budget="5s", starting=4.0, beside={"made.a": 4.1})
    settings, workers = made.measuring.settings, made.workers
    few = CallerMeasuring(settings, workers, made.measuring.progress, RunClock(now=workers.clock))  # type: ignore[arg-type]
    family = made.measuring.progress.families[0]
    starts: list[dict[str, bool]] = []
    monkeypatch.setattr(few.timeline, "start", lambda **given: starts.append(given))
    (same,) = few.before(family)
    assert starts == [{"polls": False}]  # calls are timed in this process: a thread that polls would delay them
    assert few.budget is not None
    before = few.budget.seconds_left()
    few.measure(same)
    (task,) = [seconds for _, _, seconds in workers.visits]
    assert before - few.budget.seconds_left() == pytest.approx(workers.clock.now - task - 4.0)


def test_a_record_of_a_run_without_gpus_has_no_such_stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = begin(tmp_path, monkeypatch, PAIRS, budget="20s")
    run.to_its_end()
    assert "starting" not in run.session.run_record()["seconds"]
