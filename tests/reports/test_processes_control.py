"""The control, and the rank that is slower: by simulation rarely wrong, and not blind."""

from __future__ import annotations

import dataclasses
import math
import random
import statistics
from collections.abc import Callable
from typing import cast

import pytest

from torchduet.bench.record.schema import RanksRecord, Record, SpeedupRecord
from torchduet.bench.record.statistics import THRESHOLD, placement_differences, speedup_of
from torchduet.reports.findings.processes.control import (
    Control,
    Outcome,
    control,
    further_placement,
    mean_interval,
    sentences,
)
from torchduet.reports.findings.processes.names import Names
from torchduet.reports.findings.processes.per_rank import slow_rank

TRIALS = 250
Blocks = list[list[float]]


def record(name: str, blocks: Blocks, sizes: list[int], alone: list[float]) -> Record:
    visits = [{"at": 10.0 * place, "placements": size} for place, size in enumerate(sizes)]
    timing = {"blocks": blocks, "visits": visits}
    return cast(Record, {"case": {"id": name}, "timing": timing, "alone": alone})


def simulated(
    rng: random.Random,
    sizes: list[int],
    *,
    noise: float,
    visits: float = 0.0,
    placements: float = 0.0,
    drift: float = 0.0,
    outliers: float = 0.0,
    shift: float = 1.0,
) -> Control:
    """Two cases timed in alternation and in five segments of their own; times are lognormal.

    Args:
        sizes: placements of each visit, with three rounds each; the segments follow the last placement of the first.
        noise: standard deviation of the logarithm of a block.
        visits, placements: the same of what differs between the two sides from visit to visit, and from placement to
            placement.
        drift: by how much (log) the machine becomes slower over the segments, and over each visit.
        outliers: share of blocks and segments that take three times as long.
        shift: by how much the first case's segments take longer than its blocks.
    """

    def block(effect: float) -> float:
        slow = 3.0 if rng.random() < outliers else 1.0
        return 0.01 * slow * math.exp(effect + rng.gauss(0, noise))

    first: Blocks = []
    second: Blocks = []
    of_segments = 0.0
    for visit, size in enumerate(sizes):
        of_visit = rng.gauss(0, visits)
        for placement in range(size):
            effect = of_visit + rng.gauss(0, placements)
            now = drift * placement / max(1, size)
            first.append([block(now) for _ in range(3)])
            second.append([block(now + effect) for _ in range(3)])
            if visit == 0:
                of_segments = effect
    steps = [drift * (1 + place / 5) for place in range(5)]
    alone = [block(step) * shift for step in steps], [block(step + of_segments) for step in steps]
    estimate = speedup_of(placement_differences(first, second))
    finite = math.isfinite(estimate.high)
    compared = {
        "against": "a",
        "ratio": estimate.ratio,
        "low": estimate.low if finite else estimate.ratio,
        "high": estimate.high if finite else estimate.ratio,
        "threshold": THRESHOLD,
    }
    baseline, case = record("a", first, sizes, alone[0]), record("b", second, sizes, alone[1])
    return control(case, baseline, cast(SpeedupRecord, compared))


def disagreeing(sizes: list[int], trials: int = TRIALS, **effects: float) -> float:
    """The share of simulated comparisons in which the control disagrees."""
    rng = random.Random(20)
    return sum(simulated(rng, sizes, **effects).agrees is False for _ in range(trials)) / trials


@pytest.mark.parametrize(
    "effects",
    [
        {"noise": 0.005},
        {"noise": 0.02},
        {"noise": 0.2},
        {"noise": 0.005, "placements": 0.05},
        {"noise": 0.005, "visits": 0.1},
        {"noise": 0.01, "visits": 0.05, "placements": 0.05, "drift": 0.3},
        {"noise": 0.01, "outliers": 0.1},
    ],
    ids=str,
)
@pytest.mark.parametrize("sizes", [[2, 2, 3], [8, 8, 8], [12]], ids=str)
def test_where_alternating_changes_nothing_both_agree(sizes: list[int], effects: dict[str, float]) -> None:
    """At most 1 of 250 here, 5 of 1500 in a longer run; a run has some tens of comparisons."""
    assert disagreeing(sizes, **effects) <= 1 / TRIALS


