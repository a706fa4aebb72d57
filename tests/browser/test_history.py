"""The history in a real browser: it loads alone, sorts, filters, prints and reads on a telephone."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

pytest.importorskip("ruptures", reason="needs pip install 'torchduet[history]'")

from tests.browser.pages import HOSTILE, lay_out, opened, shown, violations, wait_until
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


def test_a_case_leads_to_its_plot_whose_runs_are_reached_by_keyboard_and_pointer(page: Page) -> None:
    row = page.locator("table[data-suite=machine-2] tbody tr", has_text=SQUARE)
    row.get_by_role("link").press("Enter")
    plot = page.locator("details.series-of[open] .runs")
    assert SQUARE in str(plot.get_attribute("aria-label"))
    assert ", then " in str(plot.get_attribute("aria-label"))
    points = plot.locator(".point")
    assert points.count() == 26
    points.last.focus()
    tip = page.locator(".tip")
    assert tip.inner_text() == points.last.get_attribute("aria-label")
    for _ in range(13):
        page.keyboard.press("ArrowLeft")
    assert page.evaluate("document.activeElement.ariaLabel").endswith("slower from here")
    assert "000000c" in tip.inner_text()
    page.keyboard.press("Home")
    assert page.evaluate("document.activeElement.ariaLabel").startswith("0000000, 2026-01-05: ")
    page.keyboard.press("Escape")
    assert not tip.is_visible()
    points.nth(5).hover()
    assert tip.inner_text().startswith("0000005, 2026-01-10: ")


def test_a_case_is_copied_as_markdown_and_as_a_command(page: Page) -> None:
    page.evaluate("navigator.clipboard.writeText = async (text) => { window.kept = text; }")
    details = page.locator("details.series-of[id^=machine-2]", has_text=SQUARE).first
    details.locator("summary").click()
    for words, begin in (
        ("Copy as Markdown", f"- `{SQUARE}`: +"),
        ("Copy as command", "torchduet compare 0011.json 0012.json"),
    ):
        details.get_by_role("button", name=words).click()
        wait_until(page, "begin => window.kept?.startsWith(begin)", begin)
        assert details.get_by_role("status").inner_text() == "Copied"


@pytest.mark.parametrize("width", [360, 718, 1280])
def test_the_page_never_scrolls_sideways_nor_does_anything_run(page: Page, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 900})
    lay_out(page)
    page.evaluate("document.querySelectorAll('details').forEach(one => one.open = true)")
    if width == 1280:
        wide = "[...document.querySelectorAll('.scroll.over-time')].map(one => one.scrollWidth - one.clientWidth)"
        assert page.evaluate(wide) == [0, 0]
        keys = "[...document.querySelectorAll('[data-suite=machine-%d] th[data-key]')].map(th => th.dataset.key)"
        assert page.evaluate(keys % 1) == [
            "case",
            "verdict",
            "trend",
            "seconds",
            "speedup",
            "speedups",
            "speedup-verdict",
            "why",
        ]
        assert {"change", "when", "noise"} < set(page.evaluate(keys % 2))
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


def test_the_simulated_rates_are_folded_with_those_that_fit_in_a_sentence(page: Page) -> None:
    rates = page.locator("details.rates")
    assert "3 %, neighbouring runs alike" not in page.locator("#reading").inner_text()
    assert "In simulated histories of 1 % noise and " in page.locator("#reading").inner_text().replace("\xa0", " ")
    rates.locator("summary").click()
    assert rates.locator("table").count() == 3
    page.emulate_media(media="print")
    assert page.locator("#reading .printed").is_visible()


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
