"""A family's figures and intervals over its visits: worked examples."""

from __future__ import annotations

import math
from typing import Any

import pytest

from torchduet.bench.noise.over_visits import over_visits
from torchduet.bench.record.moderation import Prior, Visits, difference, estimate, prior_degrees, prior_for
from torchduet.bench.record.telemetry import BlockSwitches, Telemetry, Timed
from torchduet.bench.record.visits.intervals import (
    comparisons_of,
    is_precise,
    judged,
    parts_of,
    prior_record,
    priors_of,
    times_of,
)


def switches(share: float | None = None, rate: float | None = None, **more: Any) -> BlockSwitches:
    return BlockSwitches(share, rate, **{"loaders": False, **more})


def visit(begun: float, *cases: str, **more: Any) -> Timed:
    details: dict[str, Any] = {
        "telemetry": Telemetry(1.0),
        "drift": None,
        "gpu": {},
        "whole": switches(),
        "each": {case: switches() for case in cases},
    }
    return Timed(begun=begun, ended=begun + 1.0, **{**details, **more})


def test_visits_with_cases_in_common_are_those_of_one_family() -> None:
    found = over_visits([visit(0.0, "a"), visit(2.0, "b"), visit(4.0, "a", "c"), visit(6.0, "c")])
    assert [(one.timed.begun, one.timed.ended, one.visits) for one in found] == [
        (0.0, 7.0, ((0.0, 1.0), (4.0, 5.0), (6.0, 7.0))),
        (2.0, 3.0, ((2.0, 3.0),)),
    ]


def test_shares_are_weighted_by_time_counts_add_up_and_clocks_are_extremes() -> None:
    first = Telemetry(1.0, others=0.9, steal=0.1, swapped=3, throttled=None, slowest=2e9, fastest=3e9)
    second = Telemetry(3.0, others=0.1, steal=None, swapped=4, throttled=None, slowest=1e9, fastest=2.5e9)
    (one,) = over_visits([visit(0.0, "a", telemetry=first), visit(2.0, "a", telemetry=second)])
    found = one.timed.telemetry
    assert found.seconds == 4.0
    assert (found.others, found.steal, found.stopped) == (pytest.approx(0.3), pytest.approx(0.1), None)
    assert (found.swapped, found.throttled) == (7, None)
    assert (found.slowest, found.fastest) == (1e9, 3e9)


def test_context_switches_are_means_of_shares_and_sums_of_what_was_left_out() -> None:
    first = visit(0.0, "a", "b", each={"a": switches(0.2, 10.0, kept=1), "b": switches(0.5, 1.0)}, drift=0.1, threads=2)
    second = visit(2.0, "a", each={"a": switches(0.4, 30.0, left_out=2, stood_still=1.5, loaders=True)}, drift=0.3)
    third = visit(4.0, "a", each={"a": switches()}, drift=0.9, left_open=True, threads=4)
    (one,) = over_visits([first, second, third])
    of_a = one.timed.each["a"]
    assert (of_a.share, of_a.rate) == (pytest.approx(0.3), pytest.approx(20.0))
    assert (of_a.loaders, of_a.stood_still, of_a.left_out, of_a.kept) == (True, 1.5, 2, 1)
    assert one.timed.each["b"] == switches(0.5, 1.0)
    assert (one.timed.drift, one.timed.left_open, one.timed.threads) == (0.3, True, 4)


def test_the_use_of_a_gpu_by_others_and_its_lowered_clocks_are_means_over_visits() -> None:
    first = visit(0.0, "a", gpu={"heat": 0.4}, used_by_others={"cuda:0": 0.1, "cuda:1": 0.8})
    second = visit(2.0, "a", used_by_others={"cuda:0": 0.3})
    (one,) = over_visits([first, second])
    assert one.timed.gpu == {"heat": pytest.approx(0.2)}
    assert one.timed.used_by_others == {"cuda:0": pytest.approx(0.2), "cuda:1": pytest.approx(0.8)}


def pilot(at: float, busy: float | None = None, **seconds: float) -> Any:
    return {"at": at, "before": "", "seconds": seconds, **({} if busy is None else {"busy": {"cuda:0": busy}})}


def test_pilots_change_within_visits_not_between_them() -> None:
    (one,) = over_visits([visit(1.0, "a"), visit(11.0, "a"), visit(21.0, "a")])
    pilots = [
        *(pilot(0.5, calls=1.0), pilot(2.5, calls=1.1)),
        *(pilot(10.5, calls=5.0), pilot(12.5, calls=6.0)),
        *(pilot(20.5, calls=9.0), pilot(22.5, calls=18.0)),
    ]
    assert one.pilots_change(pilots) == pytest.approx(0.2)  # the median of 10, 20 and 100 %
    assert one.pilots_change([]) is None


