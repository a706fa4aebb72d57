"""Runs of a few cases held against each other: worked examples of what decides about each, quick to compute."""

from __future__ import annotations

import copy
import math
from typing import Any

import pytest

from tests.reports.in_visits import in_visits
from tests.reports.many import make_many
from torchduet.bench.record.marks import NO_VERDICT
from torchduet.bench.record.schema import KEY
from torchduet.reports.compare.comparison import Comparison
from torchduet.reports.compare.match import compare
from torchduet.reports.compare.thresholds import Thresholds
from torchduet.reports.compare.verdicts import Finding
from torchduet.reports.read.run_file import from_json


def held(base: Any, *others: Any) -> list[Comparison]:
    runs = [from_json(document, f"{number}.json") for number, document in enumerate((base, *others))]
    return compare(runs[0], runs[1:], Thresholds(0.05))


def case_of(one: Any) -> Any:
    return one["extra_info"][KEY]["case"]


def slowed(document: Any, factor: float, *cases: int) -> Any:
    """A copy of the document in which these cases take ``factor`` times as long."""
    made = copy.deepcopy(document)
    for case in cases:
        timing = made["benchmarks"][case]["extra_info"][KEY]["timing"]
        timing["blocks"] = [[seconds * factor for seconds in rounds] for rounds in timing["blocks"]]
        for key in ("seconds", "low", "high"):
            timing[key] *= factor
    return made


def found(of: Comparison, case: int) -> tuple[Finding, Finding]:
    """What is found of the time and of the speed-up of a case, by its place."""
    change = of.changes[case]
    assert change.time is not None
    assert change.speedup is not None
    return change.time, change.speedup


@pytest.fixture(scope="module")
def document() -> Any:
    """Three families of 7, 4 and 8 cases without visits; the first of each is its reference."""
    return make_many(19)


@pytest.mark.parametrize(("factor", "verdict"), [(1.6, "slower"), (1 / 1.6, "faster")])
def test_a_case_that_alone_changes_changes_in_time_and_in_speed_up(document: Any, factor: float, verdict: str) -> None:
    (of,) = held(document, slowed(document, factor, 1))
    for one in found(of, 1):
        assert one.verdict == verdict
        assert one.ratio == pytest.approx(1 / factor, rel=1e-9)
    assert [one.verdict for one in found(of, 2)] == ["same", "same"]


def test_each_of_several_runs_has_its_own_times_and_speed_ups(document: Any) -> None:
    runs = [slowed(document, 1.5, 1), slowed(document, 1.5, 2), slowed(document, 0.5, 3)]
    results = held(document, *runs)
    assert [of.new.name for of in results] == ["1.json", "2.json", "3.json"]
    for place, of in enumerate(results, 1):
        expected = ["slower", "slower", "faster"][place - 1]
        assert [one.verdict for one in found(of, place)] == [expected] * 2
        assert [found(of, other)[1].verdict for other in (1, 2, 3) if other != place] == ["same"] * 2
    assert {of.asked for of in results} == {3 * (19 + 16)}  # 19 times and 16 speed-ups over 3 references, each


def visited(cases: int, seed: int, visits: int = 2) -> Any:
    return in_visits(make_many(cases, seed, placements=8), visits)


@pytest.fixture(scope="module")
def base() -> Any:
    """Seven families with two visits each: enough to estimate how much visits differ."""
    return visited(48, 1)


def half_widths(findings: tuple[Finding, Finding]) -> list[float]:
    widths = []
    for one in findings:
        assert one.low is not None
        assert one.high is not None
        widths.append(math.log(one.high / one.low) / 2)
    return widths


def test_a_run_of_few_families_rests_on_those_of_the_other_run_on_the_same_machine_alone(base: Any) -> None:
    few = visited(8, 2)
    elsewhere = copy.deepcopy(few)
    elsewhere[KEY]["machine"]["cpu"] = "another CPU"
    other_setting = copy.deepcopy(few)
    other_setting[KEY]["options"]["threads"] = 77
    other_selection = copy.deepcopy(few)
    other_selection[KEY]["options"]["budget_seconds"] = 5.0
    here, *others, same = (
        half_widths(found(of, 1)) for one in (few, elsewhere, other_setting, other_selection) for of in held(base, one)
    )
    for kind in (0, 1):
        for there in others:
            assert there[kind] > 1.5 * here[kind]
    assert same == here


