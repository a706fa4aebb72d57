"""Runs with visits: what their comparison rests on, short runs, and pairs that give no verdict at all."""

from __future__ import annotations

import json
import math
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.reports.remeasured import remeasured
from tests.reports.test_compare import called, change_of, held
from tests.reports.visited import visited
from torchduet.__main__ import main
from torchduet.bench.record.moderation import Prior, Visits, difference, fit
from torchduet.bench.record.schema import KEY
from torchduet.bench.record.visits.intervals import ratios_of, times_of
from torchduet.reports.compare.brief import markdown
from torchduet.reports.compare.details import last_cell, lopsided
from torchduet.reports.compare.page import render
from torchduet.reports.compare.text import terminal
from torchduet.reports.compare.verdicts import Finding
from torchduet.reports.read.run_file import from_json
from torchduet.reports.shifts.dispersion import VisitSpread, factors_without
from torchduet.reports.shifts.movement import by_visits, pilots_around
from torchduet.reports.shifts.samples import Samples
from torchduet.reports.shifts.visits import priors, visited_run

SQUARE = "matmul.square[n=512] cpu eager fp32"
COMPILED = "matmul.square[n=512] cpu compile fp32"
TWO = ("matmul.square[n=512]", "tensor_ops.add[n=65536]")
FIVE = (*TWO, "tensor_ops.softmax[n=1048576]", "tensor_ops.gelu_chain[n=65536]", "matmul.square[n=128]")


def tally(*comparisons: Any) -> Counter[str]:
    return Counter(change.verdict for one in comparisons for change in one.changes if change.time)


@pytest.fixture(scope="module")
def base(shared_document: Any) -> Any:
    return visited(shared_document, 1)


@pytest.mark.parametrize("between", [0.005, 0.03])
def test_runs_of_the_same_code_raise_no_alarm(shared_document: Any, between: float) -> None:
    pairs = [
        held(*(visited(shared_document, 20 + 2 * seed + side, between=between) for side in (0, 1))) for seed in range(6)
    ]
    assert not any(map(called, pairs))
    assert not any(
        change.speedup and change.speedup.verdict in ("slower", "faster") for one in pairs for change in one.changes
    )
    if between < 0.01:
        assert tally(*pairs)["same"] > 0.9 * sum(tally(*pairs).values())


def test_one_process_in_ten_that_takes_half_as_long_again_raises_no_alarm(shared_document: Any) -> None:
    pairs = [held(*(visited(shared_document, 40 + 2 * seed + side, heavy=0.1) for side in (0, 1))) for seed in range(6)]
    assert not any(map(called, pairs))


def test_placements_of_one_process_are_no_evidence_of_their_own(shared_document: Any) -> None:
    """What differs from visit to visit is the same for all placements of a visit, however many there are."""
    base, new = (visited(shared_document, seed, between=0.03, placements=12, visits=3) for seed in (60, 61))
    assert not called(held(base, new))


@pytest.mark.parametrize("families", [TWO[:1], TWO, FIVE])
@pytest.mark.parametrize("visits", [4, 8])
def test_a_short_run_shows_a_case_that_takes_1_7_times_as_long(
    shared_document: Any, families: tuple[str, ...], visits: int
) -> None:
    few: dict[str, Any] = {"families": families, "visits": visits, "between": 0.02}
    for seed in range(70, 76, 2):
        base = visited(shared_document, seed, **few)
        pair = held(base, visited(shared_document, seed + 1, slower={SQUARE: 1.7}, **few))
        assert called(pair) == [SQUARE]
        assert change_of(pair, SQUARE).verdict == "slower"
        assert not called(held(base, visited(shared_document, seed + 1, **few)))


def test_a_machine_that_changed_as_a_whole_is_not_held_against_a_short_run(shared_document: Any) -> None:
    few: dict[str, Any] = {"families": TWO, "visits": 6}
    base = visited(shared_document, 80, **few)
    slow_machine = held(base, visited(shared_document, 81, machine=1.5, **few))
    assert not called(slow_machine)
    finding = change_of(slow_machine, SQUARE).time
    assert finding is not None
    assert finding.cause == "moved"
    assert "pilot around its visits took" in finding.why
    both = held(base, visited(shared_document, 82, machine=1.3, slower={SQUARE: 1.7}, **few))
    assert called(both) == [SQUARE]


def test_without_pilots_what_a_whole_family_shares_counts_as_the_machines(shared_document: Any) -> None:
    base, new = (
        visited(shared_document, seed, slower=slower, pilots=False) for seed, slower in ((90, {}), (91, {TWO[0]: 1.3}))
    )
    pair = held(base, new)
    assert not pair.guarded
    assert not called(pair)


