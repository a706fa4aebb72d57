"""The figures of several processes: each formula with numbers computed by hand."""

from __future__ import annotations

from typing import Any, cast

import pytest

from torchduet.bench.record.schema import Record, SpeedupRecord
from torchduet.reports.findings.processes.words import interval, share, share_words
from torchduet.reports.tables.pairs import PairRatio
from torchduet.reports.tables.ranks import Estimate, bandwidth, efficiency, exposed, other_work, skew


def record(number: int, samples: int | None = None, *, notes: tuple[str, ...] = (), **more: Any) -> Record:
    cost = {} if samples is None else {"samples": samples}
    plain: dict[str, Any] = {"case": {"ranks": number}, "cost": cost, "notes": list(notes)}
    return cast(Record, {**plain, **more})


def held(ratio: float, low: float | None, high: float | None, verdict: str = "unclear") -> PairRatio:
    return PairRatio(ratio, low, high, verdict, 12)


def compared(knob: str, ratio: float = 0.6, low: float | None = 0.5, high: float | None = 0.75) -> SpeedupRecord:
    return cast(SpeedupRecord, {"knob": knob, "ratio": ratio, "low": low, "high": high})


def test_strong_scaling_divides_the_speed_up_by_the_ranks() -> None:
    found = efficiency(record(1, 256), record(4, 256), held(3.0, 2.8, 3.2, "faster"))
    assert found is not None
    assert (found.scaling, found.verdict) == ("strong", "faster")
    assert (found.share.value, found.share.low, found.share.high) == pytest.approx((0.75, 0.7, 0.8))
    assert found.throughput.value == 3.0


def test_weak_scaling_is_the_ratio_of_times() -> None:
    """4 ranks with 64 samples each, a call of which takes 1 / 0.8 = 1.25 times as long as one rank's."""
    found = efficiency(record(1, 64), record(4, 256), held(0.8, 0.78, 0.82, "slower"))
    assert found is not None
    assert found.scaling == "weak"
    assert (found.share.value, found.share.low, found.share.high) == pytest.approx((0.8, 0.78, 0.82))
    assert found.throughput.value == pytest.approx(3.2)
    assert found.verdict == "faster"  # in samples per second, however much longer a call takes


@pytest.mark.parametrize(
    ("ratio", "verdict"),
    [((0.4, 0.38, 0.42), "slower"), ((0.5, 0.496, 0.504), "same"), ((0.5, 0.45, 0.55), "unclear")],
)
def test_weak_scaling_is_judged_by_samples_per_second(ratio: tuple[float, float, float], verdict: str) -> None:
    found = efficiency(record(1, 64), record(2, 128), held(*ratio, "slower"))
    assert found is not None
    assert found.verdict == verdict


def test_a_verdict_that_the_run_withheld_stays_withheld() -> None:
    noisy = record(2, 128, notes=("no verdict: the machine was disturbed",))
    found = efficiency(record(1, 64), noisy, held(0.9, 0.88, 0.92))
    assert found is not None
    assert found.verdict == "unclear"


def test_two_ranks_can_be_what_others_are_held_against() -> None:
    found = efficiency(record(2, 256), record(8, 256), held(2.0, None, None))
    assert found is not None
    assert (found.share.value, found.share.low, found.share.high) == (0.5, None, None)


def test_samples_that_grow_otherwise_are_counted_too() -> None:
    """2 ranks, 3 times the samples, 1.5 times the time: twice the samples per second."""
    found = efficiency(record(1, 100), record(2, 300), held(2 / 3, 0.6, 0.7))
    assert found is not None
    assert found.scaling == "mixed"
    assert found.throughput.value == pytest.approx(2.0)
    assert found.share.value == pytest.approx(1.0)


@pytest.mark.parametrize("samples", [(None, 256), (256, None), (None, None)])
def test_without_samples_efficiency_is_not_known(samples: tuple[int | None, int | None]) -> None:
    assert efficiency(record(1, samples[0]), record(2, samples[1]), held(1.5, 1.4, 1.6)) is None


