"""A machine leads only beyond the intervals of both times and beyond what a wait for a core may have added."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.reports.on_machines import EPYC, XEON, disturbed
from torchduet.reports.machines import overview
from torchduet.reports.machines.comparison import comparison
from torchduet.reports.machines.leaders import UNKNOWN, Figure, figure, leaders, tally
from torchduet.reports.machines.page import page
from torchduet.reports.machines.prices import Prices
from torchduet.reports.machines.sentences import answers, headline

POSITIVE = st.floats(1e-9, 1e9)


@st.composite
def figures(draw: st.DrawFn) -> Figure:
    value = draw(POSITIVE)
    return Figure(value, value / draw(st.floats(1, 3)), value * draw(st.floats(1, 3)))


@given(st.lists(st.none() | figures(), max_size=8), st.floats(0, 0.5))
def test_the_least_leads_and_with_it_all_that_are_not_surely_more(found: list[Figure | None], threshold: float) -> None:
    known = [one for one in found if one]
    first = leaders(found, threshold)
    if len(known) < 2:
        assert first == ()
        return
    least = found[first[0]]
    assert least is not None
    assert least.value == min(one.value for one in known)
    assert len({*first}) == len(first)
    for at, one in enumerate(found):
        if one is not None and at != first[0]:
            assert (at in first) == (one.low <= least.high * (1 + threshold))


@given(st.lists(figures(), min_size=2, max_size=6), POSITIVE)
def test_a_common_factor_changes_no_lead(found: list[Figure], factor: float) -> None:
    scaled = [Figure(one.value * 1024, one.low * 1024, one.high * 1024) for one in found]
    assert leaders(found, 0.05) == leaders(scaled, 0.05)
    assert found[0].times(factor).value == found[0].value * factor


@given(st.lists(st.lists(st.none() | figures(), min_size=3, max_size=3)))
def test_every_compared_case_is_won_by_one_or_close(cases: list[list[Figure | None]]) -> None:
    counted = tally((leaders(case, 0.05) for case in cases), 3)
    assert sum(counted.wins) + counted.close == counted.compared
    assert counted.compared == sum(sum(one is not None for one in case) > 1 for case in cases)
    assert [counted.wins[at] for at in counted.order] == sorted(counted.wins, reverse=True)


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
    assert chart[0].count("≈ </span>") == chart[0].count(" too close to call</span>") == 2 * len(of.heat.rows)
    table = overview.distances(of)
    assert table
    assert all(cell.startswith("≈ ") for _, *cells in table[1] for cell in cells)


def test_disturbed_runs_beyond_both_intervals_and_the_wait_have_a_lead() -> None:
    far, near = (
        comparison([disturbed(EPYC, factor, wide=1.2), disturbed(XEON, 1.0, wide=1.2)]) for factor in (4.0, 3.0)
    )
    assert far.time.wins == (0, len(far.rows))  # 1.2 × 1.5 on either side, and 5 %, are a factor of 3.4
    assert near.time.wins == (0, 0)
    assert far.heat
    assert {(row.nearest, row.close) for row in far.heat.rows} == {(1, ())}
    assert (
        "≈"
        not in page(far.columns[0].runs + far.columns[1].runs)
        .partition('<table class="heat')[2]
        .partition("</table>")[0]
    )


def test_energy_is_no_surer_than_the_time() -> None:
    wide = comparison([disturbed(EPYC, 1.5, wide=1.4, waits=False), disturbed(XEON, 1.0, wide=1.4, waits=False)])
    tight = comparison([disturbed(EPYC, 1.5, wide=1.05, waits=False), disturbed(XEON, 1.0, wide=1.05, waits=False)])
    assert wide.energy.wins == (0, 0)
    assert tight.energy.wins == (0, len(tight.rows))