def test_of_the_two_ways_to_see_the_use_by_others_the_larger_counts() -> None:
    first, second = visit(1.0, "a", used_by_others={"cuda:0": 0.2}), visit(11.0, "a", used_by_others={"cuda:0": 0.2})
    (one,) = over_visits([first, second])
    pilots = [pilot(0.5, 0.1), pilot(2.5, 0.5), pilot(10.5, 0.3), pilot(12.5, 0.0)]
    assert one.used_by_others(pilots, "cuda:0") == pytest.approx(0.4)  # the mean of 0.5 and 0.3
    assert one.used_by_others([pilot(0.5, 0.1)], "cuda:0") == pytest.approx(0.2)
    assert one.used_by_others(pilots, "cuda:1") is None


def record(visits: list[tuple[float, int]], blocks: list[list[float]], **more: Any) -> Any:
    timing = {"visits": [{"at": at, "placements": placements} for at, placements in visits], "blocks": blocks}
    return {"case": {"family": more.pop("family", "f")}, "timing": timing, "speedups": [], **more}


def test_a_visits_placements_are_those_after_the_visit_before_it() -> None:
    one = record([(0.0, 2), (5.0, 0), (9.0, 1)], [[1.0, 1.0], [4.0], [math.e]])
    assert list(parts_of(one)) == [(0.0, slice(0, 2)), (9.0, slice(2, 3))]
    found = times_of(one)
    assert found.values == pytest.approx((math.log(2.0), 1.0))
    assert found.errors[1] is None


def compared(ratio: float, *ratios: float, **more: Any) -> Any:
    of: dict[str, Any] = {"against": "ref", "knob": "reference", "ratio": ratio, "threshold": 0.02, **more}
    return {**of, "visit_ratios": list(ratios), "visit_errors": [0.001] * len(ratios)} if ratios else of


def test_a_comparison_is_counted_once_however_many_knobs_name_it() -> None:
    twice = [compared(1.5, 1.4, 1.6), compared(1.5, 1.4, 1.6, knob="mode"), compared(2.0, against="other")]
    found = comparisons_of([record([(0.0, 1)], [[1.0]], speedups=twice, trials=[compared(1.0, 0.9, 1.1)])])
    assert [(family, values.values) for family, values in found["speedups"]] == [
        ("f", pytest.approx((math.log(1.4), math.log(1.6)))),
        ("f", (math.log(2.0),)),
    ]
    assert len(found["copies"]) == len(found["times"]) == 1
    assert found["sides"] == []
    assert "device speedups" not in found


def test_the_pairs_of_a_duet_are_moderated_together() -> None:
    of_duet = record([(0.0, 1)], [[1.0]], against={"pair_ratios": [2.0, 4.0], "pair_errors": [0.1, None]})
    ((family, values),) = comparisons_of([of_duet])["sides"]
    assert family == "f"
    assert values.values == pytest.approx((math.log(2.0), math.log(4.0)))
    assert values.errors == (0.1, None)


def test_a_record_is_precise_only_if_all_of_its_intervals_are() -> None:
    narrow, wide = compared(1.5, *[1.5, 1.501, 1.499] * 4), compared(1.5, *[1.2, 1.8, 1.5] * 4)
    stops = {}
    for name, speedups, trials in (("n", [narrow], [narrow]), ("s", [wide], [narrow]), ("t", [narrow], [wide])):
        records = {name: record([(0.0, 1)] * 1, [[1.0]], speedups=speedups, trials=trials)}
        made = judged(records, {}, "limit").records[name]
        stops[name] = made["timing"]["stop"]
    assert stops == {"n": "precise", "s": "limit", "t": "limit"}
    one = judged({"n": record([(0.0, 1)], [[1.0]], speedups=[narrow])}, {}).records["n"]
    assert one["speedups"][0]["verdict"] == "faster"
    assert one["speedups"][0]["ratio"] == pytest.approx(1.5, rel=1e-3)
    assert is_precise(estimate(Visits((0.0,) * 9, (None,) * 9), None))


