"""A profile's flame graph in a real browser: by mouse and by keyboard."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

from tests.browser.pages import opened, violations
from tests.reports.rendered import a_part
from tests.reports.sample import make_run
from tests.reports.tracing import steps, write
from torchduet.reports.html.run_page import render
from torchduet.reports.read.run_file import load

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def profiled_address(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("profiled")
    write(folder / "a.pt.trace.json.gz", *steps(5))
    run = a_part(make_run())
    run["benchmarks"][0]["extra_info"]["torchduet"]["profile"] = {
        "trace": "a.pt.trace.json.gz",
        "calls": 5,
        "seconds": 1.2e-4,
        "plain_seconds": 1e-4,
        "stacks": False,
    }
    (folder / "run.json").write_text(json.dumps(run), "utf-8")
    page = folder / "report.html"
    page.write_text(render(load(folder / "run.json")), "utf-8")
    return page.as_uri()


@pytest.fixture
def profiled_page(browser: Browser, profiled_address: str) -> Iterator[Page]:
    yield from opened(browser, profiled_address)


def widths(page: Page) -> dict[str, float]:
    """The visible bars' widths as shares of the graph."""
    found: dict[str, float] = page.evaluate(
        """() => Object.fromEntries([...document.querySelectorAll(".flame button")]
            .filter(bar => bar.checkVisibility())
            .map(bar => [bar.textContent, bar.offsetWidth / bar.parentElement.clientWidth]))"""
    )
    return found


def test_a_bar_is_as_wide_as_it_took_and_is_widened_on_demand(profiled_page: Page) -> None:
    before = widths(profiled_page)
    assert before["aten::linear"] == pytest.approx(0.4, abs=0.02)
    profiled_page.get_by_role("button", name="aten::linear", exact=True).click()
    after = widths(profiled_page)
    assert after["aten::linear"] == pytest.approx(1, abs=0.02)
    assert after["aten::addmm"] == pytest.approx(0.5, abs=0.02)
    assert "aten::mm" not in after
    assert "aten::linear: 40.0 µs, 40 % of a call" in profiled_page.locator(".chosen").inner_text().replace("\xa0", " ")


def test_the_arrow_keys_follow_what_called_what(profiled_page: Page) -> None:
    def focused() -> Any:
        return profiled_page.evaluate("document.activeElement.textContent")

    root = profiled_page.locator(".flame button").first
    root.focus()
    profiled_page.keyboard.press("ArrowDown")
    assert focused() == "aten::linear"
    profiled_page.keyboard.press("ArrowRight")
    assert focused() == "Optimizer.step#Adam.step"
    profiled_page.keyboard.press("Enter")
    assert widths(profiled_page)["Optimizer.step#Adam.step"] == pytest.approx(1, abs=0.02)
    profiled_page.keyboard.press("Escape")
    assert focused() == root.inner_text()
    assert widths(profiled_page)["aten::linear"] == pytest.approx(0.4, abs=0.02)


def test_only_one_bar_is_a_stop_of_the_tab_key(profiled_page: Page) -> None:
    assert profiled_page.locator(".flame button:not([tabindex='-1'])").count() == 1


def test_the_parts_of_a_bar_have_a_key_and_say_what_they_are(profiled_page: Page) -> None:
    parts = profiled_page.locator(".stack .part")
    key = dict(text.split(" ", 1) for text in profiled_page.locator(".parts-key li").all_inner_texts())
    assert profiled_page.locator(".stack .part:not([tabindex='-1'])").count() == 1
    parts.first.focus()
    said = []
    for _ in range(parts.count()):
        said.append(profiled_page.locator(".tip").inner_text())
        profiled_page.keyboard.press("ArrowRight")
    assert [text.partition(":")[0] for text in said] == list(key.values())
    assert said[0].replace("\xa0", " ") == "matrix products and convolutions: 40 %, 40.0 µs"
    assert [text for text in parts.all_inner_texts() if text] == list(key)
    parts.last.hover()
    assert profiled_page.locator(".tip").inner_text() == said[-1]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_no_violation_in_a_profile(profiled_page: Page, scheme: Any) -> None:
    profiled_page.emulate_media(color_scheme=scheme)
    assert violations(profiled_page, "#profiles") == []
    assert violations(profiled_page, ".spent") == []
