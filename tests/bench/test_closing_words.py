"""The closing table's figures stay short where an interval decides nothing."""

from __future__ import annotations

from typing import Any

import pytest

from tests.reports.sample import make_run
from torchduet.bench.plugin.closing_table import table, unclear
from torchduet.bench.record.schema import KEY
from torchduet.bench.record.speedups import counted


def record(ratio: float, low: float | None, high: float | None) -> Any:
    """One of a made-up run, with this speed-up alone."""
    records = [benchmark["extra_info"][KEY] for benchmark in make_run()["benchmarks"]]
    found = next(record for record in records if any(speedup["knob"] == "mode" for speedup in counted(record)))
    speedup = next(speedup for speedup in counted(found) if speedup["knob"] == "mode")
    found["speedups"] = [{**speedup, "ratio": ratio, "low": low, "high": high, "verdict": "unclear"}]
    return found


@pytest.mark.parametrize(
    ("ratio", "low", "high", "words"),
    [
        (0.931, 0.28, 2.7, " 0.28 to 2.70  "),
        (0.931, 0.28, 3.11, "  0.931×  0.28 to 3.1, too wide  "),
        (0.28, 0.02, 3.9, "  0.280×  0.020 to 3.9, too wide  "),
        (1624.4, 2e-9, 3e15, "  1,620×  "),
        (1624.4, 2e-9, 3e15, ", too wide  "),
        (0.00042, 0.0004, 0.00044, "  0.00042×  "),
    ],
)
def test_a_wide_interval_is_short_and_is_called_too_wide(ratio: float, low: float, high: float, words: str) -> None:
    row = table([record(ratio, low, high)])[1]
    assert words.strip() in row
    assert ("too wide" in row) == (high > 10 * low)
    assert len(row) <= 120


def test_the_widest_speed_up_is_named_by_its_interval() -> None:
    (line,) = unclear([record(0.931, 0.28, 3.11)])
    assert ", 0.28 to 3.1, too wide)" in line
    (line,) = unclear([record(1.0, 0.9, 1.1)])
    assert ", ±" in line
    (line,) = unclear([record(1.0, None, None)])
    assert "too few placements for an interval" in line
