"""The roofline takes the largest of three lower bounds, and shows what is above its ceiling as it is."""

from __future__ import annotations

import json
from typing import Any

import pytest

from torchduet.bench.record.schema import KEY, CeilingRecord, Record
from torchduet.reports.read.run_file import Run, from_json
from torchduet.reports.tables.roofline import (
    bandwidth_ceiling,
    bound_of,
    bounds,
    ceiling_of,
    compute_ceiling,
    sentences,
)

CEILING = CeilingRecord(
    device="cpu",
    flops_per_second={"fp32": 1e11, "bf16": 5e10},
    bytes_per_second={"1000": 8e10, "1000000": 9e10, "100000000": 1e10},
    operator_seconds=1e-6,
)


def record(document: Any, **changes: Any) -> Record:
    """A record of a given cost that took one millisecond."""
    made = json.loads(json.dumps(document["benchmarks"][0]["extra_info"][KEY]))
    made["timing"]["seconds"] = 1e-3
    made.pop("operators", None)
    made.update(changes)
    return made  # type: ignore[no-any-return]


@pytest.mark.parametrize(
    ("cost", "operators", "kind", "seconds"),
    [
        ({"flops": 5e7, "bytes": 1e6}, 3, "compute", 5e-4),
        ({"flops": 1e6, "bytes": 5e6}, 3, "memory", 5e-4),
        ({"flops": 1e6, "bytes": 1e3}, 500, "overhead", 5e-4),
        ({"bytes": 5e6}, 3, "memory", 5e-4),
    ],
)
def test_the_largest_of_the_three_bounds_counts(
    cost: dict[str, float], operators: int, kind: str, seconds: float, document: Any
) -> None:
    bound = bound_of(record(document, cost=cost, operators=operators), CEILING)
    assert bound is not None
    assert (bound.kind, bound.seconds, bound.share) == (kind, pytest.approx(seconds), pytest.approx(0.5))
    assert not bound.too_high


def test_without_a_cost_there_is_no_bound(document: Any) -> None:
    assert bound_of(record(document, cost={}, operators=10), CEILING) is None


@pytest.mark.parametrize(("precision", "rate"), [("fp32", 1e11), ("bf16", 1e11), ("tf32", 1e11)])
def test_under_autocast_the_better_of_both_ceilings_holds(precision: str, rate: float) -> None:
    assert compute_ceiling(CEILING, precision) == rate


def test_a_faster_precision_has_its_own_ceiling() -> None:
    assert compute_ceiling({**CEILING, "flops_per_second": {"fp32": 1e11, "bf16": 9e11}}, "bf16") == 9e11


@pytest.mark.parametrize(("moved", "rate"), [(10, 9e10), (1e6, 9e10), (2e6, 1e10), (1e12, 1e10)])
def test_bandwidth_is_that_of_working_sets_at_least_as_large(moved: float, rate: float) -> None:
    assert bandwidth_ceiling(CEILING, moved) == rate


def test_a_share_above_one_is_shown_and_named(rich: Run) -> None:
    limits = bounds(rich)
    beyond = [one for one in limits.values() if one.too_high]
    assert beyond
    said = sentences(limits, {name: name for name in limits})
    assert said[0].startswith("A case is far above its ceiling")
    assert "In the median" not in " ".join(said)
    assert "Above the ceiling, so the cost or the ceiling is wrong: " in said[-1]


def test_a_numbered_device_uses_the_ceilings_of_its_kind(rich: Run) -> None:
    assert ceiling_of(rich, "cpu:1") is not None
    assert ceiling_of(rich, "cuda") is None


def test_files_without_ceilings_have_no_bounds(run: Run) -> None:
    assert bounds(run) == {}


@pytest.mark.parametrize("key", ["many", "-1", "1.5", ""])
def test_a_working_set_must_be_whole_bytes(key: str, rich_document: Any) -> None:
    changed = json.loads(json.dumps(rich_document))
    changed[KEY]["ceilings"][0]["bytes_per_second"] = {key: 1e9}
    with pytest.raises(ValueError, match="whole bytes"):
        from_json(changed)


def test_a_ceiling_must_be_above_zero(rich_document: Any) -> None:
    changed = json.loads(json.dumps(rich_document))
    changed[KEY]["ceilings"][0]["flops_per_second"]["fp32"] = 0.0
    with pytest.raises(ValueError, match=r"ceilings\[0\].flops_per_second.fp32"):
        from_json(changed)
