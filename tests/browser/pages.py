"""How a page is opened for a test, and what it must not do meanwhile."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page


def opened(browser: Browser, address: str) -> Iterator[Page]:
    """A page that must load nothing from elsewhere and say nothing to the console."""
    with_errors: list[str] = []
    page = browser.new_page()
    page.on("console", lambda message: with_errors.append(message.text))
    page.on("pageerror", lambda error: with_errors.append(str(error)))
    page.on(
        "request", lambda request: with_errors.extend([request.url] * (not request.url.startswith(("file:", "data:"))))
    )
    page.goto(address)
    lay_out(page)
    yield page
    page.close()
    assert with_errors == []


def lay_out(page: Page, how: str = "visible") -> None:
    """Text that is not laid out, as it is far from the window, is none for the driver; it is for the page's readers."""
    page.evaluate("how => document.querySelectorAll('.suite').forEach(one => one.style.contentVisibility = how)", how)
