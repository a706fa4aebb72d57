"""The table of case × knob holds every speed-up over the reference's settings once, where it belongs."""

from __future__ import annotations

import re
from typing import Any

import pytest

from tests.reports.rendered import page_of
from tests.reports.sample import make_run
from torchduet.reports.html.heatmap import HeatMap, heatmap
from torchduet.reports.read.run_file import from_json


@pytest.fixture(scope="module")
def drawn() -> HeatMap:
    found = heatmap(from_json(make_run()))
    assert found is not None
    return found


def records(document: dict[str, Any]) -> list[dict[str, Any]]:
    return [one["extra_info"]["torchduet"] for one in document["benchmarks"]]


def test_every_cell_is_a_speed_up_of_the_case_that_it_leads_to(drawn: HeatMap) -> None:
    by_anchor = {f"case-{place + 1}": record for place, record in enumerate(records(make_run()))}
    cells = [cell for _, rows in drawn.suites for row in rows for cell in row.cells if cell]
    assert len(cells) == len({cell.anchor for cell in cells}) > 3
    for cell in cells:
        assert cell.ratio in [one["ratio"] for one in by_anchor[cell.anchor]["speedups"]]


def test_a_column_says_what_differs_and_from_what(drawn: HeatMap) -> None:
    assert ("compile", "eager") in drawn.columns
    assert all(len(row.cells) == len(drawn.columns) for _, rows in drawn.suites for row in rows)


def test_single_knobs_stand_before_several_at_once(drawn: HeatMap) -> None:
    together = [" + " in title for title, _ in drawn.columns]
    assert together == sorted(together)


def test_what_is_not_settled_has_no_shade(drawn: HeatMap) -> None:
    for cell in (cell for _, rows in drawn.suites for row in rows for cell in row.cells if cell):
        assert (cell.shade > 0) == (cell.verdict in ("faster", "slower"))
        assert 0 <= cell.shade <= 1


def test_a_family_without_its_reference_is_left_out_and_few_cells_make_no_table() -> None:
    document = make_run()
    for record in records(document):
        record["case"]["reference"] = False
    assert heatmap(from_json(document)) is None


def test_the_page_shows_the_verdict_of_each_cell_in_words_and_signs() -> None:
    page = page_of(make_run)
    section = page[page.index('id="glance"') : page.index('id="answers"')]
    cells = re.findall(
        r'<td role="cell" class="num cell (\w+)(?: less)?" style="--shade: ([\d.]+)">(.*?)</td>', section
    )
    assert cells
    for verdict, _, inner in cells:
        assert f'role="img" aria-label="{verdict}"' in inner


def test_of_many_rows_those_without_a_difference_are_folded(drawn: HeatMap, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [row for _, rows in drawn.suites for row in rows]
    assert {row.differs for row in rows} == {True, False}
    monkeypatch.setattr(f"{HeatMap.__module__}.MAX_ROWS", len(rows))
    assert drawn.parts() == (drawn.suites, ())
    monkeypatch.setattr(f"{HeatMap.__module__}.MAX_ROWS", len(rows) - 1)
    shown, folded = ([row for _, rows in part for row in rows] for part in drawn.parts())
    assert shown == [row for row in rows if row.differs]
    assert folded == [row for row in rows if not row.differs]
    verdicts = {cell.verdict for row in folded for cell in row.cells if cell}
    assert not verdicts & {"faster", "slower"}


def test_a_column_of_one_alternative_has_its_name() -> None:
    document = make_run()
    for record in records(document):
        record["case"]["implementation"] = "by_hand" if record["case"]["reference"] else "rms_norm"
    found = heatmap(from_json(document))
    assert found
    assert ("rms_norm instead of by_hand", "the reference") in found.columns
    assert ("implementation", "rms_norm") in found.settings