def test_one_visit_has_an_interval_by_what_other_families_show(shared_document: Any) -> None:
    """A run that ended early after its first round of visits, held against a full one."""
    base = visited(shared_document, 100)
    new = visited(shared_document, 101, slower={SQUARE: 3.0}, visits=1)
    finding = change_of(held(base, new), SQUARE).time
    assert finding is not None
    assert finding.verdict == "slower"
    assert tally(held(base, visited(shared_document, 101, visits=1)))["slower"] == 0


def test_a_run_with_visits_and_one_without_are_compared_by_placements(base: Any, shared_document: Any) -> None:
    pair = held(remeasured(shared_document, 2), base)
    assert pair.visits is None
    assert not any(change.time and change.time.cause == "unguarded" for change in pair.changes)
    few_pilots = json.loads(json.dumps(base))
    few_pilots[KEY]["pilots"] = few_pilots[KEY]["pilots"][::10]  # not right before each family, but around its visits
    causes = {change.time.cause for change in held(remeasured(shared_document, 2), few_pilots).changes if change.time}
    assert "unguarded" not in causes
    assert sum(tally(pair).values()) == 56
    assert not called(pair)
    slow = held(remeasured(shared_document, 2), visited(shared_document, 3, slower={SQUARE: 1.5}))
    assert SQUARE in called(slow)


def test_visits_that_do_not_add_up_are_no_visits(base: Any) -> None:
    document = json.loads(json.dumps(base))
    for one in document["benchmarks"]:
        one["extra_info"][KEY]["timing"]["visits"][0]["placements"] += 1
    document[KEY]["started"] = "2026-05-01T00:00:00+00:00"
    assert held(base, document).visits is None


def test_the_values_of_visits_are_those_of_the_run_itself(base: Any) -> None:
    run = from_json(base)
    samples = Samples({record["case"]["id"]: record for record in run.records})
    cases = [record["case"]["id"] for record in run.records]
    found = visited_run(run, samples.log_times(cases), samples.log_speedups(cases))
    record = next(record for record in run.records if record["case"]["id"] == COMPILED)
    own = times_of(record)
    assert found.of["times"][COMPILED].values == pytest.approx(own.values)
    assert found.of["times"][COMPILED].errors == pytest.approx(own.errors)
    assert found.of["speedups"][COMPILED] == ratios_of(record["speedups"][0])


def test_the_visits_are_moderated_by_what_the_run_recorded_unless_a_verdict_is_withheld(base: Any) -> None:
    document = json.loads(json.dumps(base))
    prior = {"of": "times", "deviation": 0.02, "degrees": 3.0, "families": 15, "source": "run"}
    document[KEY]["visits"]["priors"] = [prior]
    run = from_json(document)
    samples = Samples({record["case"]["id"]: record for record in run.records})
    cases = [record["case"]["id"] for record in run.records]
    visits = visited_run(run, samples.log_times(cases), samples.log_speedups(cases))
    units = {record["case"]["id"]: record["case"]["family"] for record in run.records}
    recorded, _ = priors("times", (visits, visits), units, alike=True)
    assert recorded == Prior(0.02, 3.0, 15, "run")
    del units[SQUARE]
    fitted, _ = priors("times", (visits, visits), units, alike=True)
    assert fitted == fit([(units[case], values) for case, values in visits.of["times"].items() if case in units])


def test_a_short_run_takes_from_the_other_run_what_visits_differ_by(shared_document: Any) -> None:
    runs = [from_json(visited(shared_document, seed, families=kept)) for seed, kept in ((102, ()), (103, TWO))]
    visits = []
    for run in runs:
        samples = Samples({record["case"]["id"]: record for record in run.records})
        cases = [record["case"]["id"] for record in run.records]
        visits.append(visited_run(run, samples.log_times(cases), samples.log_speedups(cases)))
    units = {record["case"]["id"]: record["case"]["family"] for record in runs[0].records}
    own, taken = priors("times", visits, units, alike=True)
    assert own is not None
    assert own == taken
    assert own.deviation == pytest.approx(0.014, rel=0.5)
    assert priors("times", visits, units, alike=False) == (own, None)


