"""The roofline of worked examples: which cases are drawn, where, and which are above their ceiling."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from torchduet.bench.record.schema import CeilingRecord
from torchduet.reports.charts.roofline import roofcharts
from torchduet.reports.tables.roofline import (
    Bound,
    bandwidth_ceiling,
    bound_of,
    bounds,
    ceiling_of,
    compute_ceiling,
    points,
    sentences,
)


def ceiling(device: str = "cpu", flops: float = 1e10) -> CeilingRecord:
    return CeilingRecord(
        device=device,
        flops_per_second={"fp32": flops},
        bytes_per_second={"1000": 8e9, "1000000": 2e9},
        operator_seconds=1e-6,
    )


def record(name: str, seconds: float, device: str = "cpu", operators: int | None = None, **cost: float) -> Any:
    return {
        "case": {"id": name, "device": device, "precision": "fp32"},
        "cost": cost,
        "timing": {"seconds": seconds},
        **({} if operators is None else {"operators": operators}),
    }


# At 10 GFLOP/s and 2 GB/s: 1 ms of operations, and 0.5 ms of bytes.
COMPUTE = record("compute", 4e-3, flops=1e7, bytes=1e6)
MEMORY = record("memory", 2e-3, flops=1e6, bytes=3e6)  # 1.5 ms of bytes
OVERHEAD = record("overhead", 1e-3, operators=900, flops=1e3, bytes=1e3)  # 0.9 ms of dispatching
TOO_FAST = record("too fast", 0.5e-3, flops=1e7, bytes=1e6)
NO_BYTES = record("no bytes", 1e-3, flops=1e6)


def run(*records: Any, ceilings: tuple[CeilingRecord, ...] = (ceiling(),)) -> Any:
    return SimpleNamespace(records=list(records), about={"ceilings": list(ceilings)})


RUN = run(COMPUTE, MEMORY, OVERHEAD, TOO_FAST, NO_BYTES)
NAMES = {one["case"]["id"]: one["case"]["id"] for one in RUN.records}


def test_each_case_has_its_largest_bound_as_a_share_of_its_time() -> None:
    found = bounds(RUN)
    assert {name: (bound.kind, round(bound.share, 6)) for name, bound in found.items()} == {
        "compute": ("compute", 0.25),
        "memory": ("memory", 0.75),
        "overhead": ("overhead", 0.9),
        "too fast": ("compute", 2.0),
        "no bytes": ("compute", 0.1),
    }
    assert {name for name, bound in found.items() if bound.too_high} == {"too fast"}


@pytest.mark.parametrize(("share", "above"), [(1.0, False), (1.005, False), (1.006, True)])
def test_a_share_that_reads_as_100_per_cent_is_not_above(share: float, above: bool) -> None:
    assert Bound("compute", 1.0, share).too_high is above


def test_a_point_lies_at_its_operations_per_byte_and_per_second() -> None:
    found = points(RUN, "cpu", NAMES, bounds(RUN))
    assert [point.name for point in found] == ["compute", "memory", "overhead", "too fast"]
    assert (found[0].intensity, found[0].flops_per_second) == (10.0, pytest.approx(2.5e9))
    assert found[1].intensity == pytest.approx(1 / 3)
    assert found[1].bound.kind == "memory"
    assert points(RUN, "cuda:0", NAMES, bounds(RUN)) == []


def test_the_chart_has_every_case_whose_operations_and_bytes_are_known() -> None:
    (chart,) = roofcharts(RUN, NAMES, bounds(RUN))
    assert (
        "4 cases under ceilings of 10.0 GFLOP/s and 2.00 GB/s from memory (8.00 GB/s from cache)" in chart.alternative
    )
    assert "2 bound by compute, 1 bound by memory, 1 bound by overhead" in chart.alternative
    assert "range from 25 % (compute) to 200 % (too fast)" in chart.alternative
    assert roofcharts(run(NO_BYTES), NAMES, bounds(run(NO_BYTES))) == []


def test_the_sentences_count_what_bounds_cases_and_name_the_lowest_and_those_above() -> None:
    slightly = record("too fast", 0.95e-3, flops=1e7, bytes=1e6)
    first, lowest, above = sentences(bounds(run(COMPUTE, MEMORY, OVERHEAD, slightly, NO_BYTES)), NAMES)
    assert first == (
        "Of 5 cases with a known cost, 3 are bound by compute and 1 is bound by memory and 1 is bound by overhead. "
        "In the median those bound by compute reach 25 %, those bound by memory reach 75 %, those bound by overhead "
        "reach 90 % of their ceiling."
    )
    assert lowest == (
        "The lowest shares are reached by no bytes (10 % of compute), compute (25 % of compute), "
        "memory (75 % of memory)."
    )
    assert above == "Above the ceiling, so the cost or the ceiling is wrong: too fast (105 % of compute)."


def test_shares_of_doubtful_ceilings_are_not_stated() -> None:
    doubt, above = sentences(bounds(RUN), NAMES)
    assert doubt.startswith("A case is far above its ceiling, so the ceilings, or its cost, are wrong: ")
    assert above == "Above the ceiling, so the cost or the ceiling is wrong: too fast (200 % of compute)."
    (only,) = sentences({"a": Bound("memory", 1.0, 0.5)}, {"a": "a"}, disturbed=True)
    assert only.startswith("The machine was disturbed, and the ceilings were measured beside other work: ")
    assert "%" not in only


def test_without_a_case_above_nothing_is_said_of_any_and_of_many_the_highest_are_named() -> None:
    one = {"a": Bound("memory", 1.0, 0.5)}
    assert sentences(one, {"a": "a"}) == [
        "Of 1 case with a known cost, 1 is bound by memory. In the median those bound by memory reach 50 % of their "
        "ceiling.",
        "The lowest share is reached by a (50 % of memory).",
    ]
    many = {name: Bound("compute", 1.0, share) for name, share in zip("abcd", (1.1, 4.0, 2.0, 3.0), strict=True)}
    assert sentences(many, {name: name for name in many})[-1].endswith(
        "b (400 % of compute), d (300 % of compute), c (200 % of compute) and 1 more."
    )
    three = {name: many[name] for name in "abc"}
    assert "more" not in sentences(three, {name: name for name in three})[-1]


def test_a_device_has_its_own_ceilings_before_those_of_its_kind() -> None:
    kind, own = ceiling("cuda", 1e12), ceiling("cuda:1", 2e12)
    of = run(ceilings=(ceiling(), kind, own))
    assert ceiling_of(of, "cuda:1") is own
    assert ceiling_of(of, "cuda:0") is kind
    assert ceiling_of(of, "cpu") == ceiling()
    assert ceiling_of(of, "xpu") is None
    assert ceiling_of(run(ceilings=(own,)), "cuda:0") is own


def test_a_case_in_ranks_or_without_a_cost_has_no_bound() -> None:
    ranked = record("r", 1.0, flops=1e6)
    ranked["case"]["ranks"] = 2
    assert bound_of(ranked, ceiling()) is None
    assert bound_of(record("n", 1.0, operators=50), ceiling()) is None
    assert bound_of(record("n", 1.0, operators=50, samples=3.0), ceiling()) is None
    assert bound_of(record("n", 1.0, bytes=2e6), ceiling()) == Bound("memory", 1e-3, 1e-3)
    empty = CeilingRecord(device="cpu", flops_per_second={}, bytes_per_second={}, operator_seconds=1e-6)
    assert bound_of(record("n", 1.0, flops=1e6, bytes=1e6), empty) is None


def test_the_bandwidth_is_the_best_of_working_sets_at_least_as_large() -> None:
    assert [bandwidth_ceiling(ceiling(), moved) for moved in (10, 1000, 1001, 1e6, 1e9)] == [8e9, 8e9, 2e9, 2e9, 2e9]
    assert compute_ceiling(ceiling(), "bf16") == 1e10  # what is not measured has that of fp32
