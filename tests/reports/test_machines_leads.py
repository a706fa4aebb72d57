"""A machine leads only beyond the intervals of both times and beyond what a wait for a core may have added."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.reports.on_machines import EPYC, XEON, disturbed
from torchduet.reports.machines.comparison import comparison
from torchduet.reports.machines.leaders import UNKNOWN, Figure, figure, leaders
from torchduet.reports.machines.page import page
from torchduet.reports.machines.prices import Prices
from torchduet.reports.machines.sentences import answers, headline

POSITIVE = st.floats(1e-9, 1e9)


@st.composite
def figures(draw: st.DrawFn) -> Figure:
    value = draw(POSITIVE)
    return Figure(value, value / draw(st.floats(1, 3)), value * draw(st.floats(1, 3)))


def test_a_time_without_an_interval_may_be_off_by_half_as_much_again() -> None:
    assert leaders([figure(1.0, None, None), figure(2.0, None, None)], 0.05) == (0, 1)
    assert leaders([figure(1.0, None, None), figure(2.5, None, None)], 0.05) == (0,)


@given(figures(), st.booleans())
def test_a_doubtful_time_is_never_surer_than_its_interval(one: Figure, known: bool) -> None:
    low, high = (one.low, one.high) if known else (None, None)
    sure, doubtful = (figure(one.value, low, high, doubt) for doubt in (False, True))
    assert doubtful.low == sure.low / UNKNOWN
    assert doubtful.high == sure.high * UNKNOWN


@pytest.mark.parametrize("waits", [True, False])
def test_two_disturbed_runs_whose_intervals_overlap_are_too_close_to_call(waits: bool) -> None:
    runs = [disturbed(EPYC, 400.0, wide=6e4, waits=waits), disturbed(XEON, 1.0, wide=1.2, waits=waits)]
    of = comparison(runs, Prices({"EPYC": 0.12, "Xeon": 0.3}))
    assert of.cost
    for counted in (of.time, of.cost, of.energy):
        assert counted.wins == (0, 0)
        assert counted.close == counted.compared == len(of.rows)
    assert headline(of) == f"Too close to call in {len(of.rows)} cases: no machine is surely the fastest"
    assert of.heat
    assert {row.nearest for row in of.heat.rows} == {None}
    said = " ".join(sentence for answer in answers(of) for sentence in answer.sentences)
    assert "as fast as" not in said
    assert "No machine costs least: too close to call" in said
    assert "No machine needs least energy: too close to call" in said
    chart = re.search(r'<table class="heat.*?</table>', page(runs), re.DOTALL)
    assert chart
    assert "★" not in chart[0]


def test_disturbed_runs_beyond_both_intervals_and_the_wait_have_a_lead() -> None:
    far, near = (
        comparison([disturbed(EPYC, factor, wide=1.2), disturbed(XEON, 1.0, wide=1.2)]) for factor in (4.0, 3.0)
    )
    assert far.time.wins == (0, len(far.rows))  # 1.2 × 1.5 on either side, and 5 %, are a factor of 3.4
    assert near.time.wins == (0, 0)


def test_energy_is_no_surer_than_the_time() -> None:
    wide = comparison([disturbed(EPYC, 1.5, wide=1.4, waits=False), disturbed(XEON, 1.0, wide=1.4, waits=False)])
    tight = comparison([disturbed(EPYC, 1.5, wide=1.05, waits=False), disturbed(XEON, 1.0, wide=1.05, waits=False)])
    assert wide.energy.wins == (0, 0)
    assert tight.energy.wins == (0, len(tight.rows))
