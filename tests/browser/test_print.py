"""What a printer gets of each kind of page: dark on white, nothing cut off, the answer on the first sheet."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.browser.pages import opened
from tests.reports.made_duet import duet_of
from tests.reports.on_machines import epyc, h200, xeon
from tests.reports.remeasured import remeasured
from tests.reports.rendered import a_part, page_of
from tests.reports.rich import make_rich_run
from tests.reports.sample import make_run
from tests.reports.tracing import steps, write
from torchduet.__main__ import main
from torchduet.bench.record.schema import KEY
from torchduet.reports.compare.match import compare
from torchduet.reports.compare.page import render as render_comparison
from torchduet.reports.compare.thresholds import Thresholds
from torchduet.reports.html.run_page import render
from torchduet.reports.machines.page import page as render_machines
from torchduet.reports.machines.prices import Prices
from torchduet.reports.read.run_file import from_json, load

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = pytest.mark.browser

SHEET = {"width": 718, "height": 1047}  # A4 within margins of 10 mm, in pixels of CSS
CUT = """() => [...document.querySelectorAll("body *")]
    .filter(one => one.checkVisibility() && !one.closest("svg, .hidden") && getComputedStyle(one).clipPath === "none")
    .filter(one => one.getBoundingClientRect().right > document.documentElement.clientWidth + .5)
    .map(one => one.outerHTML.slice(0, 200))"""
DARK = """() => {
    const pixel = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
    const shade = color => {
        pixel.clearRect(0, 0, 1, 1);
        pixel.fillStyle = color;
        pixel.fillRect(0, 0, 1, 1);
        const [red, green, blue, alpha] = pixel.getImageData(0, 0, 1, 1).data;
        return alpha < 128 ? 1 : (.2126 * red + .7152 * green + .0722 * blue) / 255;
    };
    const own = one => [...one.childNodes].some(node => node.nodeType === Node.TEXT_NODE && node.textContent.trim());
    return [...document.querySelectorAll("body, body *")]
        .filter(one => one.checkVisibility() && !one.closest("svg, .hidden") && (own(one) || one === document.body))
        .filter(one => shade(getComputedStyle(one).backgroundColor) < .5 || shade(getComputedStyle(one).color) > .6)
        .map(one => one.outerHTML.slice(0, 200));
}"""
OVERLAPPING = """() => [...document.querySelectorAll(".axis")].filter(one => one.checkVisibility()).filter(axis => {
        const boxes = [...axis.children].filter(one => one.checkVisibility()).map(one => one.getBoundingClientRect());
        return boxes.some((box, at) => at && box.left < boxes[at - 1].right);
    }).map(axis => axis.textContent)"""
ONLY_A_HEADING = """() => [...document.querySelectorAll("main section")].filter(one => one.checkVisibility()
        && ![...one.children].some(part => !/^H[1-6]$/.test(part.tagName) && part.checkVisibility()
            && part.getBoundingClientRect().height > 0)).map(one => one.id)"""


def run(_: Path) -> str:
    return page_of(make_rich_run)


def profile(folder: Path) -> str:
    write(folder / "a.pt.trace.json.gz", *steps(5))
    document = a_part(make_run())
    for one in document["benchmarks"][:2]:
        one["extra_info"][KEY]["profile"] = {
            **{"trace": "a.pt.trace.json.gz", "calls": 5, "seconds": 1.2e-4, "plain_seconds": 1e-4, "stacks": False},
        }
    (folder / "run.json").write_text(json.dumps(document), "utf-8")
    return render(load(folder / "run.json"))


def comparison(_: Path) -> str:
    slower = {"matmul.square[n=512] cpu eager fp32": 2.4}
    base, new = (remeasured(make_run(), seed, slower=changed) for seed, changed in ((1, {}), (2, slower)))
    return render_comparison(compare(from_json(base, "a.json"), [from_json(new, "b.json")], Thresholds()), 0.05)


def duet(_: Path) -> str:
    return render(from_json(duet_of(a_part(make_run()), "slower", *["same"] * 4, "unclear")))


def history(folder: Path) -> str:
    pytest.importorskip("ruptures", reason="needs pip install 'torchduet[history]'")
    from tests.reports.made_history import make_history

    document: Any = json.loads(json.dumps(make_run()))
    document["benchmarks"] = [one for one in document["benchmarks"] if one["group"].startswith("matmul")]
    slower = {"matmul.square[n=512] cpu eager fp32": 1.8}
    make_history(folder, document, 12, slower=lambda at: slower if at >= 9 else {})
    page = folder / "history.html"
    assert main(["history", str(folder), "-o", str(page)]) == 0
    return page.read_text("utf-8")


def machines(_: Path) -> str:
    prices = Prices({"EPYC": 0.2, "Xeon": 0.1, "H200": 3.5}, "EUR", "pyproject.toml")
    return render_machines([epyc(joules=lambda _: 2.0), xeon(joules=lambda _: 1.0), h200()], prices)


@pytest.fixture(
    scope="module", params=[run, profile, comparison, duet, history, machines], ids=lambda make: make.__name__
)
def address(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> str:
    make: Callable[[Path], str] = request.param
    folder = tmp_path_factory.mktemp(make.__name__)
    path = folder / "page.html"
    path.write_text(make(folder), "utf-8")
    return path.as_uri()


@pytest.fixture
def sheet(browser: Browser, address: str) -> Iterator[Page]:
    """A page as wide as a sheet of paper, as it is printed by a reader whose window is dark."""
    for page in opened(browser, address):
        page.set_viewport_size(SHEET)
        page.emulate_media(media="print", color_scheme="dark")
        page.evaluate("dispatchEvent(new Event('beforeprint'))")
        yield page


def test_nothing_is_cut_off_and_nothing_is_dark(sheet: Page) -> None:
    assert sheet.evaluate(CUT) == []
    assert sheet.evaluate(DARK) == []


def test_the_labels_of_an_axis_stand_apart_and_no_heading_stands_alone(sheet: Page) -> None:
    assert sheet.evaluate(OVERLAPPING) == []
    assert sheet.evaluate(ONLY_A_HEADING) == []


def test_the_first_sheet_has_the_title_and_the_chart_and_no_controls(sheet: Page) -> None:
    assert sheet.locator("h1").bounding_box()["y"] < 100  # type: ignore[index]
    charts = sheet.locator("main :is(table.heat, table.forest, .runs .area)")
    box = charts.first.bounding_box()
    assert box
    assert box["y"] + min(box["height"], 200) < SHEET["height"]
    assert (
        sheet.locator("button:visible, select:visible, input:visible, nav:visible").evaluate_all(
            "all => all.filter(one => !one.closest('.flame, .open, .runs')).map(one => one.outerHTML.slice(0, 120))"
        )
        == []
    )
