"""A comparison in a real browser: large tables, a case opened with its samples, runs side by side."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.browser.pages import HOSTILE, lay_out, opened, shown, violations, wait_until
from tests.reports.many import make_many
from tests.reports.remeasured import remeasured
from tests.reports.sample import make_run
from tests.reports.visited import visited
from torchduet.reports.compare.comparison import Comparison
from torchduet.reports.compare.match import compare
from torchduet.reports.compare.page import FIRST_ROWS, MAX_TABLE_ROWS, render
from torchduet.reports.compare.thresholds import Thresholds
from torchduet.reports.read.run_file import from_json

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = pytest.mark.browser

CASES = MAX_TABLE_ROWS + 600  # a thousand
SQUARE = "matmul.square[n=512] cpu eager fp32"
ADD = "tensor_ops.add[n=65536] cpu eager fp32"
FAMILIES = ("matmul.square[n=512]", "tensor_ops.add[n=65536]")


def compared(base: Any, *others: Any) -> list[Comparison]:
    named = [from_json(one, f"{place}.json") for place, one in enumerate(others, 1)]
    return compare(from_json(base, "base.json"), named, Thresholds())


def written(comparisons: list[Comparison], folder: Path) -> str:
    path = folder / "compare.html"
    path.write_text(render(comparisons, 0.05), "utf-8")
    return path.as_uri()


@pytest.fixture(scope="module")
def large() -> list[Comparison]:
    return compared(make_many(CASES, 1, placements=8), make_many(CASES, 2, changed=True, placements=8))


@pytest.fixture(scope="module")
def large_address(large: list[Comparison], tmp_path_factory: pytest.TempPathFactory) -> str:
    return written(large, tmp_path_factory.mktemp("large"))


@pytest.fixture
def large_page(browser: Browser, large_address: str) -> Iterator[Page]:
    """Two runs of a thousand cases, of which some became slower."""
    yield from opened(browser, large_address)


@pytest.fixture(scope="module")
def small_address(tmp_path_factory: pytest.TempPathFactory) -> str:
    another = remeasured(make_run(), 3, slower={SQUARE: 1.2, ADD: 0.8})
    another["torchduet"]["machine"]["torch"] = "2.12.0"
    first = remeasured(make_run(), 2, slower={SQUARE: 1.3})
    return written(compared(remeasured(make_run(), 1), first, another), tmp_path_factory.mktemp("small"))


@pytest.fixture
def small_page(browser: Browser, small_address: str) -> Iterator[Page]:
    """Two runs against a base: a case is slower in both, another faster in the second, on another PyTorch."""
    yield from opened(browser, small_address)


@pytest.fixture(params=["large_page", "small_page"])
def either(request: pytest.FixtureRequest) -> Page:
    page: Page = request.getfixturevalue(request.param)
    return page


def find(page: Page, words: str) -> None:
    page.get_by_role("search").get_by_label("Find").fill(words)


def case(page: Page) -> Any:
    return page.locator("dialog#case")


def open_first(page: Page) -> str:
    """Opens the first case of the page's first table; returns its id."""
    first = page.locator("table.cases tbody tr:not([hidden]) .open").first
    name: str = first.inner_text()
    first.click()
    wait_until(page, "document.getElementById('case').open")
    return name


def ratios(page: Page) -> list[float]:
    return page.evaluate(
        """[...document.querySelectorAll("table[data-suite=run-1] tbody tr:not([hidden])")]
            .map(row => Number(row.cells[2].dataset.v))"""
    )


def test_a_large_table_holds_its_first_rows_and_more_when_asked(large_page: Page) -> None:
    assert len(shown(large_page)) == FIRST_ROWS
    assert large_page.get_by_role("status").inner_text() == f"{CASES:,} cases"
    more = large_page.get_by_role("button", name=f"Show {3 * FIRST_ROWS} more")
    more.focus()
    large_page.keyboard.press("Enter")
    assert len(shown(large_page)) == 4 * FIRST_ROWS
    place = "[...document.querySelectorAll('table.cases .open')].indexOf(document.activeElement)"
    assert large_page.evaluate(place) == FIRST_ROWS  # the keyboard goes on with the first of the new ones
    large_page.get_by_role("button", name=f"Show {CASES - 4 * FIRST_ROWS} more").click()
    assert len(shown(large_page)) == CASES
    assert not large_page.locator("button.more").is_visible()


