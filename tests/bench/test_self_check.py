"""Twins and slowed copies: what they are, what is made of them, and where the figures are kept."""

import itertools
import json
import math
import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.bench.test_run import SMALL, pytest_bench
from torchduet.bench.cases.case import Case, Family
from torchduet.bench.cases.copies import SLOWDOWNS, with_copies
from torchduet.bench.cases.exchange import CaseResult, ContextSwitches
from torchduet.bench.record.statistics import MIN_PLACEMENTS
from torchduet.bench.run import aa_summary
from torchduet.bench.run.records import trials
from torchduet.bench.timing.slowed import spin as spins

MACHINE = {"cpu": "some CPU", "cores": 2, "torch": "2.13.0", "gpu": None}


def case(name: str, mode: str = "eager") -> Case:
    return Case("s", "s", name, "", (), name, True, "cpu", mode, "fp32")


def blocks(seconds: float, spread: float = 0.001) -> list[list[float]]:
    """Ten placements of five rounds, each placement a little off."""
    return [[seconds * (1 + spread * (place % 3 - 1))] * 5 for place in range(10)]


def test_each_reported_case_gets_an_identical_twin_and_slowed_ones() -> None:
    reference, compiled = case("a"), case("a", "compile")
    family = with_copies(Family((reference, compiled), (compiled,)))
    copies = family.cases[2:]
    assert [copy.slowdown for copy in copies] == [1.0, *SLOWDOWNS]
    assert {copy.original for copy in copies} == {compiled}
    assert len({copy.id for copy in family.cases}) == len(family.cases)
    assert family.reported == (compiled,)
    assert [list(family.comparisons(copy)) for copy in copies] == [[("twin", compiled)]] * 5


def test_the_slow_downs_can_be_chosen() -> None:
    family = with_copies(Family((case("a"),), (case("a"),)), (1.2,))
    assert [copy.slowdown for copy in family.cases[1:]] == [1.0, 1.2]


