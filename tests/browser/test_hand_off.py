"""The commands of a case in a real browser: they are copied whole, and can be read in a narrow window."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.browser.pages import violations, wait_until

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page

pytestmark = pytest.mark.browser
KEPT = """() => {
    window.kept = [];
    Object.defineProperty(navigator, "clipboard", {value: {writeText: async text => { window.kept.push(text); }}});
}"""
REFUSED = """() => {
    Object.defineProperty(navigator, "clipboard", {value: undefined});
    document.execCommand = command => { window.kept = [command, getSelection().toString()]; return WORKS; };
}"""

SAYS = """([word, said]) => {
    const buttons = [...document.querySelectorAll("dialog .alone button")].slice(0, 3);
    const words = new Set(buttons.map(button => button.firstElementChild.textContent));
    return words.has(word) && (said || words.size === 1) && document.querySelector(".copied").textContent === said;
}"""


def opened_case(page: Page) -> Locator:
    """The commands of the first case, opened."""
    page.locator("table.cases tbody th a").first.click()
    alone = page.locator("dialog .alone").first
    alone.wait_for(state="visible")
    return alone


def test_a_command_is_copied_from_the_keyboard_and_that_is_announced(page: Page) -> None:
    page.evaluate(KEPT)
    alone = opened_case(page)
    button = alone.get_by_role("button", name="Copy the command: py-spy")
    button.focus()
    page.keyboard.press("Enter")
    wait_until(page, SAYS, ["Copied", "Copied"])
    command = button.locator("xpath=following-sibling::code").text_content()
    assert page.evaluate("window.kept") == [command]
    assert command is not None
    assert command.startswith("py-spy record --native -o ")
    wait_until(page, SAYS, ["Copy", ""])


@pytest.mark.parametrize(("works", "word"), [("true", "Copied"), ("false", "Selected")])
def test_where_a_page_may_not_copy_the_command_is_selected(page: Page, works: str, word: str) -> None:
    page.evaluate(REFUSED.replace("WORKS", works))
    alone = opened_case(page)
    button = alone.locator("button.copy").first
    button.click()
    said = "Copied" if works == "true" else "The text is selected: copy it with the keyboard"
    wait_until(page, SAYS, [word, said])
    assert page.evaluate("window.kept") == ["copy", alone.locator("code").first.text_content()]


def test_commands_are_wrapped_in_a_narrow_window(page: Page) -> None:
    page.set_viewport_size({"width": 390, "height": 800})
    alone = opened_case(page)
    alone.scroll_into_view_if_needed()
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    for part in (*alone.locator("code").all(), *alone.locator("button").all()):
        box = part.bounding_box()
        assert box is not None
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= 390
        assert part.evaluate("part => part.scrollWidth <= part.clientWidth + 1")


def test_the_commands_are_accessible(page: Page) -> None:
    opened_case(page)
    assert violations(page, "dialog") == []