def test_a_case_whose_verdict_is_withheld_says_nothing_on_how_much_the_visits_of_others_differ() -> None:
    """As if its family, whose visits differ by a factor of ten, had not been measured."""
    restless = visited(48, 1)
    family = case_of(restless["benchmarks"][7])["family"]
    without = copy.deepcopy(restless)
    without["benchmarks"] = [one for one in without["benchmarks"] if case_of(one)["family"] != family]
    without[KEY]["visits"]["priors"] = []
    for one in restless["benchmarks"]:
        record = one["extra_info"][KEY]
        if case_of(one)["family"] == family:
            record["notes"] = [f"{NO_VERDICT}blocks waited"]
            half = len(record["timing"]["blocks"]) // 2
            record["timing"]["blocks"] = [
                [seconds * (10 if at < half else 1) for seconds in rounds]
                for at, rounds in enumerate(record["timing"]["blocks"])
            ]
    (of,), (rest,) = held(restless, restless), held(without, without)
    assert (of.changes[7].verdict, of.changes[1].verdict) == ("unclear", "same")
    assert half_widths(found(of, 1)) == pytest.approx(half_widths(found(rest, 1)))


def test_a_lone_case_on_a_gpu_without_pilots_has_no_movement_and_no_verdict() -> None:
    """One case a family: nothing was timed together with it."""
    alone = make_many(18)
    families: dict[str, Any] = {}
    for one in alone["benchmarks"]:
        families.setdefault(case_of(one)["family"], one)
    alone["benchmarks"] = list(families.values())
    for one in alone["benchmarks"]:
        case = case_of(one)
        case["device"], case["id"] = "cuda:0", case["id"].replace(" cpu ", " cuda:0 ")
        one["param"] = case["id"]
    alone[KEY]["pilots"] = []
    assert len(alone["benchmarks"]) > 1
    (of,) = held(alone, slowed(alone, 1.5, 0))
    assert not of.guarded
    timed = [change for change in of.changes if change.time is not None]
    assert len(timed) == len(families)
    assert {(change.verdict, change.speedup) for change in timed} == {("unclear", None)}


def test_a_run_with_visits_is_held_against_one_without_by_placements(document: Any) -> None:
    (of,) = held(visited(19, 1), document)
    timed = [change for change in of.changes if change.time is not None]
    assert len(timed) == 19
    assert all(change.time is not None and change.time.low is not None for change in timed)


def test_what_the_machine_may_explain_is_told_beside_what_all_cases_share(document: Any) -> None:
    """All cases and pilots take half as long again; one takes 10 % less than that."""
    slow = slowed(document, 1.5, *range(len(document["benchmarks"])))
    for pilot in slow[KEY]["pilots"]:
        pilot["seconds"] = {kind: 1.5 * seconds for kind, seconds in pilot["seconds"].items()}
    (of,) = held(document, slowed(slow, 0.9, 1))
    assert of.common is not None
    assert math.exp(of.common.shift) == pytest.approx(1 / 1.5, rel=1e-3)
    time, speedup = found(of, 1)
    assert (time.verdict, time.cause, speedup.verdict) == ("unclear", "moved", "faster")
    assert time.why.endswith("; beside the common factor it took 10 % less")
    (other,) = held(document, slowed(slow, 3.0, 1))
    assert found(other, 1)[0].verdict == "slower"  # the pilots explain a half, not that
    assert "beside" not in found(other, 1)[0].why


def test_without_pilots_what_was_timed_together_with_a_case_stands_in_for_them(document: Any) -> None:
    silent = copy.deepcopy(document)
    silent[KEY]["pilots"] = []
    (of,) = held(silent, slowed(silent, 1.5, 1))
    assert not of.guarded
    assert found(of, 1)[0].verdict == "slower"
    (whole,) = held(silent, slowed(silent, 1.5, *range(7)))
    time = whole.changes[1].time
    assert time is not None
    assert (time.verdict, time.cause) == ("unclear", "moved")
    assert "its reference took 50 % longer" in time.why