def test_what_moved_comes_first_in_a_large_table(large_page: Page) -> None:
    verdicts = [row["verdict"] for row in shown(large_page)]
    assert verdicts[0] == "slower"
    assert verdicts == sorted(verdicts, key=("slower", "faster", "unclear", "same").index)


def test_a_filter_finds_cases_that_were_not_in_the_table(large_page: Page, large: list[Comparison]) -> None:
    there = {row["words"].split("\n")[0].split("\t")[0] for row in shown(large_page)}
    far = next(one.case["id"] for one in large[0].of("same")[::-1] if one.case["id"] not in there)
    find(large_page, far.upper())
    (row,) = shown(large_page)
    assert far in row["words"]
    assert large_page.get_by_role("status").inner_text() == f"1 of {CASES:,} cases"
    find(large_page, "no such case")
    assert shown(large_page) == []
    assert large_page.get_by_text("No case of this run matches.").is_visible()


def test_a_large_table_sorts_all_cases_not_only_those_in_it(large_page: Page, large: list[Comparison]) -> None:
    every = sorted(one.time.ratio for one in large[0].changes if one.time)
    header = large_page.locator("table[data-suite=run-1] th[data-key=ratio]")
    for key, expected in (("Enter", every[::-1]), ("Space", every)):
        header.get_by_role("button").focus()
        large_page.keyboard.press(key)
        assert ratios(large_page) == pytest.approx(expected[:FIRST_ROWS], rel=1e-4)
    assert header.get_attribute("aria-sort") == "ascending"


def test_rows_made_by_the_script_are_those_that_are_written(browser: Browser, large_address: str) -> None:
    rows = []
    for script in (True, False):
        context = browser.new_context(java_script_enabled=script)
        page = context.new_page()
        page.goto(large_address)
        rows.append(page.locator("table[data-suite=run-1] tbody").inner_html())
        context.close()
    made, plain = (re.sub(r'data-v="[^"]*"', "", re.sub(r">\s+<", "><", text)).strip() for text in rows)
    assert made.count("<tr") == FIRST_ROWS
    assert made == plain
    values = [[float(value) for value in re.findall(r'data-v="([^"]+)"', text)] for text in rows]
    assert values[0] == pytest.approx(values[1], rel=1e-4)


def test_a_letter_in_the_filter_of_a_large_table_touches_few_rows(large_page: Page) -> None:
    """However many cases there are, the browser lays out those of the window: counted, as time depends on machines."""
    touched = large_page.evaluate(
        """async () => {
            let touched = 0;
            const count = one => one.addedNodes.length + one.removedNodes.length;
            new MutationObserver(list => list.forEach(one => touched += count(one)))
                .observe(document.querySelector("table[data-suite=run-1] tbody"), {childList: true});
            const found = [];
            for (const text of ["c", "co", "compile bf16", "compile bf16 "]) {
                touched = 0;
                const field = document.querySelector("[data-filter=q]");
                field.value = text;
                field.dispatchEvent(new Event("input", {bubbles: true}));
                await new Promise(requestAnimationFrame);
                found.push(touched);
            }
            return found;
        }"""
    )
    assert touched[-1] == 0  # the same rows match: nothing is touched
    assert 0 < max(touched) <= 2 * FIRST_ROWS


