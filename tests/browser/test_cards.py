"""A notebook's cards in a browser: they fit, are legible in every theme, run nothing, and leave the page alone."""

from __future__ import annotations

import math
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.browser.pages import HOSTILE, violations
from torchduet.reports.html.comparison_card import Card, CardRow, palettes, render
from torchduet.reports.html.environment import TEMPLATES

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = pytest.mark.browser

# JupyterLab's own rules for tables and texts in outputs, which must not win.
JUPYTERLAB = """
.jp-RenderedHTMLCommon { font-size: 14px; color: red; padding-right: 20px; }
.jp-RenderedHTMLCommon table { border: none; table-layout: fixed; font-size: 12px; margin-left: auto; }
.jp-RenderedHTMLCommon td, .jp-RenderedHTMLCommon th, .jp-RenderedHTMLCommon tr
    { text-align: right; vertical-align: middle; padding: 0.5em; max-width: none; }
.jp-RenderedHTMLCommon tbody tr:nth-child(odd) { background: rgb(255, 0, 0); }
.jp-RenderedHTMLCommon p { margin: 0 0 1em; }
"""
NONE = math.nan


def row(name: str, settings: tuple[str, ...] = (), ratio: float = NONE, verdict: str = "", **more: Any) -> CardRow:
    low, high = (ratio * 0.98, ratio * 1.02) if verdict else (1.0, 1.0)
    given = {"size": "", "marks": "", "first_call": 2e-5, "against": "torch" if verdict else "", **more}
    return CardRow(
        name=name,
        settings=settings,
        values=[setting.removeprefix("n=") for setting in settings],
        seconds=3.01e-5,
        seconds_low=2.9e-5,
        seconds_high=3.1e-5,
        speedup=ratio if verdict else 1.0,
        low=low,
        high=high,
        verdict=verdict,
        **given,
    )


def card(*rows: CardRow, answer: str = "mine is 1.31× as fast as torch (1.29 to 1.33)", **more: Any) -> Card:
    given: dict[str, Any] = {
        "emphasis": (8, 13),
        "verdict": "faster",
        "settings": (),
        "covers": "99 % intervals over 8 visits, 7 of them by fresh processes",
        "gaps": (),
        "notes": (),
        "warnings": (),
        **more,
    }
    return Card(answer=answer, rows=rows, threshold=0.02, **given)


PLAIN = card(row("mine", ratio=1.31, verdict="faster"), row("torch"))
CARDS = (
    PLAIN,
    PLAIN,  # shown twice
    card(row("f"), answer="f takes 30.1 µs per call (29.9 to 30.4 µs)", emphasis=(8, 15), verdict=""),
    card(
        *(
            row(
                "mine",
                (f"n={n}", mode, precision),
                ratio,
                verdict,
                size=f"n={n}",
                first_call=2.1 if mode == "compile" else 2e-5,
                against=f"torch {mode}",
                marks="not checked, †" if mode == "compile" else "",
            )
            for n in (1024, 4096)
            for mode in ("eager", "compile")
            for precision, ratio, verdict in (("fp32", 1.31, "faster"), ("bf16", 0.8, "slower"), ("fp32", 1.0, "same"))
        ),
        row("torch", ("n=1024", "eager", "fp32"), size="n=1024"),
        row("alone", ("n=1024", "eager", "fp32"), 1.1, "unclear", size="n=1024"),
        answer="12 comparisons with torch: 4 faster, 4 slower, 4 same",
        emphasis=(0, 0),
        verdict="",
        settings=("n", "mode", "precision"),
        gaps=["not measured: wrong: its result is wrong: relative error 3.04e-02 against float64"],
        notes=["† its calls change their inputs, which are put back: mine"],
        warnings=["the machine was busy"],
    ),
    card(
        row(HOSTILE, (HOSTILE,), 1.31, "faster", against="x" * 500, marks=HOSTILE),
        row("x" * 500, ("\u202eevil\x1b[2J",)),
        row("مرحبا_שלום", ("$x^2$",), 0.5, "slower"),
        answer=f"{HOSTILE} is 1.31× as fast as {'x' * 500}",
        settings=(HOSTILE,),
        covers=HOSTILE,
        gaps=[HOSTILE, "x" * 500],
        notes=[HOSTILE],
        warnings=[HOSTILE],
    ),
)
CARDS_HTML = [render(one) for one in CARDS]


def page_with(folder: Path, body: str = "", root: str = "") -> str:
    path = folder / "cards.html"
    outputs = "".join(f'<div class="jp-RenderedHTMLCommon">{text}</div>' for text in CARDS_HTML)
    path.write_text(
        '<!doctype html><html lang="en" '
        f'{root}><title>Cards</title><meta name="viewport" content="width=device-width"><style>{JUPYTERLAB}</style>'
        f'<body {body}><main><h1>A notebook</h1><p id="own">Its text</p><table id="mine"><tr><td>1</td></tr></table>'
        f"{outputs}</main></body></html>",
        "utf-8",
    )
    return path.as_uri()


