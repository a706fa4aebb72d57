"""Marks of charts answer to the pointer and to the keyboard, and a case opens from wherever it is named."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.browser.pages import shown, violations, wait_until

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = pytest.mark.browser
KEPT = """() => {
    window.kept = [];
    Object.defineProperty(navigator, "clipboard", {value: {writeText: async text => { window.kept.push(text); }}});
}"""


def open_first(page: Page, selector: str) -> str:
    """Open the case of the first link, from the keyboard; returns its id."""
    link = page.locator(selector).first
    anchor = (link.get_attribute("href") or "").removeprefix("#")
    link.focus()
    page.keyboard.press("Enter")
    page.locator("dialog[open] h2").wait_for()
    return anchor


def test_a_cell_of_the_heat_map_says_its_value_interval_and_times(page: Page) -> None:
    tip = page.locator(".tip")
    page.locator(".heat td a").first.hover()
    assert tip.is_visible()
    assert " per call" in tip.inner_text()
    assert " to " in tip.inner_text()
    page.keyboard.press("Escape")
    assert not tip.is_visible()
    page.locator(".heat td a").nth(1).focus()
    assert tip.is_visible()


def test_a_row_of_a_forest_plot_says_its_value_under_the_pointer(page: Page) -> None:
    page.evaluate("document.querySelector('#answers details.evidence').open = true")
    page.locator("#answers details.evidence[open] .forest tbody .plot").first.hover()
    tip = page.locator(".tip")
    assert tip.is_visible()
    assert "×" in tip.inner_text()


def test_a_point_of_the_roofline_is_named(rich_page: Page) -> None:
    dot = rich_page.locator("#roofline .dots a").first
    dot.focus()
    tip = rich_page.locator(".tip")
    assert tip.is_visible()
    assert (dot.get_attribute("aria-label") or "?") in tip.inner_text()
    assert "of its ceiling" in tip.inner_text()


def test_points_lie_over_their_marks(rich_page: Page) -> None:
    """Every link over the drawing lies within it."""
    out = rich_page.evaluate(
        """() => [...document.querySelectorAll("#roofline .dots a")].filter(dot => {
            const own = dot.getBoundingClientRect();
            const box = dot.closest(".over").querySelector("svg").getBoundingClientRect();
            const [x, y] = [(own.left + own.right) / 2, (own.top + own.bottom) / 2];
            return x < box.left || x > box.right || y < box.top || y > box.bottom;
        }).length"""
    )
    assert out == 0


@pytest.mark.parametrize("selector", [".heat td a", "table.cases tbody th a"])
def test_a_case_opens_from_the_keyboard_and_closes_to_where_the_reader_was(page: Page, selector: str) -> None:
    anchor = open_first(page, selector)
    assert f"case={anchor}" in page.url
    assert page.locator("dialog .facts").is_visible()
    page.keyboard.press("Escape")
    wait_until(page, "!document.querySelector('dialog').open && !location.hash.includes('case=')")
    assert page.evaluate("document.activeElement.getAttribute('href')") == f"#{anchor}"


def test_an_open_case_is_shared_by_its_address_beside_the_view(page: Page) -> None:
    page.get_by_role("search").get_by_label("Mode").select_option("compile")
    before = shown(page)
    anchor = open_first(page, "table.cases tbody tr:not([hidden]) th a")
    address = page.url
    assert "mode=compile" in address
    page.goto("about:blank")
    page.goto(address)
    page.locator("dialog[open] h2").wait_for()
    page.locator("dialog [data-close]").click()
    wait_until(page, "!location.hash.includes('case=')")
    assert "mode=compile" in page.url
    assert len(shown(page)) == len(before)
    assert anchor.startswith("case-")


def test_a_case_is_copied_as_markdown_and_as_a_command(page: Page) -> None:
    page.evaluate(KEPT)
    open_first(page, ".heat td a")
    for name in ("Copy as Markdown", "Copy as command"):
        page.get_by_role("button", name=name).focus()
        page.keyboard.press("Enter")
    wait_until(page, "window.kept.length === 2")
    markdown, command = page.evaluate("window.kept")
    assert markdown.startswith("**")
    assert "| against | speed-up |" in markdown
    assert command.startswith("torchduet run --case ")
    assert page.locator("dialog .copied").inner_text() == "Copied"


def test_an_open_case_is_accessible(page: Page) -> None:
    open_first(page, ".heat td a")
    assert violations(page, "dialog") == []
