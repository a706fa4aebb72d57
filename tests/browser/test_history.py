"""The history in a real browser: it loads alone, sorts, filters, prints and reads on a telephone."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

pytest.importorskip("ruptures", reason="needs pip install 'torchduet[history]'")

from tests.browser.pages import HOSTILE, lay_out, opened, shown, violations
from tests.reports.made_history import make_history
from tests.reports.sample import make_run
from torchduet.__main__ import main

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = pytest.mark.browser

SQUARE = "matmul.square[n=512] cpu eager fp32"
ADD = "tensor_ops.add[n=65536]"


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Two machines; on one, a case became slower and a family faster, and the names are hostile."""
    folder = tmp_path_factory.mktemp("history")
    document = make_run()
    document["benchmarks"] = [
        one for one in document["benchmarks"] if one["group"].startswith(("tensor_ops", "matmul"))
    ]
    document = json.loads(json.dumps(document).replace("gelu_chain", json.dumps(HOSTILE)[1:-1]))

    def slower(run: int) -> dict[str, float]:
        return ({SQUARE: 1.2} if run >= 12 else {}) | ({ADD: 0.9} if run >= 18 else {})

    make_history(folder, document, 26, slower=slower, facts=lambda run: {"torch": HOSTILE if run >= 12 else "2.9.1"})
    make_history(folder, document, 2, begin=26, facts=lambda _: {"cpu": HOSTILE})
    (folder / f"{HOSTILE.replace('/', '')}.json").write_text("{")
    assert main(["history", str(folder), "-o", str(folder / "history.html")]) == 0
    return (folder / "history.html").as_uri()


@pytest.fixture
def page(browser: Browser, address: str) -> Iterator[Page]:
    yield from opened(browser, address)


def test_the_cases_that_changed_last_stand_first_and_are_filtered_by_verdict(page: Page) -> None:
    rows = [row for row in shown(page) if row["verdict"] in ("slower", "faster")]
    assert [row["verdict"] for row in rows] == ["faster", "faster", "slower"]
    page.get_by_role("search").get_by_label("Verdict").select_option("slower")
    (row,) = shown(page)
    assert SQUARE in row["words"]
    assert page.url.endswith("#verdict=slower")
    assert page.locator("table.cases tbody tr:visible .spark").first.is_visible()


def test_a_table_sorts_by_the_size_of_a_change(page: Page) -> None:
    page.locator("table[data-suite=machine-2] th[data-key=change] button").click()
    first = page.locator("table[data-suite=machine-2] tbody tr").first
    assert SQUARE in first.inner_text()


def test_evidence_unfolds_to_charts_with_words(page: Page) -> None:
    assert page.locator("details.evidence").count() >= 2
    page.evaluate("document.querySelectorAll('details').forEach(one => one.open = true)")
    charts = page.locator(".event .drawing")
    assert charts.count() >= 3
    assert all(" then " in str(charts.nth(place).get_attribute("aria-label")) for place in range(charts.count()))


@pytest.mark.parametrize("width", [360, 718, 1280])
def test_the_page_never_scrolls_sideways_nor_does_anything_run(page: Page, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 900})
    lay_out(page)
    page.evaluate("document.querySelectorAll('details').forEach(one => one.open = true)")
    if width == 718:
        page.emulate_media(media="print")
        over = page.evaluate(
            """() => [...document.querySelectorAll("table, svg, p, code")].filter(node => node.checkVisibility())
                .map(node => [node.getBoundingClientRect().right, node.tagName, node.textContent.trim().slice(0, 40)])
                .filter(([right]) => right > 719)"""
        )
        assert over == []
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.locator("img").count() == 0


def test_sparklines_and_charts_follow_the_dark(page: Page) -> None:
    colour = "getComputedStyle(document.querySelector('.spark .level')).stroke"
    light = page.evaluate(colour)
    page.emulate_media(color_scheme="dark")
    assert page.evaluate(colour) != light


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_no_violation_in_a_history(page: Page, scheme: Any) -> None:
    page.emulate_media(color_scheme=scheme)
    page.evaluate("document.querySelectorAll('details').forEach(one => one.open = true)")
    assert violations(page) == []