def test_the_interval_is_that_of_the_two_sets_of_visits(shared_document: Any) -> None:
    few: dict[str, Any] = {"families": TWO[:1], "visits": 4}
    documents = [visited(shared_document, seed, **few) for seed in (110, 111)]
    for document in documents:
        document[KEY]["pilots"] = [
            pilot | {"seconds": dict.fromkeys(pilot["seconds"], 1e-3)} for pilot in document[KEY]["pilots"]
        ]
    finding = change_of(held(*documents), SQUARE).time
    sides = [times_of(document["benchmarks"][0]["extra_info"][KEY]) for document in documents]
    alone = difference(*sides, None, None)
    assert finding is not None
    assert finding.ratio == pytest.approx(math.exp(alone.point))
    assert [finding.low, finding.high] == pytest.approx([math.exp(alone.low), math.exp(alone.high)], rel=1e-3)


def test_the_pilots_around_a_visit_are_the_last_before_and_the_next() -> None:
    pilots: Any = [
        {"at": at, "before": "", "seconds": {"calls": seconds}} for at, seconds in ((0, 1), (10, 4), (20, 16))
    ]
    around = pilots_around(pilots, {"a": [-1.0, 5.0, 12.0, 30.0]})
    assert [one["calls"] for one in around["a"]] == pytest.approx([1, 2, 8, 16])
    assert pilots_around([], {"a": [1.0]}) == {}


def test_the_machine_moved_as_its_pilots_did_in_the_median_of_the_visits() -> None:
    base = [{"calls": calls, "memory": 1.0} for calls in (2.0, 2.0, 50.0)]  # a burst of load beside one visit
    new = [{"calls": 4.0, "memory": 0.9}, {"calls": 4.0, "memory": 0.9}]
    movement = by_visits(base, new, {})
    assert movement is not None
    assert (movement.low, movement.high) == pytest.approx((-math.log(2), -math.log(0.9)))
    assert movement.source == "the calls pilot around its visits"
    level = by_visits(base, new, {"calls": -math.log(2)})
    assert level is not None
    assert level.low == pytest.approx(0)
    assert by_visits(base, [], {}) is None


def test_runs_that_lie_further_apart_than_their_visits_widen_every_interval() -> None:
    rng = np.random.default_rng(5)
    prior = Prior(0.01, 8.0, 40, "run")

    def estimates(apart: float) -> list[Any]:
        sides = [[Visits(tuple(rng.normal(0, 0.01, 5)), (None,) * 5) for _ in range(40)] for _ in range(2)]
        shifts = rng.normal(0, apart, 40)
        return [
            difference(Visits(tuple(value + shift for value in one.values), one.errors), other, prior, prior)
            for one, other, shift in zip(*sides, shifts, strict=True)
        ]

    units = [str(place) for place in range(40)]
    assert max(factors_without(units, estimates(0.0), 0.0).values()) < 1.5
    apart = estimates(0.02)
    factors = factors_without(units, apart, 0.0)
    assert 2 < min(factors.values()) <= max(factors.values()) < 6
    assert set(factors_without(units[:8], apart[:8], 0.0).values()) == {1.0}  # of too few others
    changed = [*apart[:-1], difference(Visits((0.5,) * 5, (None,) * 5), Visits((0.0,) * 5, (None,) * 5), prior, prior)]
    assert factors_without(units, changed, 0.0)["39"] == factors["39"]  # it does not widen its own interval
    spread = VisitSpread(apart[0], 2.0)
    assert spread.reach() == 2 * apart[0].half_width
    assert spread.chance(spread.reach()) == pytest.approx(0.01)
    assert spread.chance(0) == 1


def test_all_outputs_say_how_often_both_runs_visited(base: Any, shared_document: Any) -> None:
    pair = held(base, visited(shared_document, 2, visits=4))
    assert pair.visits == ((5, 5), (4, 4))
    words = "base.json visited each case 5 times and new.json visited each case 4 times"
    page = render([pair], 0.05)
    for output in (terminal([pair]), markdown([pair]), page):
        assert words in output
    assert "from process to process and from minute to minute" in page
    facts = page[page.index('<script type="application/json" id="comparison">') :]
    assert f'"visits":{[3] * 5},'.replace(" ", "") in facts
    assert f'"visits":{[3] * 4},'.replace(" ", "") in facts


