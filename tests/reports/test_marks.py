"""Every table shows what a case's figures depend on, and names compiled cases that take less time than their work."""

from __future__ import annotations

import html
import json
from pathlib import Path
from typing import Any

import pytest

from tests.reports.remeasured import remeasured
from tests.reports.rendered import with_details
from torchduet.__main__ import main
from torchduet.bench.plugin import closing_table
from torchduet.bench.record.marks import explained, marks, short_marks
from torchduet.bench.record.schema import KEY, Record
from torchduet.bench.record.statistics import MIN_PLACEMENTS
from torchduet.reports.compare.brief import markdown as compared_markdown
from torchduet.reports.compare.match import compare
from torchduet.reports.compare.page import render as render_comparison
from torchduet.reports.compare.text import terminal
from torchduet.reports.compare.thresholds import Thresholds
from torchduet.reports.findings.unmeasured import warnings
from torchduet.reports.html.run_page import render
from torchduet.reports.markdown.run import markdown
from torchduet.reports.read.pytest_benchmark import from_pytest_benchmark
from torchduet.reports.read.run_file import from_json
from torchduet.reports.tables.flat import table_of
from torchduet.reports.tables.removed_work import removed_work

VALUES = {"what": "values", "relative_error": 1e-7, "tolerance": 1e-5}
CHECKS = [
    ({"what": "nothing", "relative_error": None, "tolerance": None, "why": "check=False"}, "not checked"),
    ({"what": "shapes", "relative_error": None, "tolerance": None}, "shapes checked only"),
    ({**VALUES, "tolerance": None}, "any result passes"),
    ({**VALUES, "held_against": "own dtype", "why": "weight_norm has no float64"}, "checked against own dtype"),
    ({**VALUES, "computes_in": "bfloat16"}, "computes in bfloat16"),
]
NOTE = "repeated calls do different work"


def with_check(document: Any, check: Any, notes: tuple[str, ...] = ()) -> Any:
    """The run with a check of its fourth case, which is held against another."""
    record = document["benchmarks"][3]["extra_info"][KEY]
    record["check"], record["notes"] = check, [*record["notes"], *notes]
    return document


@pytest.mark.parametrize(("check", "words"), CHECKS)
def test_every_table_shows_the_mark(check: Any, words: str, document: Any) -> None:
    run = from_json(with_check(document, check, (NOTE,)))
    record = run.records[3]
    assert short_marks(record) == f"{words}, †"
    page = render(run)
    assert page.count(f'<span class="marks">{words}, †</span>') >= 2  # in the table of cases and in an answer's
    closing = closing_table.table(list(run.records))
    assert [line for line in closing if line.startswith(record["case"]["id"]) and words in line]
    assert [line for line in explained(run.records) if NOTE in line]
    assert NOTE in markdown(run)
    for name in ("cases", "comparisons"):
        table = table_of(run, name)
        rows = table[table["id"] == record["case"]["id"]]
        assert all(words in row for row in rows["marks"])
    (row,) = table_of(run, "cases").query("id == @record['case']['id']").to_dict("records")
    assert row["checked"] == check["what"]
    assert NOTE in row["notes"]
    assert row["computes_in"] == check.get("computes_in") or row["computes_in"] != row["computes_in"]


def test_a_case_whose_placements_were_at_few_addresses_says_so_everywhere(document: Any) -> None:
    record = document["benchmarks"][3]["extra_info"][KEY]
    record["notes"] = []
    for visit in record["timing"]["visits"]:
        visit["address_sets"] = 1
    sets, placements = len(record["timing"]["visits"]), len(record["timing"]["blocks"])
    assert sets < MIN_PLACEMENTS <= placements
    run = from_json(document)
    words = "its inputs lay at fewer than 8 different places in the device's memory"
    page = html.unescape(with_details(render(run)))
    assert f"{sets} of {placements} placements of its inputs had addresses of their own: {words}" in page
    assert 'class="marks">few places in memory' in page
    assert [line for line in explained(run.records) if line.startswith(words) and record["case"]["id"] in line]
    assert words.removeprefix("its ") in html.unescape(markdown(run))
    (row,) = table_of(run, "cases").query("id == @record['case']['id']").to_dict("records")
    assert "few places in memory" in row["marks"]


def test_a_case_whose_placements_all_differ_has_no_mark(document: Any) -> None:
    record = document["benchmarks"][3]["extra_info"][KEY]
    for visit in record["timing"]["visits"]:
        visit["address_sets"] = visit["placements"]
    run = from_json(document)
    placements = len(record["timing"]["blocks"])
    page = with_details(render(run))
    assert f"{placements} of {placements} placements of its inputs had addresses of their own<" in page
    assert "few places in memory" not in page


