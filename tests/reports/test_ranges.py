"""Ranges of times: every row is drawn with its name and its median, whatever the span of the axis."""

from __future__ import annotations

import pytest

from torchduet.reports.charts.ranges import Range, ranges


@pytest.mark.parametrize("narrow", [False, True])
@pytest.mark.parametrize("factor", [1.0, 1.001, 3.0, 1e6])
def test_every_row_has_its_name_its_median_and_the_axis_two_ticks(narrow: bool, factor: float) -> None:
    rows = [Range("first", 1.5e-4, None, None, None), Range("second", 1.5e-4 * factor, 1.4e-4 * factor, 1e-4, 2e-4)]
    svg = ranges(rows, "r", narrow=narrow)
    assert svg.startswith("<svg")
    for said in ("first", "second", "150 µs"):
        assert said in svg
    assert svg.count("<text") >= 2 * len(rows) + 2  # names, medians, and at least two ticks


def test_a_single_row_can_be_drawn() -> None:
    assert "only" in ranges([Range("only", 1e-3, 0.9e-3, 0.95e-3, 1.1e-3)], "r")