@pytest.mark.parametrize(("noise", "shift"), [(0.005, 1.15), (0.005, 1 / 1.15), (0.03, 1.6), (0.03, 1 / 1.6)])
def test_a_ratio_that_alternating_changes_is_found(noise: float, shift: float) -> None:
    assert disagreeing([8, 8, 8], 200, noise=noise, visits=noise, shift=shift) > 0.9


def test_less_than_the_threshold_is_no_disagreement() -> None:
    assert disagreeing([8, 8, 8], 200, noise=1e-5, shift=1 + THRESHOLD / 2) == 0.0


def test_both_ratios_are_those_of_the_records() -> None:
    """Segments of 3 ms against 2 ms; blocks of 2 ms against 2 ms."""
    blocks = [[2e-3 * math.exp(1e-3 * place)] * 3 for place in (-1, 0, 1, 0)]
    flat = [[2e-3] * 3] * 4
    compared = cast(SpeedupRecord, {"against": "a", "ratio": 1.0, "low": 0.99, "high": 1.01, "threshold": THRESHOLD})
    found = control(
        record("b", flat, [4], [2e-3] * 5),
        record("a", blocks, [4], [3e-3, 3.003e-3, 2.997e-3] * 1 + [3e-3] * 2),
        compared,
    )
    assert found.alone.value == pytest.approx(1.5, rel=1e-3)
    assert found.alternated.value == 1.0
    assert found.agrees is False


@pytest.mark.parametrize(("segments", "placements"), [(2, 4), (5, 2)])
def test_of_too_few_nothing_is_said(segments: int, placements: int) -> None:
    blocks = [[2e-3, 2.1e-3, 1.9e-3]] * placements
    compared = cast(SpeedupRecord, {"against": "a", "ratio": 1.0, "low": 0.9, "high": 1.1, "threshold": THRESHOLD})
    of = [record(name, blocks, [placements], [1e-3] * segments) for name in "ba"]
    assert control(of[0], of[1], compared).outcome is Outcome.FEW


@pytest.mark.parametrize(
    ("effects", "outcome"), [({"noise": 0.005}, Outcome.AGREES), ({"noise": 0.4}, Outcome.WIDE)], ids=str
)
def test_an_agreement_that_noise_would_hide_is_none(effects: dict[str, float], outcome: Outcome) -> None:
    """Two intervals from <0.01 to >100 always meet."""
    rng = random.Random(21)
    found = [simulated(rng, [2, 2, 3], **effects) for _ in range(50)]
    assert {of.outcome for of in found} == {outcome}
    assert {of.agrees for of in found} == {True if outcome is Outcome.AGREES else None}


@pytest.mark.parametrize("noise", [0.005, 0.05])
def test_what_agrees_would_have_shown_a_change(noise: float) -> None:
    """The same times, one side's segments twice as long: none that agreed before does so still."""
    agreeing = 0
    for seed in range(100):
        as_is, changed = (simulated(random.Random(seed), [8, 8], noise=noise, shift=shift) for shift in (1.0, 2.0))
        if as_is.outcome is Outcome.AGREES:
            agreeing += 1
            assert changed.outcome is Outcome.DIFFERS
    assert agreeing > 10


@pytest.mark.parametrize(
    ("outcomes", "said"),
    [
        ("AAA", "agrees with the alternation in all 3 comparisons, within the noise of both."),
        ("A", "agrees with the alternation in 1 comparison, within the noise of both."),
        ("AAF", "in all 2 comparisons that could be judged, within the noise of both; of 3 in all, 1 had too few "),
        ("DAFFW", "in 1 of 2 comparisons that could be judged, within the noise of both; of 5 in all, 2 had too few "),
        ("AWW", "of 3 in all, in 2 noise would hide a change of the ratio by half."),
        ("FFW", "could judge 0 of 3 comparisons: 2 had too few placements or segments, in 1 noise would hide "),
    ],
)
def test_what_is_not_judged_is_counted(outcomes: str, said: str) -> None:
    rng = random.Random(22)
    like = simulated(rng, [8, 8, 8], noise=0.005)
    named = {outcome.name[0]: outcome for outcome in Outcome}
    case = {"suite": "mine", "workload": "sum", "size_label": "", "implementation": "way", "ranks": 2}
    one = cast(Record, {"case": {**case, "id": "a", "device": "cpu", "mode": "eager", "precision": "fp32"}})
    found = [dataclasses.replace(like, record=one, outcome=named[letter]) for letter in outcomes]
    first, *others = sentences(found, Names([one]), {"a": one})
    assert said in first
    assert len(others) == outcomes.count("D")
    assert list(sentences([], Names([]), {})) == []


