"""What is computed for many cases at once is what each case alone gives, and its cost does not grow with the square."""

from __future__ import annotations

import json
import math
import random
import statistics
from typing import Any

import numpy as np
import pytest

from tests.reports.many import make_many
from torchduet.bench.record.schema import KEY, Record, RunRecord
from torchduet.bench.record.schema_check import ContractError
from torchduet.bench.record.statistics import drift_factor, placement_differences
from torchduet.reports.read.run_file import from_json, read_fast
from torchduet.reports.shifts import spread
from torchduet.reports.shifts.leave_out import ranked
from torchduet.reports.shifts.samples import Samples, questions
from torchduet.reports.shifts.spread import Residual, spread_of, spreads_without
from torchduet.reports.shifts.two_sample import drift_factors, shift, shifts


def close(value: float) -> Any:
    return pytest.approx(value, rel=1e-12, abs=1e-15)


@pytest.mark.parametrize(("m", "n"), [(1, 1), (2, 2), (4, 9), (8, 8), (20, 20), (13, 30)])
def test_many_shifts_are_those_of_each_pair(m: int, n: int) -> None:
    rng = np.random.default_rng(m + n)
    first, second = rng.normal(size=(50, m)), np.round(rng.normal(size=(50, n)), 1)  # with ties
    first[0] = 1.0
    for found, *pair in zip(shifts(first, second), first.tolist(), second.tolist(), strict=True):
        alone = shift(*pair)
        assert (found.point, found.low, found.high) == (close(alone.point), close(alone.low), close(alone.high))
    assert drift_factors(first).tolist() == [close(drift_factor(values)) for values in first.tolist()]


@pytest.mark.parametrize("values", [np.empty((3, 0)), np.full((3, 2), np.nan)])
def test_many_that_are_no_samples_are_refused(values: Any) -> None:
    with pytest.raises(ValueError, match="finite"):
        shifts(values, np.ones((3, 4)))


def test_samples_are_those_of_each_record() -> None:
    document = make_many(30, placements=9)
    document["benchmarks"][3]["extra_info"][KEY]["timing"]["blocks"][2].pop()  # rounds that differ in number
    records = {one["param"]: one["extra_info"][KEY] for one in document["benchmarks"]}
    samples = Samples(records)
    times = samples.log_times(list(records))
    assert list(times) == list(records)
    for record, found in zip(records.values(), times.values(), strict=True):
        alone = [math.log(statistics.median(rounds)) for rounds in record["timing"]["blocks"]]
        assert found.tolist() == [close(value) for value in alone]
    speedups = samples.log_speedups(list(records))
    held = {case: one["speedups"][0]["against"] for case, one in records.items() if one["speedups"]}
    paired = {
        case: [records[one]["timing"]["blocks"] for one in (other, case)]
        for case, other in held.items()
        if len(records[case]["timing"]["blocks"][2]) == len(records[other]["timing"]["blocks"][2])
    }
    assert 0 < len(paired) < len(held)
    assert set(speedups) == set(paired)
    for case, blocks in paired.items():
        assert speedups[case].tolist() == [close(value) for value in placement_differences(*blocks)]


def test_questions_are_those_of_each_pair() -> None:
    rng = random.Random(3)
    above, below = (
        [np.array([rng.gauss(0, 1) for _ in range(rng.choice((1, 2, 8, 11)))]) for _ in range(40)] for _ in (0, 1)
    )
    found = questions([str(place) for place in range(40)], above, below, [0.01 * place for place in range(40)])
    for place, (one, *sides) in enumerate(zip(found, above, below, strict=True)):
        values = [side.tolist() for side in sides]
        noises = [statistics.stdev(side) if len(side) > 1 else 0.0 for side in values]
        assert (one.unit, one.threshold, one.placements) == (str(place), 0.01 * place, min(map(len, values)))
        assert one.shift.point == close(shift(*values).point)
        assert one.noise == close(math.hypot(*noises))
        for half, side, noise in zip(one.halves, values, noises, strict=True):
            middle = len(side) // 2
            apart = statistics.median(side[middle:]) - statistics.median(side[:middle]) if middle else 0.0
            assert (half.value, half.noise) == (close(apart), close(math.sqrt(2) * noise))


