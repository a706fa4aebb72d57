"""The chart of a comparison or a duet in a real browser: words by hover and focus, zoom, a case copied."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.browser.pages import opened, violations, wait_until
from tests.reports.made_duet import duet_of
from tests.reports.remeasured import remeasured
from tests.reports.rendered import a_part
from tests.reports.sample import make_run
from torchduet.bench.record.schema import KEY
from torchduet.reports.compare.match import compare
from torchduet.reports.compare.page import render as render_comparison
from torchduet.reports.compare.thresholds import Thresholds
from torchduet.reports.html.run_page import render
from torchduet.reports.read.run_file import from_json

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = pytest.mark.browser

SQUARE = "matmul.square[n=512] cpu eager fp32"


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A comparison in which a case takes 1.8 times as long."""
    base, new = remeasured(make_run(), 1), remeasured(make_run(), 2, slower={SQUARE: 1.8})
    base[KEY]["options"].update(suite="layers.py", threads=1)
    base["commit_info"] = {"id": "1a2b3c4" + "0" * 33, "dirty": False}
    (one,) = compare(from_json(base, "base.json"), [from_json(new, "new.json")], Thresholds())
    path = tmp_path_factory.mktemp("changes") / "compare.html"
    path.write_text(render_comparison([one], 0.05), "utf-8")
    return path.as_uri()


@pytest.fixture
def page(browser: Browser, address: str) -> Iterator[Page]:
    yield from opened(browser, address)


@pytest.fixture
def duet_page(browser: Browser, tmp_path: Path) -> Iterator[Page]:
    path = tmp_path / "duet.html"
    path.write_text(render(from_json(duet_of(a_part(make_run()), "slower", *["same"] * 9, "unclear"))), "utf-8")
    yield from opened(browser, path.as_uri())


@pytest.mark.parametrize("name", ["page", "duet_page"])
def test_a_mark_says_value_interval_and_case_by_hover_and_by_focus(name: str, request: pytest.FixtureRequest) -> None:
    page: Page = request.getfixturevalue(name)
    row = page.locator("table.changes tbody tr").first
    row.locator(".plot b").hover()
    tip = page.locator(".tip")
    words = tip.inner_text()
    assert words.endswith("), slower")
    assert ", then " in words
    page.mouse.move(0, 0)
    assert not tip.is_visible()
    row.locator("th button, th a").focus()
    assert tip.inner_text() == words
    page.keyboard.press("Escape")
    assert not tip.is_visible()


def test_zoom_spreads_what_lies_close_to_one_and_keeps_the_rest_at_the_edge(page: Page) -> None:
    def places() -> list[float]:
        return page.evaluate(
            "[...document.querySelectorAll('table.changes .plot b')].map((mark) => Number.parseFloat(mark.style.left))"
        )

    before = places()
    button = page.get_by_role("button", name="±5 %")
    button.focus()
    page.keyboard.press("Enter")
    assert button.get_attribute("aria-pressed") == "true"
    zoomed = places()
    assert zoomed[0] == 0  # 1.8 times as long is beyond
    assert max(zoomed[1:]) - min(zoomed[1:]) > 2 * (max(before[1:]) - min(before[1:]))
    assert "0.98×" in page.locator("table.changes .axis").first.inner_text()
    page.get_by_role("button", name="all", exact=True).click()
    assert places() == before


def test_a_case_is_copied_as_markdown_and_as_a_command(page: Page) -> None:
    page.evaluate("navigator.clipboard.writeText = async (text) => { window.kept = text; }")
    page.locator("table.changes .open").first.press("Enter")
    dialog = page.locator("dialog#case")
    dialog.get_by_role("button", name="Copy as Markdown").click()
    wait_until(page, "window.kept")
    kept: str = page.evaluate("window.kept")
    assert kept.startswith(f"- `{SQUARE}`: ")
    assert kept.endswith(", slower")
    dialog.get_by_role("button", name="Copy as command").click()
    wait_until(page, "window.kept.startsWith('torchduet')")
    command = "torchduet against 1a2b3c400000 -- --suite layers.py --threads 1 --case "
    assert page.evaluate("window.kept") == f"{command}'{SQUARE}'"


def test_a_filter_by_verdict_is_an_address(page: Page) -> None:
    page.locator(".counted a.slower").click()
    assert page.url.endswith("#verdict=slower")
    assert page.locator("table.cases tbody tr:visible").count() == 1


@pytest.mark.parametrize("width", [360, 1280])
@pytest.mark.parametrize("name", ["page", "duet_page"])
def test_nothing_is_cut_off_and_axe_finds_no_violation(name: str, width: int, request: pytest.FixtureRequest) -> None:
    page: Page = request.getfixturevalue(name)
    page.set_viewport_size({"width": width, "height": 900})
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.evaluate("document.querySelectorAll('details').forEach((one) => (one.open = true))")
    assert violations(page) == []
