"""The report in a real browser: it loads alone, sorts, filters, is shared by its address and read anywhere."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
import pytest

from tests.browser.pages import HOSTILE, lay_out, shown, wait_until
from tests.reports.many import make_many
from tests.reports.rendered import a_part, page_of
from tests.reports.sample import make_run
from torchduet.reports.html.run_page import render
from torchduet.reports.read.run_file import from_json
from torchduet.reports.tables.flat import table_of

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = pytest.mark.browser


def test_all_cases_are_there_before_anything_is_filtered(page: Page) -> None:
    assert len(shown(page)) == len(make_run()["benchmarks"])


def test_a_header_sorts_by_value_not_by_text(page: Page) -> None:
    header = page.locator("table[data-suite=tensor_ops] th[data-key=seconds]")
    header.get_by_role("button").click()
    times = [row["seconds"] for row in shown(page, "tensor_ops")]
    assert times == sorted(times)
    assert len({str(time)[:1] for time in times}) > 1
    assert header.get_attribute("aria-sort") == "ascending"
    header.get_by_role("button").click()
    assert [row["seconds"] for row in shown(page, "tensor_ops")] == times[::-1]
    assert header.get_attribute("aria-sort") == "descending"


def test_a_third_click_restores_the_order_of_the_file(page: Page) -> None:
    before = shown(page, "mlp")
    button = page.locator("table[data-suite=mlp] th[data-key=seconds] button")
    for _ in range(3):
        button.click()
    assert shown(page, "mlp") == before


def test_sorting_works_from_the_keyboard(page: Page) -> None:
    page.locator("table[data-suite=mlp] th[data-key=ratio] button").focus()
    page.keyboard.press("Enter")
    assert page.locator("table[data-suite=mlp] th[data-key=ratio]").get_attribute("aria-sort") == "descending"


def test_words_and_choices_narrow_the_tables_together(page: Page) -> None:
    page.get_by_role("search").get_by_label("Find").fill("MATMUL n=512")
    page.get_by_role("search").get_by_label("Mode").select_option("compile")
    rows = shown(page)
    assert len(rows) == 2
    assert all(row["mode"] == "compile" and "n=512" in row["words"] for row in rows)
    assert page.locator("p.status").inner_text() == f"2 of {len(make_run()['benchmarks'])} cases"
    page.get_by_role("button", name="Show all").click()
    wait_until(page, "!location.hash")
    assert len(shown(page)) == len(make_run()["benchmarks"])


def test_a_filter_that_matches_nothing_says_so(page: Page) -> None:
    page.get_by_role("search").get_by_label("Find").fill("no such case")
    assert shown(page) == []
    assert page.get_by_text("No case of this suite matches.").first.is_visible()


def test_a_view_is_shared_by_its_address(page: Page, browser: Browser) -> None:
    page.get_by_role("search").get_by_label("Find").fill("n=1024 & more=#%")
    page.get_by_role("search").get_by_label("Find").fill("n=1024")
    page.get_by_role("search").get_by_label("Verdict").select_option("slower")
    page.locator("table[data-suite=matmul] th[data-key=seconds] button").click()
    other = browser.new_page()
    other.goto(page.url)
    lay_out(other)
    assert shown(other) == shown(page)
    assert other.get_by_role("search").get_by_label("Find").input_value() == "n=1024"
    assert other.locator("table[data-suite=matmul] th[data-key=seconds]").get_attribute("aria-sort") == "ascending"
    other.close()


@pytest.mark.parametrize("fragment", ["#mode=nonsense&sort.mlp=nothing", "#%E0%A4%A=1", "#=&=&==", "#no-such-place"])
def test_a_broken_address_shows_everything(page: Page, address: str, fragment: str) -> None:
    page.goto("about:blank")
    page.goto(address + fragment)
    assert len(shown(page)) == len(make_run()["benchmarks"])


def test_an_answer_leads_to_its_cases(page: Page) -> None:
    page.locator("#answers details.evidence summary").first.click()
    page.get_by_role("link", name="Show these cases in the tables").first.click()
    wait_until(page, "location.hash === '#mode=compile'")
    assert {row["mode"] for row in shown(page)} == {"compile"}


def test_a_case_leads_to_its_details_without_losing_the_view(page: Page) -> None:
    page.get_by_role("search").get_by_label("Mode").select_option("compile")
    before = shown(page)
    page.locator("table[data-suite=mlp] tbody th a >> visible=true").first.click()
    details = page.locator("dialog[open]")
    details.locator(".facts").wait_for()
    assert "case=case-" in page.url
    assert "graph" in details.inner_text()
    assert shown(page) == before


def test_the_number_of_workers_narrows_the_tables(rich_page: Page) -> None:
    rich_page.get_by_role("search").get_by_label("Workers").select_option("2")
    rows = shown(rich_page)
    assert {row["workers"] for row in rows} == {"2"}
    assert {row["suite"] for row in rows} == {"dataloader"}
    rich_page.locator("table[data-suite=dataloader] th[data-key=ratio] button").click()
    assert "sort.dataloader=-ratio" in rich_page.url


def test_claims_unfold_and_lead_to_their_cases(rich_page: Page) -> None:
    rich_page.get_by_role("link", name="Tutorials’ claims").click()
    rich_page.locator("#claims summary").focus()
    rich_page.keyboard.press("Enter")
    rich_page.locator("#claim-workers-large").get_by_role("link").first.click()
    details = rich_page.locator("dialog[open]")
    details.locator(".facts").wait_for()
    assert "first batch" in details.inner_text()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_mark_of_a_chart_stands_out_from_the_card(rich_page: Page, scheme: Any) -> None:
    rich_page.emulate_media(color_scheme=scheme)
    colours = rich_page.evaluate(
        """() => ["#roofline", "#noise", "#paths", "#loaders"]
            .flatMap(part => [...document.querySelectorAll(`${part} svg [style]`)])
            .filter(node => !node.closest("defs"))
            .filter(node => /var\\(--(line|faster|slower|ink)/.test(node.getAttribute("style")))
            .flatMap(node => ["fill", "stroke"].map(name => getComputedStyle(node)[name]))
            .filter(colour => colour.startsWith("rgb("))"""
    )
    card = rich_page.evaluate("getComputedStyle(document.querySelector('.panels .chart')).backgroundColor")
    assert len(colours) > 20
    assert min(_contrast(colour, card) for colour in set(colours)) >= 3  # WCAG 1.4.11: graphical objects


def _contrast(first: str, second: str) -> float:
    def light(colour: str) -> float:
        parts = [float(part) / 255 for part in re.findall(r"[\d.]+", colour)[:3]]
        linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    lower, higher = sorted((light(first), light(second)))
    return (higher + 0.05) / (lower + 0.05)


def test_suites_far_from_the_window_are_not_laid_out_until_they_come_near(page: Page) -> None:
    def laid_out() -> list[bool]:
        return page.evaluate(
            """() => [...document.querySelectorAll(".suite")]
                .map(one => one.querySelector("td").checkVisibility({contentVisibilityAuto: true}))"""
        )

    def until(condition: Callable[[], bool]) -> bool:
        return any(condition() or page.wait_for_timeout(50) for _ in range(200))

    lay_out(page, "")
    page.set_viewport_size({"width": 1280, "height": 300})
    page.evaluate("scrollTo(0, 0)")
    assert until(lambda: not all(laid_out()))
    page.evaluate("[...document.querySelectorAll('.suite')].at(-1).scrollIntoView()")
    assert until(lambda: laid_out()[-1])


@pytest.mark.parametrize("width", [1280, 390])
def test_a_jump_ends_at_its_target_whatever_is_laid_out_on_the_way(
    browser: Browser, tmp_path: Path, width: int
) -> None:
    path = tmp_path / "many.html"
    path.write_text(page_of(lambda: make_many(600, placements=8)), "utf-8")
    page = browser.new_page(viewport={"width": width, "height": 800})
    page.goto(path.as_uri())
    for target in ("suite-8", "suite-2", "cases", "suite-6"):
        page.evaluate(f"location.hash = '{target}'")
        reached = f"Math.abs(document.getElementById('{target}').getBoundingClientRect().top) < 60"
        wait_until(page, reached)
        page.wait_for_timeout(1500)  # longer than a jump is held
        assert page.evaluate(reached)
    page.close()


def test_no_table_of_cases_scrolls_at_a_laptops_width(either: Page) -> None:
    either.set_viewport_size({"width": 1280, "height": 800})
    over = either.evaluate(
        """() => [...document.querySelectorAll(".suite .scroll, .evidence .scroll")]
            .filter(node => node.checkVisibility() && node.scrollWidth > node.clientWidth)
            .map(node => [node.getAttribute("aria-labelledby"), node.scrollWidth, node.clientWidth])"""
    )
    assert over == []


@pytest.mark.parametrize("width", [360, 1280])
def test_nothing_of_a_forest_chart_is_cut_or_must_be_scrolled_to(either: Page, width: int) -> None:
    page = either
    page.set_viewport_size({"width": width, "height": 800})
    page.evaluate("document.querySelectorAll('details.evidence').forEach(one => one.open = true)")
    drawn = page.evaluate(
        """() => [...document.querySelectorAll(".drawing.both svg")].filter(svg => svg.checkVisibility()).map(svg => {
            const frame = svg.closest(".scroll").getBoundingClientRect();
            const out = [...svg.querySelectorAll("text")].map(text => text.getBoundingClientRect())
                .filter(box => box.left < frame.left - 1 || box.right > frame.right + 1).length;
            return [svg.closest(".scroll").scrollWidth - Math.ceil(frame.width), out];
        })"""
    )
    assert len(drawn) == page.locator(".drawing.both").count()  # one drawing of the two
    tables = page.evaluate(
        """() => [...document.querySelectorAll("table.forest")].filter(table => table.checkVisibility())
            .map(table => table.parentElement).map(frame => [frame.scrollWidth - frame.clientWidth, 0])"""
    )
    assert len(drawn) + len(tables) > 1
    assert all(over <= 0 and out == 0 for over, out in (*drawn, *tables))


def test_on_a_telephone_the_speed_up_stands_beside_the_name_that_stays(either: Page) -> None:
    page = either
    page.set_viewport_size({"width": 360, "height": 800})
    first = page.locator("table.cases tbody tr[data-suite=mlp]").first
    name, ratio = first.locator("th").bounding_box(), first.locator("td:visible").first.bounding_box()
    assert name
    assert ratio
    assert abs(name["x"] + name["width"] - ratio["x"]) <= 2
    assert ratio["x"] + ratio["width"] <= 360
    settings = first.evaluate("row => [row.dataset.mode, row.dataset.precision]")
    assert all(word in first.locator("th").inner_text() for word in ("batch=100", *settings))
    first.evaluate("row => row.closest('.scroll').scrollLeft = 150")
    after = first.locator("th").bounding_box()
    assert after
    assert abs(after["x"] - name["x"]) <= 1


def test_on_a_telephone_the_heat_map_names_the_setting_of_each_number_and_is_never_scrolled(rich_page: Page) -> None:
    rich_page.set_viewport_size({"width": 360, "height": 800})
    rich_page.locator("#glance details").evaluate_all("all => all.forEach(one => one.open = true)")
    for table in rich_page.locator("#glance .heat").all():
        assert table.evaluate("one => one.parentElement.scrollWidth <= one.parentElement.clientWidth")
    row = rich_page.locator(".heat tbody tr", has_text="dataloader.epoch_images").first
    cells = row.locator("td:visible a")
    labels = cells.evaluate_all("all => all.map(one => getComputedStyle(one, '::before').content)")
    assert labels == ['"1 worker "', '"2 workers "', '"4 workers "']
    assert row.locator("td:visible").count() == 1 + len(labels)  # and the reference's time
    assert rich_page.get_by_role("row", name="dataloader.epoch_images").get_by_role("cell").count() >= len(labels)


def test_sorting_by_workload_ignores_what_stands_below_its_name(page: Page) -> None:
    header = page.locator("table[data-suite=matmul] th[data-key=workload] button")
    before = shown(page, "matmul")
    header.click()
    assert shown(page, "matmul") == before


def test_printing_unfolds_the_evidence_and_folds_it_again(rich_page: Page) -> None:
    evidence = "[...document.querySelectorAll('details.evidence')].map(one => one.open)"
    before = rich_page.evaluate(evidence)
    assert not all(before)
    rich_page.evaluate("window.dispatchEvent(new Event('beforeprint'))")
    assert all(rich_page.evaluate(evidence))
    rich_page.evaluate("window.dispatchEvent(new Event('afterprint'))")
    assert rich_page.evaluate(evidence) == before


def test_everything_fits_on_a4(either: Page) -> None:
    page = either
    page.set_viewport_size({"width": 718, "height": 1000})  # 210 mm less margins of 10 mm
    page.emulate_media(media="print")
    page.evaluate("document.querySelectorAll('details').forEach(one => one.open = true)")
    over = page.evaluate(
        """() => [...document.querySelectorAll("table, svg, text, p, code")].filter(node => node.checkVisibility())
            .map(node => [node.getBoundingClientRect().right, node.tagName, node.textContent.trim().slice(0, 40)])
            .filter(([right]) => right > 719)"""
    )
    assert over == []
    sizes = page.evaluate(
        """() => [...new Set([...document.querySelectorAll("table.cases :is(th, td)")]
            .map(cell => getComputedStyle(cell).fontSize))]"""
    )
    assert len(sizes) == 1


def test_a_header_row_is_printed_without_its_buttons(page: Page) -> None:
    """Browsers leave buttons out where they repeat a header row on the next page."""
    page.emulate_media(media="print")
    assert page.locator("table.cases thead button:visible").count() == 0
    label = "getComputedStyle(document.querySelector('table.cases th[data-key=ratio]'), '::before').content"
    assert page.evaluate(label) in ('"Speed-up"', "attr(data-label)")


def test_print_shows_the_charts_and_hides_the_controls(rich_page: Page) -> None:
    rich_page.emulate_media(media="print")
    assert rich_page.locator("#glance .heat").first.is_visible()
    assert rich_page.get_by_text("Printed with the evidence of every answer").is_visible()
    assert rich_page.locator("#roofline svg").first.is_visible()
    assert not rich_page.locator("form.filters").is_visible()


def test_dark_mode_turns_page_and_charts(page: Page) -> None:
    def colours() -> list[str]:
        return page.evaluate(
            """[getComputedStyle(document.body).backgroundColor,
                getComputedStyle(document.querySelector(".drawing svg text")).fill]"""
        )

    light = colours()
    page.emulate_media(color_scheme="dark")
    assert all(before != after for before, after in zip(light, colours(), strict=True))


@pytest.mark.parametrize("width", [360, 768, 1280])
def test_the_page_itself_never_scrolls_sideways(either: Page, width: int) -> None:
    page = either
    page.set_viewport_size({"width": width, "height": 800})
    page.evaluate("document.querySelectorAll('details').forEach(one => one.open = true)")
    assert page.evaluate("document.documentElement.scrollWidth") <= width


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_stands_out_from_its_background(either: Page, scheme: Any) -> None:
    page = either
    page.evaluate("document.querySelectorAll('#claims details, #loaders details').forEach(one => one.open = true)")
    page.emulate_media(color_scheme=scheme)
    ratios = page.evaluate(
        """() => {
            const channels = text => {  // what color-mix makes is "color(srgb 0.2 …)", from 0 to 1
                const numbers = text.match(/[\\d.]+/g).map(Number);
                return text.startsWith("color(") ? numbers.map((v, i) => i < 3 ? v * 255 : v) : numbers;
            };
            const light = ([r, g, b]) => [r, g, b].map(v => v / 255)
                .map(v => v <= .04045 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4)
                .reduce((sum, v, i) => sum + v * [.2126, .7152, .0722][i], 0);
            const behind = node => {
                for (; node; node = node.parentElement) {
                    const colour = channels(getComputedStyle(node).backgroundColor);
                    if (colour.length === 3 || colour[3] > 0) return colour;
                }
            };
            return [...document.querySelectorAll(
                "p, a, abbr, th, td, dt, dd, li, code, summary, .verdict, .standing, figcaption, label")]
                .filter(node => node.checkVisibility() && node.textContent.trim())
                .map(node => {
                    const [a, b] = [light(channels(getComputedStyle(node).color)), light(behind(node))];
                    const ratio = (Math.max(a, b) + .05) / (Math.min(a, b) + .05);
                    return [ratio, node.className, node.textContent.slice(0, 30)];
                });
        }"""
    )
    assert len(ratios) > 200
    assert [one for one in ratios if one[0] < 4.5] == []


def test_without_javascript_everything_is_there_but_the_filter(browser: Browser, address: str) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(address)
    assert page.locator("table.cases tbody tr").count() == len(make_run()["benchmarks"])
    assert not page.locator("form.filters").is_visible()
    context.close()


def test_hostile_names_stay_text(browser: Browser, tmp_path: Path) -> None:
    text = json.dumps(a_part(make_run()))
    for name in ("square", "mlp", "compile-model"):
        text = text.replace(name, json.dumps(HOSTILE)[1:-1])
    path = tmp_path / "report.html"
    path.write_text(render(from_json(json.loads(text))), "utf-8")
    page = browser.new_page()
    heard: list[str] = []
    page.on("dialog", lambda dialog: (heard.append(dialog.message), dialog.dismiss()))
    page.on("console", lambda message: heard.append(message.text))
    page.on("pageerror", lambda error: heard.append(str(error)))
    page.goto(path.as_uri())
    page.get_by_role("search").get_by_label("Suite").select_option(HOSTILE)
    rows = shown(page)
    assert {row["suite"] for row in rows} == {HOSTILE}
    page.locator("table.cases >> visible=true").first.locator("th[data-key=seconds] button").click()
    again = browser.new_page()
    again.goto(page.url)
    assert {row["suite"] for row in shown(again)} == {HOSTILE}
    assert page.locator("img").count() == 0
    assert heard == []
    again.close()
    page.close()


def test_a_key_press_in_the_filter_touches_each_row_at_most_once(page: Page) -> None:
    """What keeps a thousand rows quick, counted in work because time would depend on the machine."""
    changes = page.evaluate(
        """async () => {
            let changes = 0;
            new MutationObserver(list => changes += list.length)
                .observe(document.body, {subtree: true, attributes: true, attributeFilter: ["hidden"]});
            const field = document.querySelector("[data-filter=q]");
            field.value = "eager";
            field.dispatchEvent(new Event("input", {bubbles: true}));
            await new Promise(requestAnimationFrame);
            return changes;
        }"""
    )
    assert 0 < changes <= len(make_run()["benchmarks"]) + 20


def test_a_comparison_shows_what_is_slower_first_and_is_filtered_by_verdict(compared_page: Page) -> None:
    rows = shown(compared_page)
    assert len(rows) == 2 * len(make_run()["benchmarks"])
    assert rows[0]["verdict"] == "slower"
    compared_page.get_by_role("search").get_by_label("Verdict").select_option("slower")
    (row,) = shown(compared_page)
    assert "matmul.square[n=512] cpu eager fp32" in row["words"]
    title = compared_page.get_by_role("heading", level=1).inner_text()
    assert title == "2 runs against base.json: 1 of 57 cases is slower or faster in at least one"


def test_a_comparison_says_beside_an_open_verdict_what_keeps_it_open(compared_page: Page) -> None:
    compared_page.get_by_role("search").get_by_label("Verdict").select_option("unclear")
    assert all("pilot beside it took" in row["words"] or "apart" in row["words"] for row in shown(compared_page))
    assert len(shown(compared_page)) > 40


@pytest.mark.parametrize("name", ["cases.csv", "comparisons.csv"])
def test_the_tables_are_downloaded_as_csv_with_all_their_digits(page: Page, name: str) -> None:
    wanted = table_of(from_json(make_run()), name.removesuffix(".csv"))
    with page.expect_download() as started:
        page.locator(f"button[data-file='{name}']").click()
    assert started.value.suggested_filename == name
    read = pd.read_csv(started.value.path())
    assert list(read.columns) == list(wanted.columns)
    assert list(read["id"]) == list(wanted["id"])
    column = "seconds" if name == "cases.csv" else "ratio"
    assert list(read[column]) == list(wanted[column])