def test_a_view_with_a_case_is_shared_by_its_address(large_page: Page, browser: Browser) -> None:
    large_page.get_by_role("search").get_by_label("Verdict").select_option("slower")
    large_page.locator("table[data-suite=run-1] th[data-key=seconds] button").click()
    name = open_first(large_page)
    other = browser.new_page()
    other.goto(large_page.url)
    lay_out(other)
    assert case(other).is_visible()
    assert case(other).get_by_role("heading", level=2).inner_text() == name
    assert shown(other) == shown(large_page)
    assert {row["verdict"] for row in shown(other)} == {"slower"}
    other.keyboard.press("Escape")
    assert not case(other).is_visible()
    wait_until(other, "location.hash === '#verdict=slower&sort.run-1=seconds'")
    other.close()


def test_a_case_is_opened_read_and_closed_by_the_keyboard(either: Page) -> None:
    first = either.locator("table.cases tbody .open").first
    first.focus()
    before = either.url
    either.keyboard.press("Enter")
    dialog = case(either)
    assert dialog.is_visible()
    assert dialog.get_by_role("heading", level=2).inner_text() == first.inner_text()
    assert either.evaluate("document.activeElement.id") == "case-h"
    for _ in range(12):
        either.keyboard.press("Tab")
        assert either.evaluate("document.activeElement === document.body || !!document.activeElement.closest('dialog')")
    either.keyboard.press("Escape")
    wait_until(either, "!document.getElementById('case').open")
    wait_until(either, "address => location.href.replace(/#$/, '') === address", before)
    assert either.evaluate("document.activeElement.className") == "open"


def test_back_closes_a_case_and_forward_opens_it(either: Page) -> None:
    find(either, "fp32")
    rows = shown(either)
    name = open_first(either)
    either.go_back()
    wait_until(either, "!document.getElementById('case').open")
    assert shown(either) == rows
    assert "q=fp32" in either.url
    either.go_forward()
    wait_until(either, "document.getElementById('case').open")
    assert case(either).get_by_role("heading", level=2).inner_text() == name


def test_one_goes_from_case_to_case_as_the_table_has_them(large_page: Page) -> None:
    names = [name.inner_text() for name in large_page.locator("table.cases tbody .open").all()[:3]]
    open_first(large_page)
    dialog = case(large_page)
    assert dialog.get_by_role("button", name="Previous case").is_disabled()
    for name in names[1:]:
        dialog.get_by_role("button", name="Next case").click()
        assert dialog.get_by_role("heading", level=2).inner_text() == name
        assert large_page.evaluate("document.activeElement.textContent") == "Next case"
    large_page.go_back()  # stepping leaves one entry in the history, not three
    wait_until(large_page, "!document.getElementById('case').open")


def test_the_drawings_say_in_words_what_they_show(large_page: Page, large: list[Comparison]) -> None:
    name = open_first(large_page)
    change = next(one for one in large[0].changes if one.case["id"] == name)
    assert change.base
    order, spread = case(large_page).get_by_role("img").all()
    words = order.get_attribute("aria-label")
    assert words
    assert words.startswith("Medians of the placements in the order taken. base.json: 8 placements from ")
    assert "; 1.json: 8 placements from " in words
    assert "half of its placements take at most" in (spread.get_attribute("aria-label") or "")
    found = re.search(r"base\.json: 8 placements .*?median ([\d.,]+) (ns|µs|ms|s);", words)
    assert found
    scale = {"ns": 1e-9, "µs": 1e-6, "ms": 1e-3, "s": 1.0}[found[2]]
    assert float(found[1].replace(",", "")) * scale == pytest.approx(change.base["timing"]["seconds"], rel=0.03)
    captions = case(large_page).locator("figcaption").all_inner_texts()
    assert all(re.search(r"The axis of times starts at (0|[\d.]+ \S+, not at 0)\.", one) for one in captions)


def test_the_runs_are_told_apart_without_colour(either: Page) -> None:
    open_first(either)
    dialog = case(either)
    assert dialog.locator("figure circle.base:not(.block)").count() >= 8
    assert dialog.locator("figure rect.fresh").count() >= 8
    dashes = "name => getComputedStyle(document.querySelector(`dialog figure path.${name}`)).strokeDasharray"
    assert either.evaluate(dashes, "base") == "none"
    assert either.evaluate(dashes, "fresh") != "none"


