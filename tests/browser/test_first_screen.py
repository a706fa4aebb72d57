"""Ten seconds are enough: the first screen of a run's page has the verdict, the case and the factor, in few words."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.browser.first_screen import MAX_WORDS, first_screen, words
from tests.reports.rich import make_rich_run
from tests.reports.sample import make_run
from tests.reports.tracing import steps, write
from torchduet.bench.record.schema import KEY
from torchduet.bench.record.speedups import counted
from torchduet.reports.html.run_page import render
from torchduet.reports.read.run_file import from_json, load
from torchduet.reports.text import units

if TYPE_CHECKING:
    from playwright.sync_api import Browser

pytestmark = pytest.mark.browser


def only(document: Any, keep: Callable[[Any], bool]) -> Any:
    kept = [one for one in document["benchmarks"] if keep(one["extra_info"][KEY]["case"])]
    return {**document, "benchmarks": kept}


def two_implementations() -> Any:
    """What a suite of one's own with two implementations measures."""
    return only(make_run(), lambda case: case["suite"] == "einsum" and case["mode"] == "eager")


def two_implementations_once() -> Any:
    """The same at one size."""
    return only(two_implementations(), lambda case: "n=512" in case["family"])


def one_case() -> Any:
    return only(make_run(), lambda case: case["id"] == "matmul.square[n=512] cpu eager fp32")


def seen(browser: Browser, folder: Path, document: Any) -> str:
    path = folder / "report.html"
    path.write_text(render(from_json(json.loads(json.dumps(document)))), "utf-8")
    return first_screen(browser, path.as_uri())


@pytest.mark.parametrize("make", [make_run, make_rich_run, two_implementations, two_implementations_once])
def test_verdict_case_and_factor_are_on_the_first_screen(
    browser: Browser, tmp_path: Path, make: Callable[[], Any]
) -> None:
    document = make()
    text = seen(browser, tmp_path, document)
    records = [one["extra_info"][KEY] for one in document["benchmarks"]]
    compared = [(record, one) for record in records for one in counted(record)]
    verdict, number = max(
        (
            (name, sum(one["verdict"] == name for _, one in compared))
            for name in ("faster", "slower", "same", "unclear")
        ),
        key=lambda pair: pair[1],
    )
    assert f"{number} {verdict}" in text  # the verdicts are counted
    shown = [
        record["case"]["id"]
        for record, one in compared
        if units.ratio(one["ratio"]) in text
        and f"{record['case']['suite']}.{record['case']['workload']}" in text
        and units.seconds(record["timing"]["seconds"]) in text
    ]
    assert shown  # a case with its factor and its time
    title = text.removeprefix("Torchduet ")[:120]
    assert re.search(r"\d×", title) or "pay" in title
    assert words(text) <= MAX_WORDS


def test_of_a_profiled_run_the_first_screen_says_what_takes_the_time_too(browser: Browser, tmp_path: Path) -> None:
    """The verdict and the factor of the knob, the profiled case, and the category with its share."""
    document = only(make_run(), lambda case: case["suite"] == "mlp" and case["precision"] == "fp32")
    records = [one["extra_info"][KEY] for one in document["benchmarks"]]
    write(tmp_path / "a.pt.trace.json.gz", *steps(5))
    trace = {"trace": "a.pt.trace.json.gz", "calls": 5, "seconds": 1.2e-4, "plain_seconds": 1e-4, "stacks": False}
    for record in records[:3]:
        record["profile"] = trace
    (tmp_path / "run.json").write_text(json.dumps(document), "utf-8")
    (tmp_path / "report.html").write_text(render(load(tmp_path / "run.json")), "utf-8")
    text = first_screen(browser, (tmp_path / "report.html").as_uri())
    compared = [one for record in records for one in counted(record)]
    verdict = max(
        ("faster", "slower", "same", "unclear"), key=lambda name: sum(one["verdict"] == name for one in compared)
    )
    assert f"{sum(one['verdict'] == verdict for one in compared)} {verdict}" in text
    assert any(units.ratio(one["ratio"]) in text for one in compared)
    for record in records[:2]:
        assert f"{record['case']['id']} 40 % matrix products and convolutions , 30 % optimizer" in text
    assert "and 1 more profile" in text
    assert words(text) <= MAX_WORDS


def test_one_case_alone_shows_its_time(browser: Browser, tmp_path: Path) -> None:
    document = one_case()
    (record,) = (one["extra_info"][KEY] for one in document["benchmarks"])
    text = seen(browser, tmp_path, document)
    assert text.startswith(f"Torchduet matmul.square n=512 takes {units.seconds(record['timing']['seconds'])} per call")
    assert words(text) <= MAX_WORDS