def opened(browser: Browser, address: str, width: int, scheme: Any) -> tuple[Page, list[str]]:
    page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
    heard: list[str] = []
    page.on("dialog", lambda dialog: (heard.append(dialog.message), dialog.dismiss()))
    page.on("console", lambda message: heard.append(message.text))
    page.on("pageerror", lambda error: heard.append(str(error)))
    page.on("request", lambda request: heard.extend([request.url] * (not request.url.startswith("file:"))))
    page.goto(address)
    page.evaluate("document.querySelectorAll('details').forEach(one => one.open = true)")
    return page, heard


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (1280, "dark"), (900, "light"), (390, "light")])
def test_cards_fit_and_run_nothing_and_axe_finds_no_violation(
    width: int, scheme: str, browser: Browser, tmp_path: Path
) -> None:
    page, heard = opened(browser, page_with(tmp_path), width, scheme)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    clipped = page.evaluate(
        """[...document.querySelectorAll('.torchduet')].slice(0, 4).flatMap(card =>
            [...card.querySelectorAll('*')].filter(one => one.checkVisibility() && !one.closest('svg'))
                .filter(one => one.getBoundingClientRect().right > card.getBoundingClientRect().right + 1)
                .map(one => one.outerHTML.slice(0, 80)))"""
    )
    assert clipped == []
    assert page.locator("script, img, a, link, iframe").count() == 0
    assert violations(page, ".torchduet") == []
    assert heard == []
    page.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(
    ("body", "root", "dark"),
    [
        ('data-jp-theme-light="false"', "", True),
        ('data-jp-theme-light="true"', "", False),
        ('class="vscode-dark"', "", True),
        ('class="vscode-light"', "", False),
        ("", 'data-theme="dark"', True),
    ],
)
def test_the_notebooks_theme_decides(
    body: str, root: str, dark: bool, scheme: str, browser: Browser, tmp_path: Path
) -> None:
    page, _ = opened(browser, page_with(tmp_path, body, root), 1000, scheme)
    background = page.evaluate("getComputedStyle(document.querySelector('.torchduet')).backgroundColor")
    assert background == ("rgb(27, 31, 34)" if dark else "rgb(255, 255, 255)")
    page.close()


def test_a_card_changes_nothing_around_it_and_little_is_changed_in_it(browser: Browser, tmp_path: Path) -> None:
    page, _ = opened(browser, page_with(tmp_path), 1000, "light")
    style = (
        "id => { const s = getComputedStyle(document.getElementById(id)); return [s.fontFamily, s.color, s.margin]; }"
    )
    with_cards = [page.evaluate(style, name) for name in ("own", "mine")]
    page.evaluate("document.querySelectorAll('.torchduet').forEach(one => one.remove())")
    assert [page.evaluate(style, name) for name in ("own", "mine")] == with_cards
    page.reload()
    cell = "getComputedStyle(document.querySelector('.torchduet tbody th')).textAlign"
    assert page.evaluate(cell) == "left"
    assert page.evaluate("getComputedStyle(document.querySelector('.torchduet tbody tr')).backgroundColor") == (
        "rgba(0, 0, 0, 0)"
    )
    page.close()


def test_no_two_elements_have_the_same_id(browser: Browser, tmp_path: Path) -> None:
    page, _ = opened(browser, page_with(tmp_path), 1000, "light")
    ids = Counter(page.evaluate("[...document.querySelectorAll('[id]')].map(one => one.id)"))
    assert max(ids.values()) == 1
    page.close()


def test_names_are_text(browser: Browser, tmp_path: Path) -> None:
    page, _ = opened(browser, page_with(tmp_path), 1000, "light")
    text = page.evaluate("document.body.textContent")
    assert HOSTILE in text
    assert "\\u202eevil\\x1b[2J" in text
    assert not set(text) & {"\u202e", "\x1b"}
    page.close()


def test_a_verdict_has_a_word_and_a_sign_beside_its_colour() -> None:
    for sign, word in (("▲", "faster"), ("▼", "slower"), ("■", "same"), ("○", "unclear")):
        assert f'<span aria-hidden="true">{sign}</span> {word}</span>' in CARDS_HTML[3]


def test_light_and_dark_have_the_same_colours_by_name() -> None:
    light, dark = palettes((TEMPLATES / "report.css").read_text("utf-8"))
    names = [{part.split(":")[0].strip() for part in text.split(";") if part.strip()} for text in (light, dark)]
    assert names[0] == names[1]
    assert "--faster-bg" in names[0]