def test_a_pair_says_which_slow_downs_it_would_show(shared_document: Any) -> None:
    """Unclear is not blind: the same code twice is unclear, and 1.7 times as slow would be shown."""
    few: dict[str, Any] = {"families": TWO, "visits": 4, "between": 0.03}
    base, new = (visited(shared_document, seed, **few) for seed in (140, 141))
    pair = held(base, new)
    assert tally(pair) == {"unclear": 6}
    assert not pair.blind
    assert pair.shown_from is not None
    assert 1.1 < pair.shown_from < 1.6
    words = f"Half of the cases would be called slower if they took {pair.shown_from:.3g} times as long."
    for output in (terminal([pair]), markdown([pair]), render([pair], 0.05)):
        assert words in output
    change = change_of(pair, SQUARE)
    assert change.shown_from is not None
    factor = change.shown_from
    assert change.time is not None
    for beyond, verdict in ((1.02, "slower"), (0.98, "unclear")):
        exactly = visited(shared_document, 141, slower={SQUARE: beyond * factor * change.time.ratio}, **few)
        assert change_of(held(base, exactly), SQUARE).verdict == verdict


@pytest.fixture
def folder(shared_document: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Short runs: two of the same code, one 1.7 times as slow, and a pair too scattered for any verdict."""
    few: dict[str, Any] = {"families": TWO, "visits": 5}
    documents = {
        "base": visited(shared_document, 120, **few),
        "same": visited(shared_document, 121, between=0.004, **few),
        "slow": visited(shared_document, 122, slower={SQUARE: 1.7}, **few),
        "wild": visited(shared_document, 123, between=0.3, **few),
    }
    for name, document in documents.items():
        (tmp_path / f"{name}.json").write_text(json.dumps(document), "utf-8")
    (tmp_path / "pyproject.toml").write_text("")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize(
    ("files", "fail_on", "code"),
    [
        ("base same", "slower", 0),
        ("base slow", "slower", 1),
        ("base wild", "slower", 3),
        ("base wild", "all-slower", 3),
        ("base wild", "unclear", 1),
        ("base slow", "unclear", 1),
        ("base wild slow", "slower", 1),
        ("base wild same", "slower", 3),
        ("base wild", None, 0),
    ],
)
def test_a_pair_that_can_have_no_verdict_has_an_exit_code_of_its_own(
    files: str, fail_on: str | None, code: int
) -> None:
    paths = [f"{name}.json" for name in files.split()]
    assert main(["compare", *paths, *(["--fail-on", fail_on] if fail_on else [])]) == code


@pytest.mark.usefixtures("folder")
def test_unclear_cases_fail_only_where_that_is_asked(capsys: pytest.CaptureFixture[str], shared_document: Any) -> None:
    base, new = (visited(shared_document, seed, between=0.004) for seed in (130, 131))
    for one in new["benchmarks"][:3]:
        one["extra_info"][KEY]["notes"] = ["no verdict: it waited"]
    for name, document in (("a", base), ("b", new)):
        Path(f"{name}.json").write_text(json.dumps(document), "utf-8")
    assert main(["compare", "a.json", "b.json", "--fail-on", "slower"]) == 0
    assert main(["compare", "a.json", "b.json", "--fail-on", "unclear"]) == 1
    assert capsys.readouterr().err == ""


@pytest.mark.usefixtures("folder")
def test_a_pair_that_can_have_no_verdict_says_so_first(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compare", "base.json", "wild.json", "--fail-on", "slower", "-o", "c.html", "--markdown", "c.md"]) == 3
    out, err = capsys.readouterr()
    lines = out.splitlines()
    assert lines[0] == "wild.json against base.json: This pair of runs can give no verdict"
    assert lines[2].startswith("This pair of runs can give no verdict: ")
    assert "No case would be called slower if it took 1.5 times as long." in lines[2]
    assert err.count("\n") == 1
    assert "no verdict is possible on any case of wild.json" in err
    assert "This pair of runs can give no verdict: " in Path("c.md").read_text("utf-8")
    assert "This pair of runs can give no verdict: " in Path("c.html").read_text("utf-8")


@pytest.mark.parametrize(
    ("low", "high", "says"),
    [(0.36, 0.43, "further down: by the pilots"), (0.41, 0.49, "further up"), (0.40, 0.44, ""), (0.4180, 0.4205, "")],
)
def test_an_interval_that_reaches_much_further_to_one_side_is_explained(
    base: Any, low: float, high: float, says: str
) -> None:
    """In the details of the case: the allowance for the machine widens one side alone."""
    change = replace(change_of(held(base, base), SQUARE), time=Finding(0.42, low, high, "slower"))
    words = lopsided(change)
    assert says in words if says else not words
    assert words in last_cell(change)
    older = {**change.base, "timing": {name: of for name, of in change.base["timing"].items() if name != "visits"}}
    assert not lopsided(replace(change, base=older))  # a rank-sum interval may be so by itself