def test_the_numbers_of_visits_of_a_run_are_the_fewest_the_middle_and_the_most() -> None:
    records = {str(n): record([(float(i), 1) for i in range(n)], [[1.0]] * n) for n in (1, 2, 9)}
    found = judged({**records, "old": {"timing": {}}}, {})  # type: ignore[dict-item]
    assert found.visits is not None
    assert (found.visits["fewest"], found.visits["median"], found.visits["most"]) == (1, 2, 9)
    assert found.records["old"] == {"timing": {}}
    assert judged({}, {}).visits is None


def test_a_prior_comes_back_from_its_record() -> None:
    for prior in (Prior(0.02, 3.5, 12, "run"), Prior(0.01, math.inf, 5, "machine")):
        made: Any = {"fewest": 1, "median": 1, "most": 1, "priors": [prior_record("times", prior)]}
        assert priors_of(made) == {"times": prior}
    assert priors_of(None) == {}


def test_two_sets_of_visits_differ_with_welchs_degrees_of_freedom() -> None:
    scipy_stats = pytest.importorskip("scipy.stats")
    a, b = (0.11, 0.13, 0.10, 0.16), (0.02, 0.07, -0.01)
    found = difference(Visits(a, (None,) * 4), Visits(b, (None,) * 3), None, None, 0.95)
    expected = scipy_stats.ttest_ind(a, b, equal_var=False)
    low, high = expected.confidence_interval(0.95)
    assert found.degrees == pytest.approx(expected.df)
    assert (found.low, found.high) == (pytest.approx(low), pytest.approx(high))
    single = difference(Visits((0.1,), (None,)), Visits(b, (None,) * 3), None, None)
    assert single.degrees == 0
    assert single.half_width == math.inf


def test_the_interval_of_visits_without_a_prior_is_students() -> None:
    scipy_stats = pytest.importorskip("scipy.stats")
    values = (0.11, 0.13, 0.10, 0.16)
    found = estimate(Visits(values, (None,) * 4), None, 0.99)
    mean, deviation = sum(values) / 4, scipy_stats.tstd(values)
    low, high = scipy_stats.t.interval(0.99, 3, mean, deviation / 2)
    assert (found.low, found.high) == (pytest.approx(low), pytest.approx(high))
    assert (found.degrees, found.visits, found.prior) == (3, 4, "none")
    assert found.deviation == pytest.approx(deviation)


def test_an_interval_of_visits_is_moderated_by_the_prior_and_no_narrower_than_their_placements_make_it() -> None:
    scipy_stats = pytest.importorskip("scipy.stats")
    values, prior = (0.10, 0.12), Prior(0.03, 4.0, 20, "run")
    found = estimate(Visits(values, (0.01, 0.01)), prior, 0.99)
    variance = (4 * (0.03**2 + 0.01**2) + 1 * 0.0002) / 5
    width = scipy_stats.t.ppf(0.995, 5) * math.sqrt(variance / 2)
    assert found.half_width == pytest.approx(width)
    assert (found.point, found.degrees, found.prior) == (pytest.approx(0.11), 5.0, "run")
    exact = estimate(Visits((0.1, 0.1, 0.1), (0.05,) * 3), None, 0.99)
    assert exact.half_width == pytest.approx(scipy_stats.norm.ppf(0.995) * 0.05 / math.sqrt(3), rel=1e-4)


def test_an_unlikely_variance_gets_fewer_prior_degrees() -> None:
    scipy_stats = pytest.importorskip("scipy.stats")
    assert prior_degrees(1.0, 3.0, 1.0, 8.0) == 8.0
    assert prior_degrees(2.0, 3.0, 1.0, 8.0) == 8.0  # a chance of 19 % is not unlikely
    assert prior_degrees(20.0, 3.0, 1.0, 8.0) == pytest.approx(8.0 * scipy_stats.f.sf(20.0, 3, 8) / 0.05)
    assert prior_degrees(2.0, 0.0, 1.0, 8.0) == 8.0
    assert prior_degrees(2.0, 3.0, 0.0, 8.0) == 0.0


def test_built_in_figures_are_for_one_or_two_visits_alone() -> None:
    three, two = Visits((0.1, 0.2, 0.3), (None,) * 3), Visits((0.1, 0.2), (None,) * 2)
    machine = Prior(0.01, 3.0, 9, "machine")
    assert prior_for("times", [("f", three)], None) is None
    found = prior_for("times", [("f", three), ("g", two)], None)
    assert found is not None
    assert found.source == "typical"
    assert prior_for("times", [("f", two)], machine) is machine
    assert estimate(three, found).prior == "none"
    assert estimate(two, found).prior == "typical"
