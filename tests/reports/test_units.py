"""Numbers read as people write them."""

from __future__ import annotations

import pytest

from torchduet.reports.text import units


@pytest.mark.parametrize(
    ("value", "shown"),
    [(3.2e-9, "3.20 ns"), (9.996e-7, "1.00 µs"), (1.234e-6, "1.23 µs"), (0.0123, "12.3 ms"), (75.0, "75.0 s")],
)
def test_a_time_has_three_digits_and_a_unit(value: float, shown: str) -> None:
    assert units.seconds(value) == shown


def test_both_ends_of_an_interval_share_a_unit() -> None:
    assert units.seconds_interval(0.00098, 0.00103) == "0.980 to 1.03 ms"
    assert units.seconds_interval(None, None) == ""


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (0.0, "0 s"),
        (0.00000123, "1.2 µs"),
        (0.0011, "1.1 ms"),
        (0.0996, "0.10 s"),
        (0.42, "0.42 s"),
        (6.2, "6.2 s"),
        (75, "75 s"),
        (840, "14 min"),
        (5400, "90 min"),
        (9000, "2.5 h"),
        (1e6, "12 days"),
    ],
)
def test_a_wait_has_the_unit_one_would_say(value: float, shown: str) -> None:
    assert units.duration(value) == shown


@pytest.mark.parametrize(
    ("value", "shown"),
    [(1.0, "1"), (11.2, "12"), (11_432, "11,400"), (3.42e6, "3.42 million"), (9.999e5, "1.00 million")],
)
def test_calls_are_counted_with_three_digits(value: float, shown: str) -> None:
    assert units.count(value) == shown


def test_a_narrow_interval_gets_a_digit_more() -> None:
    assert units.ratio_interval(1.281, 1.334) == "1.28 to 1.33"
    assert units.ratio_interval(0.9981, 1.0032) == "0.998 to 1.003"
    assert units.ratio_interval(None, None) == ""


def test_an_interval_that_decides_nothing_is_not_spelled_out() -> None:
    assert units.ratio_interval(1.9e-9, 3.5e8) == "<0.008 to >80"
    assert units.ratio_interval(0.02, 150.0) == "0.020 to 150"
    assert units.ratio_interval(5.0, 1624.0) == "5.0 to >1,000"
    assert units.ratio_interval(0.0004, 0.9) == "<0.001 to 0.90"
    assert units.ratio_interval(1450.0, 1624.0) == "1,450 to 1,620"  # narrow: so large a speed-up is measured
    assert units.seconds_interval(2e-12, 4.5e5) == "<9.49 µs to >94.9 ms"


def test_a_tiny_rate_is_not_spelled_out_in_zeros() -> None:
    assert [units.small(value) for value in (0.0, 2.8e-6, 0.0123, 123.4)] == ["0", "<0.001", "0.0123", "123"]


def test_units_of_rate_and_size() -> None:
    assert units.rate(3.2e9, "FLOP/s") == "3.20 GFLOP/s"
    assert units.size(8 * 2**30) == "8.00 GiB"
    assert units.percent(0.02) == "2 %"


@pytest.mark.parametrize(
    ("value", "unit", "shown"),
    [
        (0.0123, "s", "12.3 ms"),
        (319_000, "bytes", "312 KiB"),
        (21.0, "", "21"),
        (0.96643, "", "0.9664"),
        (4039.7, "1/s", "4,040/s"),
        (12.345, "samples", "12.3 samples"),
        (0.0, "", "0"),
    ],
)
def test_what_a_case_notes_has_its_unit(value: float, unit: str, shown: str) -> None:
    assert units.quantity(value, unit) == shown