@pytest.mark.parametrize("units", [3, 9, 40, 200])
def test_the_spread_without_a_family_is_that_of_all_others(units: int) -> None:
    rng = random.Random(units)
    residuals = [
        Residual(str(rng.randrange(units)), rng.choice((0.0, rng.gauss(0, 0.02))), rng.choice((0.0, 0.004, 0.01)))
        for _ in range(5 * units)
    ]
    halves = [Residual("", rng.gauss(0, 0.01), 0.004) for _ in range(50)]
    names = [*map(str, range(units)), "a family without residuals"]
    for name, found in zip(names, spreads_without(names, residuals, halves), strict=True):
        alone = spread_of([one for one in residuals if one.unit != name], halves)
        assert alone is not None
        assert found is not None
        for got, expected in ((found.between, alone.between), (found.middle, alone.middle), (found.shape, alone.shape)):
            assert got == close(expected)


def test_families_share_the_few_scales_that_leaving_one_out_can_give(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    monkeypatch.setattr(spread, "_over", lambda *sides, plain=spread._over: (asked.append(1), plain(*sides))[1])
    rng = random.Random(5)
    for units in (100, 400):
        residuals = [Residual(str(place % units), rng.gauss(0, 1), 0.1) for place in range(6 * units)]
        asked.clear()
        assert len(spreads_without(list(map(str, range(units))), residuals, residuals)) == units
        assert 1 < len(asked) < 40


def test_what_is_left_is_counted_without_sorting_again() -> None:
    rng = random.Random(6)
    values = [rng.choice((1.0, 2.0, rng.random())) for _ in range(60)]
    ordered = ranked(np.array(values))
    for _ in range(50):
        out = rng.sample(range(60), rng.randrange(59))
        rest = ordered.without(out)
        left = sorted(value for place, value in enumerate(values) if place not in out)
        assert list(rest) == left
        assert rest.median() == statistics.median(left)


WRONG: list[Any] = [
    None,
    True,
    -1,
    0,
    1.5,
    math.nan,
    math.inf,
    2**63,
    "",
    "\ud800",
    [],
    {},
    [None],
    {"a": 1},
    [1.0, math.nan],
]


@pytest.mark.parametrize("kind", [Record, RunRecord])
def test_the_quick_check_lets_nothing_through_that_the_slow_one_refuses(kind: Any, shared_document: Any) -> None:
    rng = random.Random(7)
    whole = {**shared_document, "benchmarks": shared_document["benchmarks"][20:21]}
    assert read_fast(json.dumps(whole).encode(), "run.json") == from_json(whole)
    refused = 0
    for _ in range(1500):
        spoiled = json.loads(json.dumps(whole))
        _spoil(spoiled[KEY] if kind is RunRecord else spoiled["benchmarks"][0]["extra_info"][KEY], rng)
        try:
            from_json(spoiled)
        except ContractError:
            refused += 1
            assert read_fast(json.dumps(spoiled).encode(), "run.json") is None
    assert refused > 500


@pytest.mark.parametrize("number", [1e-31, 0, -1.0, 1e19, 1e31, 1e99, 2**63, 10**99])
def test_block_times_beyond_all_bounds_are_never_read_quickly(number: float, document: Any) -> None:
    document["benchmarks"][3]["extra_info"][KEY]["timing"]["blocks"][1][0] = number
    assert read_fast(json.dumps(document).encode(), "run.json") is None


def _spoil(value: Any, rng: random.Random) -> None:
    """Replaces or removes one value somewhere below."""
    while True:
        place = rng.choice(list(value) if isinstance(value, dict) else range(len(value)))
        inner = value[place]
        if isinstance(inner, dict | list) and inner and rng.random() < 0.8:
            value = inner
            continue
        if isinstance(value, dict) and rng.random() < 0.3:
            del value[place]
        else:
            value[place] = rng.choice(WRONG)
        return
