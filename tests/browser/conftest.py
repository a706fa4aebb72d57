"""The pages that are tried in a real browser: each must load nothing from elsewhere and say nothing to the console."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from tests.browser.pages import opened
from tests.reports.made_once import charts_drawn_once
from tests.reports.remeasured import remeasured
from tests.reports.rendered import page_of
from tests.reports.rich import make_rich_run
from tests.reports.sample import make_run
from torchduet.reports.compare.match import compare
from torchduet.reports.compare.page import render as render_comparison
from torchduet.reports.compare.thresholds import Thresholds
from torchduet.reports.read.run_file import from_json

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
FLAGS = [
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"),
    *("--disable-background-networking", "--disable-component-update"),
]


@pytest.fixture(scope="session", autouse=True)
def _charts_drawn_once() -> Iterator[None]:
    with charts_drawn_once():
        yield


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    if CHROMIUM is None:
        pytest.skip("no Chromium found (chromium, chromium-browser, google-chrome)")
    api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed: pip install playwright")
    with api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def address(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("report") / "report.html"
    path.write_text(page_of(make_run), "utf-8")
    return path.as_uri()


@pytest.fixture(scope="session")
def rich_address(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("rich") / "report.html"
    path.write_text(page_of(make_rich_run), "utf-8")
    return path.as_uri()


@pytest.fixture
def page(browser: Browser, address: str) -> Iterator[Page]:
    yield from opened(browser, address)


@pytest.fixture
def rich_page(browser: Browser, rich_address: str) -> Iterator[Page]:
    """The report of a run with workers, meters, claims that are judged, a path and a roofline."""
    yield from opened(browser, rich_address)


@pytest.fixture(scope="session")
def compared_address(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("compared") / "compare.html"
    slower = {"matmul.square[n=512] cpu eager fp32": 1.3}
    base, *others = [
        from_json(remeasured(make_run(), seed, slower=changed, machine=machine), name)
        for seed, (name, changed, machine) in enumerate(
            (("base.json", {}, 1.0), ("slower.json", slower, 1.0), ("restless.json", {}, 1.1))
        )
    ]
    path.write_text(render_comparison(compare(base, others, Thresholds()), 0.05), "utf-8")
    return path.as_uri()


@pytest.fixture
def compared_page(browser: Browser, compared_address: str) -> Iterator[Page]:
    """Two runs held against a base: one with a slower case, one on a machine that moved."""
    yield from opened(browser, compared_address)


@pytest.fixture(params=["page", "rich_page", "compared_page"])
def either(request: pytest.FixtureRequest) -> Page:
    page: Page = request.getfixturevalue(request.param)
    return page
