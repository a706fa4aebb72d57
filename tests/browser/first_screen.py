"""What a reader sees of a page in ten seconds: the text above 900 px in a window 1,280 px wide, and nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from playwright.sync_api import Browser

WIDTH, HEIGHT = 1280, 900
MAX_WORDS = 150
UNITS = ("s", "ms", "µs", "ns")
TEXTS = """height => {
    const texts = [], walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    for (let node = walker.nextNode(); node; node = walker.nextNode()) {
        const parent = node.parentElement;
        if (!node.textContent.trim() || !parent.checkVisibility()) continue;
        if (parent.closest("script, style, .hidden, .skip")) continue;
        const range = document.createRange();
        range.selectNodeContents(node);
        const box = range.getBoundingClientRect();
        const within = box.width > 1 && box.top >= 0 && box.bottom <= height && box.left < innerWidth;
        const goes_on = node.previousSibling?.nodeName === "WBR" ? "\\u2060" : "";
        if (within) texts.push(goes_on + node.textContent.trim());
    }
    return texts;
}"""


def first_screen(browser: Browser, address: str) -> str:
    """The visible text of a page's first screen."""
    page = browser.new_page(viewport={"width": WIDTH, "height": HEIGHT})
    page.goto(address)
    texts: list[str] = page.evaluate(TEXTS, HEIGHT)
    page.close()
    return " ".join(" ".join(texts).replace(" \u2060", "").replace("\u00a0", " ").split())


def words(text: str) -> int:
    """How many words: figures with their units, and symbols, are none."""
    return sum(any(letter.isalpha() for letter in word) and word not in UNITS for word in text.split())
