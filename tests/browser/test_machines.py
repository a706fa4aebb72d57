"""The page on several machines in a real browser: filtered, sorted, read by keyboard, on a telephone, in print."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

from tests.browser.pages import HOSTILE, lay_out, opened, violations
from tests.reports.many import make_many
from tests.reports.on_machines import epyc, h200, on, records, xeon
from tests.reports.sample import make_run
from torchduet.reports.machines.page import page as render
from torchduet.reports.machines.prices import Prices
from torchduet.reports.read.run_file import from_json

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = pytest.mark.browser

CASES, MACHINES = 500, 8
PRICES = Prices({"EPYC": 0.2, "Xeon": 0.1, "H200": 3.5}, "EUR", "pyproject.toml")


@pytest.fixture(scope="module")
def small_address(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("machines") / "machines.html"
    runs = [epyc(joules=lambda _: 2.0), xeon(joules=lambda _: 1.0), h200()]
    path.write_text(render(runs, PRICES), "utf-8")
    return path.as_uri()


@pytest.fixture(scope="module")
def large_address(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("many") / "machines.html"
    many = make_many(CASES, placements=2)
    for record in records(many):
        for speedup in record["speedups"]:
            speedup |= {"knob": "precision", "value": record["case"]["precision"], "baseline": "fp32"}
    runs = [from_json(on(many, cpu=f"CPU {number}", factor=2.5**number)) for number in range(MACHINES)]
    path.write_text(render(runs), "utf-8")
    return path.as_uri()


@pytest.fixture
def small_page(browser: Browser, small_address: str) -> Iterator[Page]:
    """Three machines with prices and energy."""
    yield from opened(browser, small_address)


@pytest.fixture
def large_page(browser: Browser, large_address: str) -> Iterator[Page]:
    """Eight machines with 500 cases each."""
    yield from opened(browser, large_address)


@pytest.fixture(params=["small_page", "large_page"])
def either(request: pytest.FixtureRequest) -> Page:
    page: Page = request.getfixturevalue(request.param)
    return page


def rows(page: Page, table: str) -> list[str]:
    return page.locator(f"table[data-suite={table}] tbody tr:visible").all_inner_texts()


def test_the_answer_and_the_chart_are_on_the_first_screen(either: Page) -> None:
    either.set_viewport_size({"width": 1280, "height": 900})
    chart = either.locator("table.heat").bounding_box()
    assert chart
    assert chart["y"] < 700
    assert "is the fastest in" in either.get_by_role("heading", level=1).inner_text()


def test_words_and_a_machine_narrow_all_tables(small_page: Page) -> None:
    every = len(rows(small_page, "cases"))
    search = small_page.get_by_role("search")
    search.get_by_label("Find").fill("MLP compile")
    assert 0 < len(rows(small_page, "cases")) < every
    assert all("mlp" in row for row in [*rows(small_page, "cases"), *rows(small_page, "cost")])
    assert small_page.get_by_role("status").inner_text() == f"{len(rows(small_page, 'cases'))} of {every} cases"
    search.get_by_label("Find").fill("")
    search.get_by_label("Fastest").select_option("NVIDIA H200")
    assert all("n=1024" in row or "n=4096" in row for row in rows(small_page, "cases"))


def test_a_machines_column_sorts_by_time(small_page: Page) -> None:
    header = small_page.locator("table[data-suite=cases] th[data-key=machine-2]")
    header.get_by_role("button").focus()
    small_page.keyboard.press("Enter")
    values = small_page.evaluate(
        """[...document.querySelectorAll("table[data-suite=cases] tbody tr")].map(row => row.cells[2].dataset.v)"""
    )
    known = [float(value) for value in values if value]
    assert known == sorted(known, reverse=True)
    assert values[-1] == ""  # where the machine has no time
    assert header.get_attribute("aria-sort") == "descending"


def test_more_rows_come_when_asked_and_take_the_focus(large_page: Page) -> None:
    shown = len(rows(large_page, "cases"))
    assert shown == 100
    more = large_page.locator("#cases button.more")
    assert more.inner_text() == "Show 300 more"
    more.focus()
    large_page.keyboard.press("Enter")
    assert len(rows(large_page, "cases")) == 400
    place = "document.activeElement.closest('tr').rowIndex"
    assert large_page.evaluate(place) == shown + 1
    assert large_page.locator("#effects .said").inner_text().endswith(" comparisons.")


def test_rows_made_by_the_script_are_those_that_are_written(browser: Browser, large_address: str) -> None:
    for table in ("cases", "effects"):
        made, written = [], []
        for script, kept in ((True, made), (False, written)):
            context = browser.new_context(java_script_enabled=script)
            page = context.new_page()
            page.goto(large_address)
            kept.append(page.locator(f"table[data-suite={table}] tbody").inner_html())
            context.close()
        texts = [re.sub(r"\s+", " ", re.sub(r' data-v="[^"]*"', "", text)) for text in (*made, *written)]
        first, second = (re.sub(r"> <", "><", text).strip() for text in texts)
        assert first == second
        values = [[float(value) for value in re.findall(r'data-v="([^"]+)"', text)] for text in (*made, *written)]
        assert values[0] == pytest.approx(values[1], rel=1e-4)


def test_a_view_is_shared_by_its_address(small_page: Page, browser: Browser) -> None:
    small_page.get_by_role("search").get_by_label("Mode").select_option("compile")
    small_page.locator("table[data-suite=cases] th[data-key=machine-1] button").click()
    other = browser.new_page()
    other.goto(small_page.url)
    lay_out(other)
    assert rows(other, "cases") == rows(small_page, "cases")
    other.close()


@pytest.mark.parametrize("width", [360, 390, 1280])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_is_never_wider_than_its_window(either: Page, width: int, scheme: Any) -> None:
    either.emulate_media(color_scheme=scheme)
    either.set_viewport_size({"width": width, "height": 844})
    either.evaluate("document.querySelectorAll('details').forEach(one => one.open = true)")
    assert either.evaluate("document.documentElement.scrollWidth") <= width


@pytest.mark.parametrize(("scheme", "width"), [("light", 1280), ("dark", 360)])
def test_axe_finds_no_violation(either: Page, scheme: Any, width: int) -> None:
    either.emulate_media(color_scheme=scheme)
    either.set_viewport_size({"width": width, "height": 900})
    either.evaluate("document.querySelectorAll('details').forEach(one => one.open = true)")
    assert violations(either) == []


def test_the_print_has_the_tables_without_the_controls(small_page: Page) -> None:
    small_page.emulate_media(media="print")
    assert small_page.locator("table.heat").is_visible()
    assert small_page.locator("table[data-suite=cases] tbody tr").first.is_visible()
    assert not small_page.locator("form.filters").is_visible()
    assert not small_page.get_by_role("navigation").is_visible()


def test_hostile_names_stay_text(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> None:
    """In rows that are written and, of many machines, in rows that the script makes."""
    text = json.dumps(make_run())
    for name in ("square", "mlp", "compile-model"):
        text = text.replace(name, json.dumps(f"{HOSTILE}</script><!--{name}")[1:-1])
    path = tmp_path_factory.mktemp("hostile") / "machines.html"
    runs = [from_json(on(json.loads(text), cpu=f"{HOSTILE}{number}")) for number in range(70)]
    path.write_text(render(runs), "utf-8")
    heard: list[str] = []
    page = browser.new_page()
    page.on("dialog", lambda dialog: (heard.append(dialog.message), dialog.dismiss()))
    page.on("console", lambda message: heard.append(message.text))
    page.on("pageerror", lambda error: heard.append(str(error)))
    page.goto(path.as_uri())
    lay_out(page)
    page.get_by_role("search").get_by_label("Find").fill("<!--square")
    assert page.locator("table[data-suite=cases] tbody tr").count() > 0
    assert "</script><!--square" in page.locator("table[data-suite=cases] tbody th").first.inner_text()
    assert page.locator("img").count() == 0
    assert heard == []
    page.close()
