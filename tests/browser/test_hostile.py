"""Names that are long, from right to left or made of controls: they stay text, to themselves and within the page."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.reports.plain_sample import make_plain
from tests.reports.rendered import a_part
from tests.reports.sample import make_run
from torchduet.reports.compare.match import compare
from torchduet.reports.compare.page import render as render_comparison
from torchduet.reports.compare.thresholds import Thresholds
from torchduet.reports.html.pytest_benchmark_page import render as render_plain
from torchduet.reports.html.run_page import render
from torchduet.reports.machines.page import page as render_machines
from torchduet.reports.read.pytest_benchmark import from_pytest_benchmark
from torchduet.reports.read.run_file import from_json

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = pytest.mark.browser

LONG = "x" * 5000
ARABIC = "مرحبا_שלום"
STEERING = "\u202eevil\x1b[2J\u2066"
MARKUP = "</script><img src=x onerror=alert(1)>\"'`{{7*7}}"


def ours() -> Any:
    text = json.dumps(a_part(make_run()))
    for name, hostile in (
        *(("square", LONG), ("gelu_chain", ARABIC), ("softmax", STEERING), ("matrix_product", MARKUP)),
        *(("compile-model", f"mode{LONG}"), ("Example CPU", f"{ARABIC} CPU{STEERING}"), ("einsum", f"{LONG}{ARABIC}")),
    ):
        text = text.replace(name, json.dumps(hostile)[1:-1])
    return json.loads(text)


def plain() -> Any:
    document = make_plain()
    for one, hostile in zip(document["benchmarks"], (LONG, ARABIC, STEERING, MARKUP), strict=False):
        one.update(name=hostile, fullname=f"t.py::{hostile}", group=hostile, params={hostile: hostile})
        one["extra_info"] = {hostile: hostile}
    document["benchmarks"] += document["benchmarks"][:1]
    return document


def pages() -> dict[str, str]:
    run, other = from_json(ours()), from_pytest_benchmark(plain(), f"{STEERING}.json")
    elsewhere = ours()
    elsewhere["torchduet"]["machine"]["cores"] = 64
    again = from_pytest_benchmark(make_plain(), f"{LONG}.json")
    return {
        "report": render(run),
        "plain": render_plain(other),
        "comparison": render_comparison(compare(run, [run], Thresholds()), 0.05),
        "machines": render_machines([run, from_json(elsewhere)]),
        "plain comparison": render_comparison(compare(other, [again, other], Thresholds()), 0.05),
    }


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("hostile")
    found = {}
    for name, text in pages().items():
        path: Path = folder / f"{name}.html"
        path.write_text(text, "utf-8")
        found[name] = path.as_uri()
    return found


@pytest.fixture(scope="module", params=["report", "plain", "comparison", "machines", "plain comparison"])
def page(request: pytest.FixtureRequest, browser: Browser, made: dict[str, str]) -> Iterator[Page]:
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    heard: list[str] = []
    page.on("dialog", lambda dialog: (heard.append(dialog.message), dialog.dismiss()))
    page.on("console", lambda message: heard.append(message.text))
    page.on("pageerror", lambda error: heard.append(str(error)))
    page.goto(made[request.param])
    yield page
    assert heard == []
    page.close()


@pytest.mark.parametrize("width", [1280, 360])
def test_no_name_makes_the_page_wider_than_its_window(width: int, page: Page) -> None:
    page.set_viewport_size({"width": width, "height": 900})
    page.evaluate("for (const one of document.querySelectorAll('details')) one.open = true")
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_controls_are_seen_and_steer_nothing(page: Page) -> None:
    text = page.evaluate("document.documentElement.textContent")
    assert not set(text) & {"\u202e", "\u2066", "\x1b"}
    assert "\\u202e" in text
    assert "\\x1b[2J" in text


def test_markup_in_names_is_text(page: Page) -> None:
    assert page.locator("img").count() == 0
    assert page.locator("script:not([type='application/json'])").count() == 1
    assert "{{7*7}}" in page.evaluate("document.documentElement.textContent")


def test_letters_from_right_to_left_keep_to_themselves(page: Page) -> None:
    """What stands after such a name in a line stays at its right."""
    isolated = page.evaluate(
        """name => [...document.querySelectorAll("bdi, code, th, td, li, dt, dd, a")]
            .filter(one => one.textContent.includes(name) && !one.querySelector("*"))
            .map(one => getComputedStyle(one).unicodeBidi)""",
        ARABIC,
    )
    assert set(isolated) <= {"isolate"}
    assert page.evaluate("document.querySelectorAll('bdi').length") > 0
