"""Where a family's time is short its reference is timed first, and no other case without it."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest

from tests.bench.made_visits import answer, family
from tests.bench.made_workers import begin
from tests.bench.measured import families_of
from torchduet.bench.cases.exchange import CaseResult, Task
from torchduet.bench.plan.budget import GRACE, TOLERANCE
from torchduet.bench.workers.launcher import Launcher
from torchduet.bench.workers.visit import measure

CALL = 0.25  # seconds: a call that is not repeated to warm it up
SLEEPING = f"""
import pathlib, time

CALLS = pathlib.Path(__file__).parent / "calls"

def called(name):
    def call(x):
        with CALLS.open("a") as file:
            print(name, file=file)
        time.sleep({CALL})
        return x + 1
    return call

names = ("one", "two", "three")
suite.compare("w", {{name: called(name) for name in names}}, inputs=lambda _: (torch.ones(8),), **EAGER)
"""


def visited(folder: Path, text: str = SLEEPING, **task: Any) -> tuple[list[CaseResult], list[str]]:
    """The results of a first visit, and the names of the implementations in the order of their calls."""
    (of_file,) = families_of(folder, text)
    result = measure(Task(of_file, 0.25, 1, str(folder), **task), lambda _what, _fraction: None)
    calls = folder / "calls"
    return result.results, calls.read_text().split() if calls.exists() else []


def test_the_first_family_of_a_run_has_its_reference_timed_and_no_call_made_that_does_not_fit(tmp_path: Path) -> None:
    results, calls = visited(tmp_path, share=8.0, max_seconds=6 * CALL, grace=math.inf)
    reference, *others = results
    assert reference.blocks
    assert reference.skip is None
    for result in others:
        assert not result.blocks
        assert result.first_call is None
        assert "too little for its first call" in str(result.skip)
        assert "--budget" in str(result.skip)
    assert set(calls) == {"one"}


def test_with_enough_time_all_are_timed(tmp_path: Path) -> None:
    results, _ = visited(tmp_path, share=20.0, max_seconds=60.0)
    assert [bool(result.blocks) for result in results] == [True, True, True]


def test_a_reference_that_is_too_slow_is_called_twice_and_nothing_else_is_called(tmp_path: Path) -> None:
    slow = SLEEPING.replace(f"time.sleep({CALL})", "time.sleep(1.1)")
    results, calls = visited(tmp_path, slow, share=0.1, max_seconds=3.0, grace=math.inf)
    (reason,) = {result.skip for result in results}
    assert str(reason).startswith("one call of its reference takes ")
    assert set(calls) == {"one"}
    assert results[0].too_slow is not None
    assert results[0].too_slow >= 1.1


def test_a_reference_whose_first_call_took_what_was_left_is_the_reason_of_all(tmp_path: Path) -> None:
    slow = SLEEPING.replace(f"time.sleep({CALL})", "time.sleep(1.1)")
    results, calls = visited(tmp_path, slow, share=0.1, max_seconds=1.0)
    (reason,) = {result.skip for result in results}
    assert str(reason).startswith("the first call of its reference took ")
    assert "; 0.0 s of the run's budget are left for its timing; raise --budget" in str(reason)
    assert set(calls) == {"one"}


def test_a_compilation_that_does_not_fit_is_not_begun(tmp_path: Path) -> None:
    text = """
@suite.workload(inputs=lambda _: (torch.ones(8),), modes=("eager", "compile"))
def incremented(x):
    return x + 1
"""
    results, _ = visited(tmp_path, text, max_seconds=50.0, compiling=100.0)
    eager, compiled = results
    assert eager.blocks
    assert compiled.first_call is None
    assert "too little for its first call (about 100.0 s)" in str(compiled.skip)


def test_a_run_limits_its_first_family_too_and_lets_a_call_in_progress_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tasks: list[Task] = []
    pairs = 'for name in "ab":\n    suite.compare(name, {"one": one, "two": two}, inputs=inputs, modes=["eager"])\n'
    begin(tmp_path, monkeypatch, pairs, budget="60s", before=tasks.append).to_its_end()
    first, second, *later = tasks
    assert first.max_seconds <= (1 + TOLERANCE) * 60.0
    assert first.grace == math.inf
    assert second.max_seconds < first.max_seconds
    assert second.grace == pytest.approx(GRACE * 60.0)
    assert {task.grace for task in later} == {0.0}  # a later visit that is ended costs only itself


def test_a_worker_is_ended_once_the_grace_is_used_up(monkeypatch: pytest.MonkeyPatch) -> None:
    limits: list[float] = []
    pair, launcher = family("a", "eager", "eager"), Launcher()
    monkeypatch.setattr(launcher, "_run", lambda *_, limit, **__: limits.append(limit) or answer(pair, 0))
    try:
        launcher.measure(Task(pair, 0.2, 1, max_seconds=5.0, grace=2.0), lambda _: None)
        launcher.measure(Task(pair, 0.2, 1, max_seconds=5.0), lambda _: None)
    finally:
        launcher.close()
    assert limits == [7.0, 5.0]
