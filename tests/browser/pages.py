"""How a page is opened for a test, and what it must not do meanwhile."""

from __future__ import annotations

from collections.abc import Iterator
from time import monotonic
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

WAIT_SECONDS = 30.0
HOSTILE = "<img src=x onerror=alert(1)><script>alert(2)</script>\"'&=#"


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


def shown(page: Page, suite: str | None = None) -> list[dict[str, Any]]:
    """The visible rows of the tables of cases, top to bottom."""
    return page.evaluate(
        """suite => [...document.querySelectorAll("table.cases:not(.matrix) tbody tr")]
            .filter(row => row.checkVisibility() && (!suite || row.dataset.suite === suite))
            .map(row => ({...row.dataset, words: row.innerText,
                          seconds: Number(row.cells[[...row.closest("table").tHead.rows[0].cells]
                              .findIndex(cell => cell.dataset.key === "seconds")].dataset.v)}))""",
        suite,
    )


def thin_out(page: Page) -> None:
    """Takes away what stands on a page often: elements in which nothing is new, by tag, attributes, class and style.

    Styles that differ in numbers alone, such as the places of marks, are one.

    What axe-core says of the hundredth row it says of the first two; it takes minutes for them all. Cells and fields
    stay, as they belong to their headers and labels, and so does whatever names something.
    """
    page.evaluate(
        r"""() => {
            const told = ["class", "style", "role", "type"], seen = new Map(), kinds = new Map();
            const names = "h1, h2, h3, h4, h5, h6, summary, caption, figcaption, legend, label, thead, tbody";
            const unplaced = (name, value) => name === "style" ? value.replace(/[\d.]+/g, "") : value;
            const whole = `tr, form, select, button, a, ${names}`.replace(", tbody", "");
            const own = node => {
                if (!kinds.has(node))
                    kinds.set(node, [node.tagName, ...[...node.attributes]
                        .map(({name, value}) => told.includes(name) ? `${name}=${unplaced(name, value)}` : name)]
                        .join(" "));
                return kinds.get(node);
            };
            const kind = node => `${own(node.parentElement)} > ${own(node)}`;
            const often = node => (seen.get(kind(node)) || 0) >= 2;
            const visit = node => {
                for (const child of [...node.children]) {
                    const stays = node.closest(whole) || child.matches(names);
                    if (!stays && [child, ...child.querySelectorAll("*")].every(often)) child.remove();
                    else {
                        seen.set(kind(child), (seen.get(kind(child)) || 0) + 1);
                        visit(child);
                    }
                }
            };
            visit(document.body);
        }"""
    )


def violations(page: Page, context: str | None = None) -> list[str]:
    """What axe-core objects to, within a selector's elements or the whole page: rule, help and the element."""
    thin_out(page)
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="pip install axe-playwright-python")
    found = axe.Axe().run(page, context=context)
    return [
        f"{one['id']}: {one['help']}: {node['html'][:200]}"
        for one in found.response["violations"]
        for node in one["nodes"][:3]
    ]


def wait_until(page: Page, expression: str, argument: object = None) -> None:
    """Wait until JavaScript returns something true.

    Playwright's ``wait_for_function`` evaluates text within the page when it asks again, which our pages forbid.
    """
    end = monotonic() + WAIT_SECONDS
    while not page.evaluate(expression, argument):
        assert monotonic() < end, f"it never became true: {expression}"
        page.wait_for_timeout(20)
