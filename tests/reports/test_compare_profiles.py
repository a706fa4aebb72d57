"""Where both runs have profiles of a case that changed, the comparison says what became of its time."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.reports.remeasured import remeasured
from tests.reports.sample import make_run
from tests.reports.tracing import call, span, steps, write
from torchduet.reports.compare.comparison import Comparison
from torchduet.reports.compare.match import compare
from torchduet.reports.compare.page import render
from torchduet.reports.compare.profiles import explanations
from torchduet.reports.compare.thresholds import Thresholds
from torchduet.reports.read.run_file import load

SQUARE = "matmul.square[n=512] cpu eager fp32"


def profiled(folder: Path, document: Any, trace: str) -> Path:
    for benchmark in document["benchmarks"]:
        benchmark["extra_info"]["torchduet"]["profile"] = {
            "trace": trace,
            "calls": 5,
            "seconds": 1e-4,
            "plain_seconds": 1e-4,
            "stacks": False,
        }
    folder.mkdir()
    path = folder / "run.json"
    path.write_text(json.dumps(document), "utf-8")
    return path


def compared(tmp_path: Path) -> Comparison:
    """One case is slower; its trace holds one product of 200 µs instead of several operators in 100 µs."""
    base = profiled(tmp_path / "base", remeasured(make_run(), 1), "a.json.gz")
    new = profiled(tmp_path / "new", remeasured(make_run(), 2, slower={SQUARE: 2.0}), "b.json.gz")
    write(tmp_path / "base" / "a.json.gz", *steps(5))
    write(tmp_path / "new" / "b.json.gz", call(0, 200), span("aten::mm", 5, 190))
    (one,) = compare(load(base), [load(new)], Thresholds())
    return one


def test_a_slower_case_says_what_became_of_its_time(tmp_path: Path) -> None:
    one = compared(tmp_path)
    (explanation,) = explanations(one)
    assert explanation.case["id"] == SQUARE
    assert "matrix products and convolutions 40.0 µs → 190 µs" in " ".join(explanation.sentences)
    assert "What their profiles say" in render([one], 0.05)


def test_a_trace_that_is_gone_is_named(tmp_path: Path) -> None:
    one = compared(tmp_path)
    (tmp_path / "new" / "b.json.gz").unlink()
    assert "b.json.gz no such file" in explanations(one)[0].sentences[0]