def test_a_case_tells_what_both_runs_recorded_and_why_it_is_open(large_page: Page) -> None:
    large_page.get_by_role("search").get_by_label("Verdict").select_option("unclear")
    name = open_first(large_page)
    dialog = case(large_page)
    assert re.search(
        r"(?i)pilot beside it took|differ by up to .* in unchanged code|own times allow", dialog.inner_text()
    )
    (reason,) = [row["words"] for row in shown(large_page) if name in row["words"]][:1]
    assert "unclear" in reason
    rows = {
        row.locator("th").inner_text(): row.locator("td").all_inner_texts() for row in dialog.locator("tbody tr").all()
    }
    assert all(re.search(r"8 placements, [\d,]+ blocks of [\d,]+ calls?", side) for side in rows["Samples"])
    assert all("to" in side for side in rows["Time per call"])
    assert all(side.startswith(("quiet", "noisy")) for side in rows["Noise"])
    assert all(side for side in rows["Peak memory"])


def test_a_case_tells_how_often_both_runs_visited_it(browser: Browser, tmp_path: Path) -> None:
    runs = [visited(make_run(), seed, visits=visits, families=FAMILIES) for seed, visits in ((1, 5), (2, 1))]
    for page in opened(browser, written(compared(*runs), tmp_path)):
        open_first(page)
        (samples,) = [row for row in case(page).locator("tr").all() if "Samples" in row.inner_text()]
        assert re.search(r"5 visits, 15 placements, .*1 visit, 3 placements, ", samples.inner_text(), re.DOTALL)
        image = case(page).get_by_role("img").first
        words = image.get_attribute("aria-label") or ""
        assert re.search(r": 15 placements in 5 visits from .*: 3 placements in 1 visit from ", words)
        # A line for the placements of each visit, and a short one where each visit but the last ends.
        assert [image.locator(f"polyline.{side}").count() for side in ("base", "fresh")] == [5, 1]
        assert [image.locator(f"line.end.{side}").count() for side in ("base", "fresh")] == [4, 0]
        assert "A line joins the placements of one visit" in case(page).locator("figcaption").first.inner_text()


def test_blocks_are_drawn_where_they_are_given(small_page: Page) -> None:
    open_first(small_page)
    drawn = case(small_page).locator("circle.block").count()
    words = " ".join(case(small_page).locator("figcaption").all_inner_texts())
    beyond = re.search(r"(\d+) blocks? lies? beyond the axis", words)
    assert drawn + (int(beyond[1]) if beyond else 0) == 2 * 12 * 9


def test_runs_stand_side_by_side_first_and_are_sorted_and_filtered_alike(small_page: Page) -> None:
    sections = small_page.evaluate("[...document.querySelectorAll('main > section')].map(one => one.id)")
    assert sections[:3] == ["answers", "runs", "differences"]
    table = small_page.locator("table.matrix")
    assert table.locator("thead tr").first.inner_text().split() == ["Case", "1.json", "2.json"]
    assert "PyTorch 2.12.0" in table.locator(".differs").inner_text()
    rows = table.locator("tbody tr:not([hidden])")
    assert rows.first.inner_text().startswith(SQUARE)
    assert rows.first.locator(".verdict").all_inner_texts()[0].startswith("▼ 0.")
    small_page.get_by_role("search").get_by_label("Verdict").select_option("faster")
    assert rows.count() == 1
    assert ADD in rows.first.inner_text()
    assert small_page.get_by_role("status").inner_text() == f"1 of {len(make_run()['benchmarks'])} cases"
    small_page.get_by_role("button", name="Show all").click()
    table.locator("th[data-key=run-2] button").click()
    values = [float(row.locator("td").nth(1).get_attribute("data-v") or "nan") for row in rows.all()]
    assert values == sorted(values, reverse=True)
    assert "sort.runs=-run-2" in small_page.url


