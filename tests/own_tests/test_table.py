"""The table of duets at the end of a session: short where there are many, and what matters first."""

from __future__ import annotations

from torchduet.own_tests.outcomes import Outcome, Row
from torchduet.own_tests.table import MAX_ROWS, lines


def outcome(verdict: str, number: int = 0) -> Outcome:
    row = Row("mine", "torch", 1.2, 1.1, 1.3, verdict)
    return Outcome(f"test_a.py::test_{number}", "test_a", f"test_{verdict}_{number}", [row])


def test_a_row_has_the_factor_its_interval_and_the_verdict() -> None:
    header, row, counts = lines([outcome("faster")])
    assert header.split() == ["test", "function", "against", "speed-up", "99", "%", "interval", "verdict"]
    assert row == "test_a.test_faster_0  mine      torch       1.20×   1.10 to 1.30  + faster"
    assert counts == "1 comparison: 1 faster"


def test_of_many_the_ones_to_look_at_are_shown_and_the_rest_is_counted() -> None:
    outcomes = [outcome("same", number) for number in range(40)] + [outcome("slower"), outcome("unclear")]
    shown = lines(outcomes)
    assert len(shown) == 1 + MAX_ROWS + 3
    assert any("test_slower_0" in line for line in shown)
    assert any("test_unclear_0" in line for line in shown)
    assert f"and {42 - MAX_ROWS} more, which -v shows" in shown
    assert "42 comparisons: 1 slower, 1 unclear, 40 same" in shown
    assert len(lines(outcomes, verbosity=1)) == 1 + 42 + 2


def test_quiet_output_is_one_line() -> None:
    assert lines([outcome("same"), outcome("slower")], verbosity=-1) == ["2 comparisons: 1 slower, 1 same"]


def test_reasons_are_said_once() -> None:
    run = {"skipped": [{"reason": "no time"}], "warnings": ["load"]}
    several = [
        Outcome("", "s", str(number), [Row("f", "g", None, None, None, "skipped")], run=run) for number in (1, 2)
    ]
    assert lines(several)[-2:] == ["skipped: no time", "warning: load"]
