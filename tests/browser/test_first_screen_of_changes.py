"""Ten seconds are enough: the first screens of a comparison, a duet and a history have verdict, case and factor."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.browser.first_screen import MAX_WORDS, first_screen, words
from tests.reports.made_duet import duet_of
from tests.reports.remeasured import remeasured
from tests.reports.rendered import a_part
from tests.reports.sample import make_run
from torchduet.__main__ import main
from torchduet.bench.record.schema import KEY
from torchduet.reports.compare.match import compare
from torchduet.reports.compare.page import render as render_comparison
from torchduet.reports.compare.thresholds import Thresholds
from torchduet.reports.html.run_page import render
from torchduet.reports.read.run_file import from_json

if TYPE_CHECKING:
    from playwright.sync_api import Browser

pytestmark = pytest.mark.browser

SQUARE = "matmul.square[n=512] cpu eager fp32"


def seen(browser: Browser, folder: Path, page: str) -> str:
    path = folder / "page.html"
    path.write_text(page, "utf-8")
    return first_screen(browser, path.as_uri())


def test_a_comparison_says_which_case_takes_how_many_times_as_long(browser: Browser, tmp_path: Path) -> None:
    base, new = (
        from_json(remeasured(make_run(), seed, slower=slower), f"{seed}.json")
        for seed, slower in ((1, {}), (2, {SQUARE: 1.8}))
    )
    (one,) = compare(base, [new], Thresholds())
    text = seen(browser, tmp_path, render_comparison([one], 0.05))
    assert text.startswith("Torchduet matmul.square[n=512] eager fp32 takes 1.8")
    assert "times as long" in text
    assert "1 slower" in text
    assert f"{len(one.of('same'))} same" in text
    assert words(text) <= MAX_WORDS


def test_a_duet_says_what_the_change_does_in_absolute_times_too(browser: Browser, tmp_path: Path) -> None:
    document = duet_of(a_part(make_run()), "same", "slower", "same", "unclear")
    text = seen(browser, tmp_path, render(from_json(document)))
    assert text.startswith("Torchduet Your change makes layers.case_1 take 1.08 times as long (1.07 to 1.10)")
    assert "1 slower" in text
    assert "2 same" in text
    assert "1.00 ms 1.08 ms" in text
    assert words(text) <= MAX_WORDS


def test_a_knob_is_named_by_its_library(browser: Browser, tmp_path: Path) -> None:
    document = duet_of(a_part(make_run()), "slower", "same")  # without it, a case is slower
    base, against = (document[KEY]["against"][side] for side in ("base", "against"))
    base.update(rev=None, python=against["python"], env={"LD_PRELOAD": "/usr/lib/x/libtcmalloc_minimal.so.4"})
    del base["commit"], against["commit"], against["uncommitted"]
    text = seen(browser, tmp_path, render(from_json(document)))
    assert text.startswith("Torchduet With tcmalloc: layers.case_0 is 1.08 times as fast")
    assert "without with" in text
    assert "1.08 ms 1.00 ms" in text
    assert "1 faster" in text


@pytest.mark.parametrize(("runs", "says"), [(26, "became 1.8"), (5, "is suspected to be 1.")])
def test_a_history_names_case_factor_and_commit(browser: Browser, tmp_path: Path, runs: int, says: str) -> None:
    pytest.importorskip("ruptures", reason="needs pip install 'torchduet[history]'")
    from tests.reports.made_history import make_history

    document = json.loads(json.dumps(make_run()))
    kept: Any = [one for one in document["benchmarks"] if one["group"].startswith(("tensor_ops", "matmul"))]
    document["benchmarks"] = kept
    change = runs - 3
    make_history(tmp_path, document, runs, slower=lambda run: {SQUARE: 1.8} if run >= change else {})
    page = tmp_path / "history.html"
    assert main(["history", str(tmp_path), "-o", str(page)]) == 0
    text = first_screen(browser, page.as_uri())
    assert says in text.split(" times as slow")[0]
    assert f"{change:07x}" in text
    assert "matmul.square" in text.split(" times as slow")[0]
    assert words(text) <= MAX_WORDS
