"""Cases that let the cores or a GPU idle come together; what was idle is woken before the others are timed."""

import random
import re
import time
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from torchduet.bench.host import thread_sleep
from torchduet.bench.state.own_state import OwnState
from torchduet.bench.timing import alternation
from torchduet.bench.timing.alternation import Alternation, warm_cores
from torchduet.bench.timing.clock import Block, CpuClock
from torchduet.bench.timing.pacing import Plan
from torchduet.bench.timing.stopping import Stopping
from torchduet.bench.timing.timed_case import TimedCase, warm_up

WAKE = 10.0


def busy(seconds: float) -> None:
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        pass


def prepared(call: Any, device: str = "cpu") -> Any:
    case = SimpleNamespace(precision="fp32", device=device, id="it", mode="eager")
    context = SimpleNamespace(meter=SimpleNamespace(paused=False))
    return SimpleNamespace(case=case, call=call, args=(), context=context, own_state=OwnState(), graph=None, renew=None)


def reason(_: TimedCase, error: Exception) -> str:
    return str(error)


@pytest.mark.parametrize(
    ("call", "device", "idle_waiting"),
    [
        (lambda: time.sleep(5e-3), "cpu", True),
        (lambda: time.sleep(5e-3), "cuda", False),  # where a thread may sleep until the device has finished
        (lambda: busy(8e-3), "cpu", False),
        (lambda: (busy(30e-3), time.sleep(2.2e-3)), "cpu", False),  # a small share of it
    ],
)
def test_a_case_whose_thread_sleeps_is_idle_waiting(call: Any, device: str, idle_waiting: bool) -> None:
    run = TimedCase(prepared(call, device), CpuClock())
    warm_up(run, 0.2)
    assert run.idle_waiting == idle_waiting


def test_time_in_which_others_have_the_core_is_not_idle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    counted = tmp_path / "schedstat"
    monkeypatch.setattr(thread_sleep, "SCHEDSTAT", counted)
    monkeypatch.setattr(thread_sleep, "thread_time", lambda: 3.0)
    monkeypatch.setattr(thread_sleep, "perf_counter", lambda: 10.0)
    assert thread_sleep.seconds_asleep() == 7.0  # the system does not count them
    counted.write_text("3000000000 5000000000 17\n")
    assert thread_sleep.seconds_asleep() == pytest.approx(2.0)
    counted.write_text("\n")
    assert thread_sleep.seconds_asleep() == 7.0