def test_extra_work_is_calibrated_and_really_done(monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[int] = []

    def repeat(value: None, times: int) -> Any:
        done.append(times)
        return itertools.repeat(value, times)

    monkeypatch.setattr(spins, "itertools", SimpleNamespace(repeat=repeat))
    work = spins.spin(0.01)
    assert done == [spins.PROBE_ITERATIONS] * spins.PROBES
    work()
    assert 1e-9 < 0.01 / done[-1] < 1e-5  # seconds for a turn of an empty loop


@pytest.mark.parametrize(
    ("calls_take", "untimed", "blocks"),
    [
        (2e-4, 0.0, 2 * spins.MAX_FITTED),
        (5e-3, 0.0, 8),
        (2e-4, 0.01, 2 * spins.MIN_FITTED),  # the cache is filled with something else before each call
        (0.15, 0.0, 1),
        (1.0, 0.0, 1),
    ],
)
def test_extra_work_is_fitted_to_what_it_takes_within_a_block(
    calls_take: float, untimed: float, blocks: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a machine on which an iteration takes 20 ns after such calls, and beginning the loop 1 µs."""
    now, made = [0.0], []

    def repeat(value: None, times: int) -> Any:
        now[0] += 1e-6 + 2e-8 * times
        return itertools.repeat(value, 0)

    def block(work: Any) -> float:
        slow = 1e-2 if not made and blocks > 3 else 0.0  # the first one is disturbed
        made.append(work)
        now[0] += untimed
        start = now[0]
        now[0] += calls_take + slow
        work()
        return now[0] - start

    monkeypatch.setattr(spins, "itertools", SimpleNamespace(repeat=repeat))
    monkeypatch.setattr(spins, "perf_counter", lambda: now[0])
    spin = spins.Spin(1000)
    spin.fit(block, 0.03)
    assert len(made) == pytest.approx(blocks, abs=2 if 3 < blocks < 20 else 0)
    assert 1e-6 + 2e-8 * spin.iterations == pytest.approx(0.03 * calls_take, rel=0.05)


def test_trials_say_what_became_of_each_copy() -> None:
    whole = case("a")
    family = with_copies(Family((whole,), (whole,)))
    spent = ContextSwitches(seconds=0.1)
    results = {
        one: CaseResult(one, blocks=blocks(1e-3 * one.slowdown), calls=2, context_switches=spent)
        for one in family.cases
    }
    results[family.cases[2]].error = "it broke"
    found = trials(family, whole, results)
    assert [one["slowdown"] for one in found] == [1.0, *SLOWDOWNS[1:]]
    identical, *slowed = found
    assert identical["verdict"] == "same"
    assert identical["ratio"] == pytest.approx(1)
    assert identical["seconds"] == pytest.approx(10 * 5 * 2 * 1e-3, rel=0.01)
    assert 0.01 <= (identical["minimum_effect"] or math.inf) < 0.02
    assert all(one["verdict"] == "slower" for one in slowed)


def record(*found: dict[str, Any], seconds: float = 1e-3, rests: bool = False) -> dict[str, Any]:
    return {"trials": list(found), "timing": {"seconds": seconds} | ({"rests": True} if rests else {})}


def a_trial(slowdown: float, verdict: str, low: float | None = 0.995, high: float | None = 1.005) -> dict[str, Any]:
    return {
        "slowdown": slowdown,
        "ratio": 1.0,
        "low": low,
        "high": high,
        "placements": MIN_PLACEMENTS,
        "verdict": verdict,
        "seconds": 4.0,
        "minimum_effect": None if low is None else 0.03,
    }


def test_the_summary_counts_false_alarms_and_what_was_found() -> None:
    records: Any = [
        record(a_trial(1.0, "same"), a_trial(1.05, "slower")),
        record(a_trial(1.0, "faster", 1.02, 1.04), a_trial(1.05, "unclear")),
        record(a_trial(1.0, "unclear", None, None)),
        {},
    ]
    found = aa_summary.summary(records, measured="2026-01-01T00:00:00+00:00", machine=MACHINE, threads=2)
    assert (found["false_alarms"]["count"], found["false_alarms"]["trials"]) == (1, 3)
    assert found["outside"] == 1
    assert [(one["slowdown"], one["count"], one["trials"]) for one in found["found"]] == [(1.05, 1, 2)]
    assert found["narrow"]["count"] == 2
    assert found["half_width_after_1s"] == pytest.approx(2 * (found["half_width"] or 0))
    said = "\n".join(aa_summary.lines(found))
    assert "1 of 3 comparisons of identical code" in said
    assert "1 of 2 slow-downs by 5% found: 50.0%" in said


def test_the_figures_are_told_apart_by_how_long_a_call_takes() -> None:
    records: Any = [
        record(a_trial(1.0, "same"), a_trial(1.05, "slower"), seconds=1.9e-3),
        record(a_trial(1.0, "same"), a_trial(1.05, "unclear"), seconds=2e-3),
        record(a_trial(1.0, "same", 0.97, 1.03), a_trial(1.05, "slower"), seconds=1e-2),
        record(a_trial(1.0, "slower", 0.8, 0.9), a_trial(1.05, "unclear"), seconds=1e-3, rests=True),
    ]
    found = aa_summary.summary(records, measured="2026-01-01T00:00:00+00:00", machine=MACHINE, threads=2)
    short, medium, waiting = found["kinds"]
    assert [short["kind"], medium["kind"], waiting["kind"]] == ["short", "medium", "waiting"]
    assert (medium["found"][0]["count"], medium["found"][0]["trials"]) == (1, 2)
    assert (medium["narrow"]["count"], waiting["narrow"]["count"], short["narrow"]["count"]) == (1, 0, 1)
    assert (waiting["false_alarms"]["count"], medium["false_alarms"]["count"]) == (1, 0)
    said = aa_summary.lines(found)
    assert (
        "  calls of 2 to 20 ms: slow-downs by 5% found: 1 of 2, intervals within ±1%: 1 of 2, false alarms: 0 of 2"
    ) in said
    assert sum(rate["trials"] for rate in (kind["narrow"] for kind in found["kinds"])) == found["narrow"]["trials"]


def test_nothing_measured_says_nothing() -> None:
    found = aa_summary.summary([], measured="", machine=MACHINE, threads=1)
    assert aa_summary.lines(found) == []
    assert found["half_width"] is None


def test_figures_are_kept_by_machine_and_threads(tmp_path: Path) -> None:
    for threads in (1, 2, 1):
        made = aa_summary.summary([], measured=f"with {threads}", machine=MACHINE, threads=threads)
        path = aa_summary.save(made, tmp_path)
    assert [path] == list(tmp_path.iterdir())
    assert len(json.loads(path.read_text())) == 2
    assert (aa_summary.last(MACHINE, 2, tmp_path) or {})["measured"] == "with 2"
    assert aa_summary.last(MACHINE | {"torch": "2.14.0"}, 2, tmp_path) is None
    assert aa_summary.last(MACHINE, 2, tmp_path / "nowhere") is None


def test_figures_of_a_version_whose_extra_work_was_not_fitted_are_not_told(tmp_path: Path) -> None:
    path = aa_summary.save(aa_summary.summary([], measured="then", machine=MACHINE, threads=2), tmp_path)
    assert aa_summary.last(MACHINE, 2, tmp_path) is not None
    (kept,) = json.loads(path.read_text())
    del kept["kinds"]
    path.write_text(json.dumps([kept]))
    assert aa_summary.last(MACHINE, 2, tmp_path) is None


def test_a_file_that_is_not_ours_is_named_and_replaced(tmp_path: Path) -> None:
    path = tmp_path / aa_summary.FILE
    path.write_text("{")
    with pytest.raises(ValueError, match=f"{aa_summary.FILE}.*remove it"):
        aa_summary.last(MACHINE, 1, tmp_path)
    aa_summary.save(aa_summary.summary([], measured="now", machine=MACHINE, threads=1), tmp_path)
    assert aa_summary.last(MACHINE, 1, tmp_path) is not None


def test_a_run_against_itself_leaves_its_figures_to_the_runs_after_it(tmp_path: Path) -> None:
    environment = {"XDG_CACHE_HOME": str(tmp_path / "cache"), "LOCALAPPDATA": str(tmp_path / "cache")}
    before = {name: os.environ.get(name) for name in environment}
    os.environ.update(environment)
    try:
        checked, later = tmp_path / "checked.json", tmp_path / "later.json"
        options = ("--suite", SMALL, "--threads", "1", "--mode", "eager", "--budget", "10s")
        first = pytest_bench(*options, "--aa", "--benchmark-json", str(checked))
        assert first.returncode == 0, first.stdout + first.stderr
        second = pytest_bench(*options, "--benchmark-json", str(later))
        assert second.returncode == 0, second.stdout + second.stderr
    finally:
        for name, value in before.items():
            os.environ.pop(name) if value is None else os.environ.update({name: value})
    run = json.loads(checked.read_text())
    records = [one["extra_info"]["torchduet"] for one in run["benchmarks"]]
    assert {tuple(one["slowdown"] for one in record["trials"]) for record in records} == {(1.0, *SLOWDOWNS)}
    assert run["torchduet"]["self_check"]["false_alarms"]["trials"] == len(records)
    assert f"of {len(records)} comparisons of identical code" in first.stdout
    assert json.loads(later.read_text())["torchduet"]["self_check"] == run["torchduet"]["self_check"]
