"""What a report shows of compilations beside first calls: warm starts, repeated blocks, several sizes."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.reports.rendered import with_details
from torchduet.bench.record.schema import KEY
from torchduet.reports.findings.advice_words import pay_off
from torchduet.reports.findings.compiling import Compiling, compiling
from torchduet.reports.html.run_page import render
from torchduet.reports.markdown.run import markdown
from torchduet.reports.read.run_file import Run, from_json
from torchduet.reports.tables.flat import table_of
from torchduet.reports.tables.frames import frames

WARM = {"cold": 5.0, "tries": [0.9, 0.8, 1.0], "seconds": 0.9, "hits": 2}
NOT_WARM = {"cold": 5.0, "tries": [4.0], "hits": 0, "why": "nothing was loaded from the cache"}
SIZES = {
    "sizes": [
        {"size": "4×8", "seconds": 2.0, "compilations": 1, "recompilations": 0},
        {"size": "6×8", "seconds": 1.5, "compilations": 1, "recompilations": 1, "reason": "size mismatch"},
        {"size": "9×8", "seconds": 0.001, "compilations": 0, "recompilations": 1, "limit": True, "eager": True},
    ],
    "recompilations": 2,
    "limit": 8,
}


def records(document: Any) -> list[Any]:
    return [one["extra_info"][KEY] for one in document["benchmarks"]]


def faster(record: Any) -> bool:
    return any(one["knob"] == "mode" and one["verdict"] == "faster" for one in record["speedups"])


@pytest.fixture
def changed(document: Any) -> Any:
    return json.loads(json.dumps(document))


def with_all(changed: Any) -> Run:
    compiled = [one for one in records(changed) if one["compile"]]
    first = next(one for one in compiled if faster(one))
    first["compile"]["warm_start"] = WARM
    others = [one for one in compiled if one is not first]
    others[0]["compile"]["warm_start"] = NOT_WARM
    others[1]["compile"]["sizes"] = SIZES
    return from_json(changed)


def found_in(run: Run) -> Compiling:
    found = compiling(run, frames(run))
    assert found is not None
    return found


def test_a_run_without_any_has_no_section(document: Any) -> None:
    run = from_json(document)
    if not any(one["case"]["mode"] == "compile-regions" for one in run.records):
        assert compiling(run, frames(run)) is None
    assert 'id="compiling"' not in render(run)


def test_a_warm_start_stands_beside_the_cold_one(changed: Any) -> None:
    run = with_all(changed)
    found = found_in(run)
    served, lost = sorted(found.warm, key=lambda start: "why" in start.record)
    assert served.saved == pytest.approx(0.82)
    assert served.pays_after is not None
    assert served.warm_pays_after is not None
    assert served.warm_pays_after < served.pays_after
    assert lost.saved is None
    text = " ".join(found.sentences)
    assert "takes 900 ms instead of 5.00 s" in text or "0.9" in text
    assert "1 of 2 starts with a filled cache was not warm" in text
    html = with_details(render(run))
    assert 'id="compiling"' in html
    assert "not warm: nothing was loaded from the cache" in html
    assert "Warm start" in html


def test_the_answer_says_after_how_many_calls_each_start_pays_off(changed: Any) -> None:
    run = with_all(changed)
    rows = frames(run).comparisons
    row = rows[rows["warm_pays_after"].notna() & (rows["knob"] == "mode")].head(1)
    assert len(row) == 1
    text = pay_off(row)
    assert "of compilation pay off after" in text
    assert "In a new process with a filled cache the first call takes 0.9" in text
    assert "In a new process" not in pay_off(row.assign(warm_start=None, warm_pays_after=None))


def test_sizes_that_run_eagerly_are_named_with_the_limit(changed: Any) -> None:
    run = with_all(changed)
    (sizes,) = found_in(run).sizes
    assert sizes.eager == ["9×8"]
    assert sizes.compiled == 2
    text = " ".join(found_in(run).sentences)
    assert "3 sizes, 2 recompilations" in text
    assert "runs 1 of 3 sizes eagerly: torch.compile gives up after 8 compilations of a function" in text
    html = with_details(render(run))
    assert "9×8" in html
    assert "(eager)" in html
    assert "runs 1 of 3 sizes eagerly" in markdown(run)


def test_repeated_blocks_stand_beside_the_whole_model(changed: Any) -> None:
    for one in changed["benchmarks"]:
        record = one["extra_info"][KEY]
        if record["case"]["mode"] == "compile-model":
            _rename(one, record)
    found = found_in(from_json(changed))
    assert found.regions
    assert {row.mode for row in found.regions} == {"compile"}
    assert all(row.pair is not None for row in found.regions)
    assert any(text.startswith("Compiling repeated blocks alone takes") for text in found.sentences)


def _rename(one: Any, record: Any) -> None:
    new = json.loads(json.dumps(record).replace("compile-model", "compile-regions"))
    one["extra_info"][KEY] = new
    one["params"]["mode"] = "compile-regions"


def test_exported_tables_have_the_figures(changed: Any) -> None:
    run = with_all(changed)
    cases = table_of(run, "cases")
    assert cases["warm_start_seconds"].dropna().tolist() == [0.9]
    assert cases["cold_start_seconds"].dropna().tolist() == [5.0, 5.0]
    assert cases["recompilations"].dropna().tolist() == [2]
    comparisons = table_of(run, "comparisons")
    assert comparisons["warm_pays_after"].notna().any()
