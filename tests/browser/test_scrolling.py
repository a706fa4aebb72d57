"""What is wider than its window says so: a region that goes on beyond its edge fades there, and takes the focus."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.browser.pages import opened
from tests.reports.made_duet import duet_of
from tests.reports.on_machines import epyc, h200, xeon
from tests.reports.remeasured import remeasured
from tests.reports.rendered import a_part, page_of
from tests.reports.rich import make_rich_run
from tests.reports.sample import make_run
from torchduet.reports.compare.match import compare
from torchduet.reports.compare.page import render as render_comparison
from torchduet.reports.compare.thresholds import Thresholds
from torchduet.reports.html.run_page import render
from torchduet.reports.machines.page import page as render_machines
from torchduet.reports.read.run_file import from_json

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = pytest.mark.browser

REGIONS = """() => [...document.querySelectorAll(".scroll")].filter(one => one.checkVisibility()).map(one => ({
    name: one.getAttribute("aria-label"), role: one.getAttribute("role"), tabs: one.tabIndex,
    wide: one.scrollWidth > one.clientWidth + 1, fades: getComputedStyle(one).maskImage !== "none"}))"""
TO_THE_END = "document.querySelectorAll('.scroll').forEach(one => one.scrollLeft = one.scrollWidth)"
NEXT_FRAMES = "() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))"
TABLE = "table.changes"


def comparison() -> str:
    (one,) = compare(
        from_json(remeasured(make_run(), 1), "base.json"),
        [from_json(remeasured(make_run(), 2), "new.json")],
        Thresholds(),
    )
    return render_comparison([one], 0.05)


def duet() -> str:
    return render(from_json(duet_of(a_part(make_run()), "slower", "same", "unclear")))


PAGES: dict[str, Callable[[], str]] = {
    "run": lambda: page_of(make_rich_run),
    "comparison": comparison,
    "duet": duet,
    "machines": lambda: render_machines([epyc(), xeon(), h200()]),
}


def regions(page: Page) -> list[dict[str, Any]]:
    page.evaluate(NEXT_FRAMES)  # a timeline is active from the frame after the layout on
    found: list[dict[str, Any]] = page.evaluate(REGIONS)
    return found


@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize("name", PAGES)
def test_a_region_fades_at_its_edge_exactly_where_it_goes_on(
    browser: Browser, tmp_path: Path, name: str, width: int
) -> None:
    path = tmp_path / "page.html"
    path.write_text(PAGES[name](), "utf-8")
    for page in opened(browser, path.as_uri()):
        page.set_viewport_size({"width": width, "height": 844})
        page.evaluate("document.querySelectorAll('details').forEach(one => one.open = true)")
        before = regions(page)
        assert before
        assert [one["fades"] for one in before] == [one["wide"] for one in before]
        if width == 390:
            assert any(one["wide"] for one in before) or name == "duet"
        page.evaluate(TO_THE_END)
        assert not any(one["fades"] for one in regions(page))
        page.emulate_media(media="print")
        assert not any(one["fades"] for one in regions(page))


@pytest.mark.parametrize("name", PAGES)
def test_what_scrolls_is_reached_by_keyboard_and_has_a_name(browser: Browser, tmp_path: Path, name: str) -> None:
    path = tmp_path / "page.html"
    path.write_text(PAGES[name](), "utf-8")
    for page in opened(browser, path.as_uri()):
        page.set_viewport_size({"width": 360, "height": 844})
        page.evaluate("document.querySelectorAll('details').forEach(one => one.open = true)")
        assert all(one["name"] and one["role"] == "region" and one["tabs"] == 0 for one in regions(page))
        unmarked = page.evaluate(
            """[...document.querySelectorAll("body *")].filter(one => one.checkVisibility()
                && ["auto", "scroll"].includes(getComputedStyle(one).overflowX)
                && !one.matches(".scroll, dialog, textarea"))
                .map(one => one.outerHTML.slice(0, 200))"""
        )
        assert unmarked == []


@pytest.mark.parametrize("width", [360, 390])
@pytest.mark.parametrize("name", ["comparison", "duet"])
def test_on_a_telephone_the_chart_is_still_a_table_to_a_screen_reader(
    browser: Browser, tmp_path: Path, name: str, width: int
) -> None:
    """The cells stand below each other; the roles do not depend on how they are displayed, and nothing is cut off."""
    path = tmp_path / "page.html"
    path.write_text(PAGES[name](), "utf-8")
    for page in opened(browser, path.as_uri()):
        page.set_viewport_size({"width": width, "height": 844})
        table = page.locator(TABLE).first
        assert table.evaluate("one => getComputedStyle(one.rows[1]).display") == "block"
        written = table.evaluate(
            """one => [one, one.tHead, ...one.tBodies, ...one.rows, ...[...one.rows].flatMap(row => [...row.cells])]
                .map(node => [node.localName, node.scope ?? "", node.getAttribute("role")])"""
        )
        roles = {
            ("table", ""): "table",
            ("thead", ""): "rowgroup",
            ("tbody", ""): "rowgroup",
            ("tr", ""): "row",
            ("th", "col"): "columnheader",
            ("th", "row"): "rowheader",
            ("td", ""): "cell",
        }
        assert [role for *_, role in written] == [roles[kind, scope] for kind, scope, _ in written]
        tree = table.aria_snapshot()
        assert len(re.findall(r"- '?row ", tree)) == table.evaluate("one => one.rows.length")
        assert len(re.findall(r"- '?rowheader ", tree)) == table.evaluate("one => one.tBodies[0].rows.length")
        assert len(re.findall(r"- '?columnheader\b", tree)) == table.evaluate("one => one.rows[0].cells.length")
        within = table.evaluate(
            """one => [...one.tBodies[0].querySelectorAll("th, td, .within")].filter(cell => cell.checkVisibility())
                .every(cell => cell.getBoundingClientRect().right <= innerWidth
                    && (getComputedStyle(cell).display === "inline" || cell.scrollWidth <= cell.clientWidth + 1))"""
        )
        assert within