def test_exposed_communication_is_what_the_step_without_it_lacks() -> None:
    """6 ms without and 10 ms with: 4 of 10 ms. The ends of the interval change places."""
    found = exposed(compared("communication"))
    assert (found.value, found.low, found.high) == pytest.approx((0.4, 0.25, 0.5))
    assert exposed(compared("communication", 1.05, None, None)) == Estimate(pytest.approx(-0.05), None, None)


def test_skew_is_a_share_of_the_slowest_ranks_time() -> None:
    ranks = {"backend": "gloo", "threads": 1, "seconds": [0.008, 0.010], "skew": 0.0025}
    assert skew(record(2, ranks=ranks)) == pytest.approx(0.25)
    assert skew(record(1, ranks={**ranks, "seconds": [0.01], "skew": 0.0})) is None
    assert skew(record(1)) is None
    assert skew(record(2, ranks={**ranks, "seconds": [0.01, 0.0009]})) is None  # one of them calls, the other serves


def test_bandwidths_are_bytes_over_time() -> None:
    """An all_reduce of 1 MB between 4 ranks in 2 ms; nccl-tests counts 2 · 3/4 of it on the bus."""
    timing = {"seconds": 2e-3, "low": 1.6e-3, "high": 2.5e-3}
    of = record(4, cost={"message": 1e6, "bus": 1.5e6}, timing=timing)
    algorithm, bus = bandwidth(of, "message"), bandwidth(of, "bus")
    assert algorithm is not None
    assert bus is not None
    assert (algorithm.value, algorithm.low, algorithm.high) == pytest.approx((5e8, 4e8, 6.25e8))
    assert (bus.value, bus.low, bus.high) == pytest.approx((7.5e8, 6e8, 9.375e8))
    few = record(4, cost={"message": 1e6}, timing={**timing, "low": None, "high": None})
    assert bandwidth(few, "message") == Estimate(pytest.approx(5e8), None, None)
    assert bandwidth(few, "bus") is None
    assert bandwidth(record(4, cost={"message": 0.0, "bus": 0.0}, timing=timing), "bus") is None  # a barrier


def test_cases_that_do_different_work_are_known() -> None:
    one, two, twice = record(1, 64), record(2, 64), record(2, 128)
    assert not other_work(two, one, compared("ranks"))
    assert other_work(twice, one, compared("ranks"))
    assert other_work(two, one, compared("communication"))
    part = record(2, 64, case={"ranks": 2, "role": "part"})
    assert other_work(part, one, compared("ranks"))
    small, large = (record(n, cost={"message": 1024.0}) for n in (2, 4))
    assert other_work(large, small, compared("ranks"))
    assert other_work(large, None, compared("ranks"))
    assert not other_work(large, large, compared("implementation"))
    assert other_work(record(2), record(1), compared("ranks"))  # without samples it is not known
    assert not other_work(record(2), record(2), compared("implementation"))
    assert other_work(two, None, compared("ranks"))  # the other has no record
    assert other_work(two, None, compared("reference"))
    assert not other_work(two, None, compared("implementation"))
    assert not other_work(record(0, case={}), None, compared("reference"))


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (0.391, "39 %"),
        (0.0949, "9.5 %"),
        (0.0996, "10 %"),
        (-0.0312, "−3.1 %"),
        (-0.0001, "0.0 %"),
        (1.2, "120 %"),
        (-2.05, "−205 %"),
    ],
)
def test_shares_in_words(value: float, words: str) -> None:
    assert share(value) == words


def test_an_interval_of_a_share_shows_its_width() -> None:
    assert interval(Estimate(0.44, 0.311, 0.639)) == "31 % to 64 %"
    assert interval(Estimate(0.25, 0.2497, 0.2541)) == "25.0 % to 25.4 %"
    assert share_words(Estimate(0.25, None, None)) == "25 % (no interval)"
