"""Cases that wait, as for a DataLoader's workers, come together; the cores are woken before the others are timed."""

import random
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from bench.engine import idle, run
from bench.engine.clock import Block, CpuClock
from bench.engine.rounds import _rounds
from bench.engine.run import Run, warm_up


def busy(seconds: float) -> None:
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        pass


def prepared(call: Any) -> Any:
    case = SimpleNamespace(precision="fp32", device="cpu", id="it")
    meter = SimpleNamespace(paused=False)
    return SimpleNamespace(case=case, call=call, args=(), context=SimpleNamespace(meter=meter))


def test_a_case_that_sleeps_waits_and_one_that_computes_does_not() -> None:
    sleeping = Run(prepared(lambda: time.sleep(5e-3)), CpuClock())
    computing = Run(prepared(lambda: busy(5e-4)), CpuClock())
    for one in (sleeping, computing):
        warm_up(one, 0.1)
    assert sleeping.waits
    assert not computing.waits


def test_time_in_which_others_have_the_core_is_not_idle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    counted = tmp_path / "schedstat"
    monkeypatch.setattr(idle, "SCHEDSTAT", counted)
    monkeypatch.setattr(idle, "thread_time", lambda: 3.0)
    monkeypatch.setattr(idle, "perf_counter", lambda: 10.0)
    assert idle.idle() == 7.0  # the system does not count them
    counted.write_text("3000000000 5000000000 17\n")
    assert idle.idle() == pytest.approx(2.0)
    counted.write_text("\n")
    assert idle.idle() == 7.0


def group(log: list[str], *waits: bool, fails: int | None = None) -> list[Run]:
    """Runs that note their calls and blocks."""

    def one(index: int, waits: bool) -> Run:
        name = f"{'waiting' if waits else 'busy'}{index}"

        def call() -> None:
            log.append(f"{name} untimed")
            time.sleep(1e-3)

        def block(*_: object) -> Block:
            log.append(name)
            if index == fails:
                raise RuntimeError("out of luck")
            return Block(1e-3, 1e-3, 1e-3)

        clock: Any = SimpleNamespace(block=block, synchronize=lambda: None)
        made = Run(prepared(call), clock, seconds=1e-3, placements=[[]], waits=waits)
        made.ended = float("nan") if waits else made.ended
        return made

    return [one(index, waiting) for index, waiting in enumerate(waits)]


@pytest.fixture
def short_wakes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "AWAKE_SECONDS", 5e-3)
    monkeypatch.setattr(Run, "_after_children", lambda _: 0)


@pytest.mark.usefixtures("short_wakes")
def test_the_cores_are_woken_once_before_those_that_do_not_wait() -> None:
    orders = set()
    for seed in range(8):
        log: list[str] = []
        runs = group(log, False, True, False, True)
        _rounds(runs, 3, random.Random(seed), lambda _, error: str(error))
        assert [len(each.placements[0]) for each in runs] == [3, 3, 3, 3]
        kinds = "".join("u" if "untimed" in entry else entry[0] for entry in log)
        orders.add(kinds.replace("u", "", kinds.count("u") - 1))
        assert all(entry.startswith("busy") for entry in log if "untimed" in entry)
    assert orders == {"u" + 6 * "b" + 6 * "w", 6 * "w" + "u" + 6 * "b"}


@pytest.mark.usefixtures("short_wakes")
@pytest.mark.parametrize("waits", [False, True])
def test_nothing_is_woken_where_all_cases_are_alike(waits: bool) -> None:
    log: list[str] = []
    runs = group(log, waits, waits)
    _rounds(runs, 5, random.Random(0), lambda _, error: str(error))
    assert [len(each.placements[0]) for each in runs] == [5, 5]
    assert not [entry for entry in log if "untimed" in entry]


@pytest.mark.usefixtures("short_wakes")
def test_all_cases_have_equally_many_rounds_where_others_take_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    log: list[str] = []
    runs = group(log, False, True)
    now = iter(range(0, 10_000, 1))
    monkeypatch.setattr("bench.engine.rounds.awake", lambda: float(next(now)))
    _rounds(runs, 6, random.Random(0), lambda _, error: str(error))
    assert [len(each.placements[0]) for each in runs] == [1, 1]


@pytest.mark.usefixtures("short_wakes")
def test_a_case_that_fails_does_not_keep_the_others_from_being_timed() -> None:
    log: list[str] = []
    runs = group(log, False, True, False, fails=2)
    _rounds(runs, 2, random.Random(3), lambda _, error: str(error))
    assert [each.error for each in runs] == [None, None, "out of luck"]
    assert [len(each.placements[0]) for each in runs[:2]] == [2, 2]