class Clock:
    """Time in which calls and blocks take a second each, unless it is said otherwise."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now, self.slow, self.log = 0.0, "", ""
        self.collected = 0
        monkeypatch.setattr(alternation, "awake", lambda: self.now)
        monkeypatch.setattr(
            alternation, "gc", SimpleNamespace(collect=self._collect)
        )  # which would take most of the time
        monkeypatch.setattr(TimedCase, "_after_children", lambda _: 0)

    def _collect(self) -> None:
        assert self.log.endswith("|")  # once inputs have moved, before anything is called
        self.collected += 1

    def run(
        self, name: str, *, idle_waiting: bool = False, fails: bool = False, seconds: float = 0.1, device: str = "cpu"
    ) -> TimedCase:
        """A run that notes its name at each block, and a dot at each untimed call."""

        def call() -> None:
            self.now, self.log = self.now + 1.0, f"{self.log}."

        def block(*_: object) -> Block:
            self.now, self.log = self.now + (100.0 if name == self.slow else 1.0), self.log + name
            if fails:
                raise RuntimeError("out of luck")
            return Block(1.0, 1.0, 1.0)

        clock: Any = SimpleNamespace(block=block, synchronize=lambda: None, needs_lead_in=False)
        return TimedCase(prepared(call, device), clock, seconds=seconds, idle_waiting=idle_waiting)

    def alternate(self, runs: list[TimedCase], plan: Plan, seed: int, stopping: Stopping | None = None) -> list[str]:
        """Time them until the rule says so, by default once; returns for whom memory was moved."""
        moved: list[str] = []

        def fresh(some: Sequence[TimedCase]) -> None:
            moved.append("R" if some[0].idle_waiting else "a")
            self.log += "|"

        stopping = stopping or Stopping(1.0, min_placements=1, max_placements=plan.consecutive, now=lambda: 0.0)
        before = self.collected
        Alternation(fresh, stopping, plan, random.Random(seed), reason, lambda: None).time(runs)
        assert self.collected - before == len(moved)
        return moved


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


def test_the_cores_are_woken_once_before_those_that_do_not_rest(clock: Clock) -> None:
    seen = set()
    for seed in range(12):
        clock.log = ""
        runs = [clock.run("a"), clock.run("R", idle_waiting=True), clock.run("b"), clock.run("S", idle_waiting=True)]
        for run in runs:
            run.calls = 40  # a second and more is no surprise
        clock.alternate(runs, Plan(3, 2, WAKE), seed)
        assert [[len(placement) for placement in each.placements] for each in runs] == [[3, 3]] * 4
        seen.add(re.sub("[RS]", "R", re.sub("[ab]", "a", clock.log)))
    placement = "|.." + "a" * 6  # one untimed call of each
    woken, resting = placement.replace("a", "." * 10 + "a", 1) + placement, 2 * placement.replace("a", "R")
    assert seen == {woken + resting, resting + woken}


def test_cases_on_the_gpu_come_together_and_both_groups_are_woken(clock: Clock) -> None:
    seen = set()
    for seed in range(12):
        clock.log = ""
        runs = [clock.run("a"), clock.run("G", device="cuda"), clock.run("b"), clock.run("H", device="cuda")]
        for run in runs:
            run.calls = 40
        clock.alternate(runs, Plan(3, 2, WAKE), seed)
        assert [[len(placement) for placement in each.placements] for each in runs] == [[3, 3]] * 4
        seen.add(re.sub("[GH]", "G", re.sub("[ab]", "a", clock.log)))
    placement = "|.." + "a" * 6
    cpu = placement.replace("a", "." * 10 + "a", 1) + placement
    gpu = cpu.replace("a", "G")
    assert seen == {cpu + gpu, gpu + cpu}


@pytest.mark.parametrize("device", ["cpu", "cuda"])
@pytest.mark.parametrize("idle_waiting", [False, True])
def test_no_cores_are_warmed_where_all_cases_are_alike(clock: Clock, idle_waiting: bool, device: str) -> None:
    runs = [clock.run(name, idle_waiting=idle_waiting, device=device) for name in "ab"]
    for run in runs:
        run.calls = 40
    assert len(clock.alternate(runs, Plan(3, 2, WAKE), 0)) == 2
    assert clock.log.replace("b", "a") == 2 * "|..aaaaaa"


@pytest.mark.parametrize("slow", ["a", "R"])
def test_all_cases_have_equally_many_rounds_where_others_take_the_machine(clock: Clock, slow: str) -> None:
    for seed in range(6):
        clock.log, clock.slow = "", slow
        runs = [clock.run("a", seconds=10.0), clock.run("R", idle_waiting=True, seconds=10.0)]
        clock.alternate(runs, Plan(6, 2, WAKE), seed)
        assert [[len(placement) for placement in each.placements] for each in runs] == [[2, 2]] * 2


@pytest.mark.parametrize("seed", range(4))
def test_all_cases_have_equally_many_placements_where_a_run_is_to_end(clock: Clock, seed: int) -> None:
    runs = [clock.run("a", seconds=10.0), clock.run("R", idle_waiting=True, seconds=10.0)]
    stopping = Stopping(1e9, now=lambda: clock.now, stop_requested=lambda: clock.log.count("|") >= 2)
    moved = clock.alternate(runs, Plan(2, 4, WAKE), seed, stopping)
    assert sorted(moved) in (["R", "R", "a"], ["R", "a", "a"])
    assert [[len(placement) for placement in each.placements] for each in runs] == [[2]] * 2


def test_a_case_that_fails_does_not_keep_the_others_from_being_timed(clock: Clock) -> None:
    runs = [clock.run("a", seconds=10.0), clock.run("R", idle_waiting=True, seconds=10.0), clock.run("b", fails=True)]
    clock.alternate(runs, Plan(2, 2, WAKE), 3)
    assert [each.error for each in runs] == [None, None, "out of luck"]
    assert [[len(placement) for placement in each.placements] for each in runs[:2]] == [[2, 2]] * 2


def test_where_all_that_rest_fail_the_others_are_alternated_as_ever(clock: Clock) -> None:
    runs = [clock.run("a", seconds=10.0), clock.run("R", idle_waiting=True, fails=True, seconds=10.0)]
    moved = clock.alternate(
        runs, Plan(2, 2, WAKE), 3, Stopping(1.0, min_placements=1, max_placements=5, now=lambda: 0.0)
    )
    assert [len(placement) for placement in runs[0].placements] == [2] * 5
    assert moved.count("R") == 1


def test_a_run_that_is_to_end_begins_nothing_more(clock: Clock) -> None:
    runs = [clock.run("a"), clock.run("R", idle_waiting=True)]
    stopping = Stopping(1e9, now=lambda: clock.now, stop_requested=lambda: clock.log.count("|") >= 9)
    moved = clock.alternate(runs, Plan(2, 4, WAKE), 0, stopping)
    assert (len(moved), clock.log.count("." * 10)) == (9, 1 if moved[-1] == "R" else 2)
    assert [len(each.placements) for each in runs] == [4, 4]


def test_waking_calls_all_that_can_be_called_in_turn(clock: Clock) -> None:
    called: list[str] = []

    def noting(name: str, error: Exception | None = None) -> Any:
        def call() -> None:
            called.append(name)
            clock.now += 1.0
            if error is not None:
                raise error

        return call

    names = ("one", "other", "long", "failed", "failing")
    runs = {name: TimedCase(prepared(noting(name)), clock.run(name).clock, seconds=0.1) for name in names}
    runs["long"].seconds, runs["failed"].error = 0.3, "before"
    runs["failing"].prepared.call = noting("failing", RuntimeError("now"))
    warm_cores(list(runs.values()), 6.0, reason)
    assert called == ["one", "other", "failing", "one", "other", "one", "other"]
    assert (runs["failed"].error, runs["failing"].error) == ("before", "now")
    called.clear()
    warm_cores([runs["long"]], 6.0, reason)
    assert called == []