def test_a_case_of_several_runs_is_looked_at_in_each(small_page: Page) -> None:
    open_first(small_page)
    dialog = case(small_page)
    assert dialog.get_by_role("button", name="1.json").get_attribute("aria-pressed") == "true"
    dialog.get_by_role("button", name="2.json").click()
    assert dialog.get_by_role("button", name="2.json").get_attribute("aria-pressed") == "true"
    assert "case=2+matmul" in small_page.url
    assert "2.json: 12 placements" in (dialog.get_by_role("img").first.get_attribute("aria-label") or "")


@pytest.mark.parametrize("fragment", ["#case=1+no+such+case", "#case=9+x", "#case=", "#case=1"])
def test_an_address_of_no_case_opens_none(large_page: Page, large_address: str, fragment: str) -> None:
    large_page.goto("about:blank")
    large_page.goto(large_address + fragment)
    assert not case(large_page).is_visible()
    assert len(shown(large_page)) == FIRST_ROWS


@pytest.mark.parametrize("width", [360, 768, 1280])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_an_open_case_fits_and_stands_out(either: Page, width: int, scheme: Any) -> None:
    either.emulate_media(color_scheme=scheme)
    either.set_viewport_size({"width": width, "height": 800})
    open_first(either)
    over = either.evaluate(
        """(dialog => [dialog.scrollWidth - dialog.clientWidth, dialog.getBoundingClientRect().right])(
            document.getElementById("case"))"""
    )
    assert over[0] <= 0
    assert over[1] <= width
    letters = either.evaluate(
        """[...document.querySelectorAll("dialog figure text")].map(one => one.getBoundingClientRect().height)"""
    )
    assert min(letters) >= 10  # pixels: still letters on a telephone
    colours = either.evaluate(
        """(style => [style.backgroundColor, style.color])(getComputedStyle(document.getElementById("case")))"""
    )
    light = [sum(map(float, re.findall(r"[\d.]+", colour)[:3])) for colour in colours]
    assert (light[0] > light[1]) == (scheme == "light")


def test_an_open_case_is_printed_alone(either: Page) -> None:
    open_first(either)
    either.emulate_media(media="print")
    assert case(either).is_visible()
    assert not either.locator("main").is_visible()
    assert case(either).get_by_role("button").count() == 0


def test_without_javascript_the_first_rows_and_all_runs_are_there(browser: Browser, large_address: str) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(large_address)
    assert page.locator("table.cases tbody tr").count() == FIRST_ROWS
    assert page.get_by_text(f"The first {FIRST_ROWS} of {CASES:,} cases").is_visible()
    assert not page.locator("form.filters").is_visible()
    context.close()


@pytest.mark.parametrize("copies", [1, 3])
def test_hostile_names_stay_text(browser: Browser, tmp_path: Path, copies: int) -> None:
    """In rows that are written and, of many cases, in rows that the script makes."""
    text = json.dumps(make_run(copies=copies))
    for name in ("square", "mlp", "compile-model"):
        text = text.replace(name, json.dumps(f"{HOSTILE}</script><!--{name}")[1:-1])
    document = json.loads(text)
    runs = [from_json(remeasured(document, seed), f"{HOSTILE}{seed}") for seed in (1, 2, 3)]
    page = browser.new_page()
    heard: list[str] = []
    page.on("dialog", lambda dialog: (heard.append(dialog.message), dialog.dismiss()))
    page.on("console", lambda message: heard.append(message.text))
    page.on("pageerror", lambda error: heard.append(str(error)))
    page.goto(written(compare(runs[0], runs[1:], Thresholds()), tmp_path))
    lay_out(page)
    find(page, "<!--square")
    name = open_first(page)
    assert "</script><!--square" in name
    assert case(page).get_by_role("heading", level=2).inner_text() == name
    page.reload()
    assert case(page).get_by_role("heading", level=2).inner_text() == name
    assert page.locator("img").count() == 0
    assert heard == []
    page.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_no_violation_in_an_open_case(small_page: Page, scheme: Any) -> None:
    small_page.emulate_media(color_scheme=scheme)
    open_first(small_page)
    assert violations(small_page, "dialog#case") == []