def test_intervals_by_hand() -> None:
    """Of 0, 1 and 2: mean 1, standard deviation 1; t(2) at 99 % is 9.925."""
    assert mean_interval([0.0, 1.0, 2.0]) == pytest.approx(
        (1 - 9.925 / math.sqrt(3), 1 + 9.925 / math.sqrt(3)), abs=1e-3
    )
    assert further_placement(1.0, [0.0, 1.0, 2.0]) == pytest.approx(
        (1 - 9.925 * math.sqrt(4 / 3), 1 + 9.925 * math.sqrt(4 / 3)), abs=2e-3
    )


def ranks_of(times: list[list[float]]) -> RanksRecord:
    """What a worker records of each block's times, rank by rank."""
    return RanksRecord(
        backend="gloo",
        threads=1,
        seconds=[statistics.median(column) for column in zip(*times, strict=True)],
        mean=statistics.median(statistics.fmean(row) for row in times),
        least=statistics.median(map(min, times)),
        skew=statistics.median(max(row) - min(row) for row in times),
        slowest=[sum(row.index(max(row)) == rank for row in times) for rank in range(len(times[0]))],
    )


def named(rng: random.Random, ranks: int, blocks: int, spread: Callable[[], float], slower: float = 0.0) -> int | None:
    """The rank that is named, where the last takes longer by a share of the time, and all drift together."""
    times = []
    for _ in range(blocks):
        now = math.exp(rng.gauss(0, 0.1))
        times.append([now * (1 + spread() + (slower if rank == ranks - 1 else 0.0)) for rank in range(ranks)])
    return slow_rank(ranks_of(times))


@pytest.mark.parametrize("ranks", [2, 3, 8, 12])
@pytest.mark.parametrize("blocks", [5, 30, 300])
@pytest.mark.parametrize("noise", [0.01, 0.2])
def test_of_ranks_that_are_alike_none_is_named(ranks: int, blocks: int, noise: float) -> None:
    rng = random.Random(7)
    wrong = sum(named(rng, ranks, blocks, lambda: abs(rng.gauss(0, noise))) is not None for _ in range(300))
    assert wrong <= 2


def test_a_rank_that_is_slower_is_named() -> None:
    rng = random.Random(8)
    for ranks, blocks in ((2, 120), (4, 60), (8, 60)):
        assert {named(rng, ranks, blocks, lambda: rng.gauss(0, 0.01), 0.1) for _ in range(20)} == {ranks - 1}


def test_a_rank_is_named_by_both_how_often_and_how_much_it_is_slower() -> None:
    """30 of 30 blocks: 2 · 2⁻³⁰. 13 of 13: 2 · 2⁻¹³ = 2.4e-4, which is not rare enough; 15 of 15 are."""

    def of(seconds: list[float], slowest: list[int]) -> int | None:
        ranks = {"backend": "gloo", "threads": 1, "seconds": seconds, "mean": 1.0, "least": 1.0, "skew": 0.01}
        return slow_rank(cast(RanksRecord, {**ranks, "slowest": slowest}))

    assert of([1.0, 1.03], [0, 30]) == 1
    assert of([1.03, 1.0], [30, 0]) == 0
    assert of([1.0, 1.019], [0, 30]) is None  # within the threshold
    assert of([1.0, 1.03], [0, 13]) is None
    assert of([1.0, 1.03], [0, 15]) == 1
    assert of([1.0, 1.03], [300, 700]) is None  # not in most blocks
    assert of([1.0], [30]) is None
    assert of([0.01, 1.0], [0, 30]) is None  # they do different work
    assert of([1.0, 1.03], []) is None  # a file that does not say


def test_without_counts_no_rank_is_named() -> None:
    ranks = ranks_of([[1.0, 2.0]] * 50)
    del ranks["slowest"]
    assert slow_rank(ranks) is None
