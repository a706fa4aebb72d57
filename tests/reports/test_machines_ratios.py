"""What a machine does beside the base, in words: no fraction of the base's speed is left to be read."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.reports.on_machines import epyc, h200, xeon
from torchduet.reports.machines import ratios
from torchduet.reports.machines.brief import markdown
from torchduet.reports.machines.comparison import comparison
from torchduet.reports.machines.page import page
from torchduet.reports.machines.prices import Prices
from torchduet.reports.machines.text import terminal

WORDS = (ratios.as_fast, ratios.as_fast_in_short, ratios.work_for_money, ratios.work_for_money_in_short)


@pytest.mark.parametrize(
    ("ratio", "words"),
    [
        (1.3, ("1.30×", "1.30×", "1.30×", "1.30×")),
        (1.0, ("1.00×",) * 4),
        (0.9999, ("1.00×",) * 4),
        (1 / 59.4, ("takes 59.4 times as long", "59.4× as long", "costs 59.4 times as much", "59.4× the cost")),
        (0.0022, ("takes 455 times as long", "455× as long", "costs 455 times as much", "455× the cost")),
    ],
)
def test_less_than_the_base_is_said_the_other_way_round(ratio: float, words: tuple[str, ...]) -> None:
    assert tuple(say(ratio) for say in WORDS) == words


@given(st.floats(1e-9, 1e9))
def test_no_number_that_is_shown_is_below_one(ratio: float) -> None:
    for say in WORDS:
        (number,) = re.findall(r"[\d.,]+", say(ratio))
        assert float(number.replace(",", "")) >= 1


def test_a_machine_that_shares_few_cases_says_in_how_many_cases() -> None:
    of = comparison([epyc(), h200(factor=900.0), xeon(factor=59.4)], Prices({"EPYC": 0.1, "Xeon": 0.1, "H200": 0.1}))
    shared = of.shared(1)
    assert 0 < shared < of.shared(0)
    assert re.fullmatch(rf"takes [\d.]+ times as long in {shared} cases?", of.speed(1))
    assert of.speed(2) == "takes 59.4 times as long"
    assert of.money(2) == "costs 59.4 times as much"
    assert of.speed(0) == of.money(0) == "1.00×"
    for text in (terminal(of), markdown(of), page([epyc(), h200(factor=900.0), xeon(factor=59.4)])):
        assert "takes 59.4 times as long" in text
        assert f"times as long in {shared} case" in text
        assert "0.017×" not in text