def test_a_case_that_was_checked_against_float64_has_no_mark(document: Any) -> None:
    for one in document["benchmarks"]:
        one["extra_info"][KEY]["notes"] = []
    run = from_json(
        with_check(document, VALUES, ("no verdict: too noisy", "compiled in one process after 1 other case"))
    )
    assert marks(run.records[3]) == []
    assert 'class="marks"' not in render(run).partition("<main>")[2]


def test_the_marks_of_the_baseline_are_shown_with_a_comparison(document: Any) -> None:
    record = document["benchmarks"][3]["extra_info"][KEY]
    against = record["speedups"][0]["against"]
    for one in document["benchmarks"]:
        if one["extra_info"][KEY]["case"]["id"] == against:
            one["extra_info"][KEY]["check"] = CHECKS[0][0]
    run = from_json(document)
    table = table_of(run, "comparisons")
    assert "baseline: not checked" in set(table["marks"])
    assert any("baseline: not checked" in line for line in closing_table.table(list(run.records)))


def test_a_comparison_of_runs_shows_the_marks_of_either_run(shared_document: Any) -> None:
    base = remeasured(shared_document, 1)
    case = base["benchmarks"][3]["extra_info"][KEY]["case"]["id"]
    new = with_check(remeasured(shared_document, 2, slower={case: 2.0}), CHECKS[0][0])
    comparison = compare(from_json(base, "a.json"), [from_json(new, "b.json")], Thresholds())
    for output in (terminal(comparison), compared_markdown(comparison), render_comparison(comparison, 0.05)):
        assert "base unmarked, new not checked" in output


def test_plain_pytest_benchmark_files_are_not_marked_case_by_case(tmp_path: Path) -> None:
    from tests.reports.plain_sample import make_plain

    base, new = (from_pytest_benchmark(make_plain(seed), f"{seed}.json") for seed in (1, 2))
    assert "not checked" not in terminal(compare(base, [new], Thresholds()))
    (tmp_path / "p.json").write_text(json.dumps(make_plain()))
    assert main(["export", str(tmp_path / "p.json"), "-o", str(tmp_path / "p.csv")]) == 0


def of_compiled(document: Any, change: Any) -> tuple[str, Any]:
    """The id of the first compiled case whose cost bounds it, after a change of its record, and the run."""
    for benchmark in document["benchmarks"]:
        record: Record = benchmark["extra_info"][KEY]
        if record["compile"] and record["cost"].get("flops"):
            change(record)
            return record["case"]["id"], from_json(document)
    raise AssertionError("no compiled case with a cost")


def test_a_compiled_case_below_the_least_time_of_its_cost_is_named(rich_document: Any) -> None:
    document = json.loads(json.dumps(rich_document))

    def dearer(record: Record) -> None:
        record["cost"] = {"flops": record["timing"]["seconds"] * 1e14}

    case, run = of_compiled(document, dearer)
    said = removed_work(run)
    assert list(said) == [case]
    assert "of the least time that its declared cost needs: the compiler has removed work, or cost= is" in said[case]
    assert said[case] in warnings(run)
    assert "less time than its work needs" in render(run)
    assert "return all results" in markdown(run)


def test_a_compiled_case_within_its_cost_is_not_named(rich: Any, run: Any) -> None:
    assert removed_work(rich) == {}
    assert removed_work(run) == {}


@pytest.mark.parametrize(("ratio", "operators", "named"), [(30.0, 3, True), (4.0, 1, False), (30.0, 40, False)])
def test_a_compiled_case_that_fusing_cannot_explain_is_named(
    ratio: float, operators: int, named: bool, rich_document: Any
) -> None:
    document = json.loads(json.dumps(rich_document))
    records = {one["extra_info"][KEY]["case"]["id"]: one["extra_info"][KEY] for one in document["benchmarks"]}
    for record in records.values():
        record["cost"] = {}
        record.pop("operators", None)
    document[KEY]["ceilings"] = [
        {"device": device, "flops_per_second": {"fp32": 1e11}, "bytes_per_second": {}, "operator_seconds": 1e-9}
        for device in {record["case"]["device"] for record in records.values()}
    ]
    for record in records.values():
        for speedup in record["speedups"] if record["compile"] else ():
            eager = records.get(speedup["against"])
            if speedup["knob"] != "mode" or eager is None or eager["compile"]:
                continue
            eager["operators"] = operators
            speedup.update(ratio=ratio, low=ratio * 0.99, high=ratio * 1.01, verdict="faster")
            said = removed_work(from_json(document))
            assert (record["case"]["id"] in said) == named
            if named:
                assert "Return all results" in said[record["case"]["id"]]
            return
    raise AssertionError("no compiled case that is held against eager")
