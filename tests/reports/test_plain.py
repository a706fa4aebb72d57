"""Files of plain pytest-benchmark: read, listed and compared, and never concluded from beyond what they hold."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.reports.plain_sample import FUNCTIONS, benchmark_of, make_plain
from torchduet.__main__ import main
from torchduet.reports.compare.comparison import Comparison
from torchduet.reports.compare.match import compare
from torchduet.reports.compare.thresholds import Thresholds
from torchduet.reports.html.pytest_benchmark_page import render
from torchduet.reports.markdown.pytest_benchmark import markdown
from torchduet.reports.read.pytest_benchmark import BATCHES, PytestBenchmarkRun, from_pytest_benchmark, load_any
from torchduet.reports.read.pytest_benchmark_cautions import MISSING
from torchduet.reports.read.run_file import RunFileError, load
from torchduet.reports.shifts.neighbours import beside_in_time
from torchduet.reports.shifts.samples import questions
from torchduet.reports.tables.steadiness import DRIFTS, FEW, SCATTERS, STEADY, UNKNOWN, steadiness

LOOP = "tests/test_speed.py::test_loop"


def saved(document: Any, path: Path) -> Path:
    path.write_text(json.dumps(document), "utf-8")
    return path


def compared(base: Any, new: Any) -> Comparison:
    (found,) = compare(from_pytest_benchmark(base, "base.json"), [from_pytest_benchmark(new, "new.json")], Thresholds())
    return found


def grade_of(times: list[float], data: bool = True) -> str:
    run = from_pytest_benchmark({"benchmarks": [benchmark_of("test_f", None, times, data)]})
    return steadiness(run.records[0], run.benchmarks[0]).grade


def test_every_benchmark_is_a_case_by_its_full_name(tmp_path: Path) -> None:
    run = load_any(saved(make_plain(), tmp_path / "p.json"))
    assert isinstance(run, PytestBenchmarkRun)
    assert len({record["case"]["id"] for record in run.records}) == len(run.records) == 18
    scan = run.records[-1]["case"]
    assert scan["id"] == "tests/test_speed.py::test_scan[1000]"
    assert (scan["family"], scan["suite"]) == ("tests/test_speed.py::test_scan", "tests/test_speed.py")
    assert scan["size"] == {"n": 1000, "like": "UNSERIALIZABLE[<object object at 0x7f0a4e0c7600>]"}
    assert run.about["machine"]["cpu"] == "Example CPU @ 2.40 GHz"
    assert run.commit == "0123456789ab"


def test_batches_hold_every_round_in_the_order_taken() -> None:
    times = [1e-3 + 1e-6 * place for place in range(123)]
    (record,) = from_pytest_benchmark({"benchmarks": [benchmark_of("test_f", None, times)]}).records
    blocks = record["timing"]["blocks"]
    assert [seconds for batch in blocks for seconds in batch] == times
    assert len(blocks) == BATCHES
    assert {len(batch) for batch in blocks} == {6, 7}


def test_nothing_is_made_up_that_was_not_measured() -> None:
    run = from_pytest_benchmark(make_plain())
    for record in run.records:
        assert record["speedups"] == []
        assert (record["timing"]["low"], record["timing"]["high"]) == (None, None)
        assert math.isnan(record["first_call"]["seconds"])
        assert record["check"]["relative_error"] is None
    assert "pilots" not in run.about
    assert "noise" not in run.about


def test_a_name_that_stands_twice_is_numbered_and_said() -> None:
    document = make_plain(functions=("test_a", "test_a #2", "test_a", "test_a"))
    run = from_pytest_benchmark(document)
    ids = [record["case"]["workload"] for record in run.records[:4]]
    names = [record["case"]["id"].rpartition("::")[2] for record in run.records[:4]]
    assert names == ["test_a", "test_a #2", "test_a #3", "test_a #4"]
    assert ids == ["test_a", "test_a #2", "test_a", "test_a"]
    assert run.about["warnings"] == [
        "tests/test_speed.py::test_a occurs 3 times in the file; the repeats are numbered in order"
    ]


def test_an_older_file_without_full_names_or_newer_fields_is_read() -> None:
    bare = {"name": "old", "stats": {"median": 0.25, "min": 0.2}}
    run = from_pytest_benchmark({"benchmarks": [bare]})
    assert run.records[0]["case"]["id"] == "old"
    assert run.records[0]["timing"]["seconds"] == 0.25
    assert ">old<" in render(run)
    assert "| old |" in markdown(run)


def test_a_time_of_zero_is_listed_as_failed_not_dropped() -> None:
    document = make_plain()
    document["benchmarks"][3]["stats"]["median"] = 0.0
    document["benchmarks"][4]["stats"]["data"][:10] = [0.0] * 10
    run = from_pytest_benchmark(document)
    assert len(run.records) == 16
    assert [one["case"]["workload"] for one in run.about["failed"]] == ["test_loads", "test_split"]
    assert "too coarse" in render(run)


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (lambda one: one["stats"].pop("median"), "benchmarks[2].stats.median: missing"),
        (lambda one: one["stats"].update(median=float("nan")), "stats.median: expected a finite number, got nan"),
        (lambda one: one["stats"]["data"].append(float("inf")), "stats.data[120]: expected a finite number, got inf"),
        (lambda one: one["stats"]["data"].append("x"), "stats.data[120]: expected a finite number, got 'x'"),
        (lambda one: one["stats"].update(data=[]), "stats.data: expected at least one round"),
        (lambda one: one["stats"]["data"].append(-1.0), "stats.data: expected seconds from 0, got -1.0"),
        (
            lambda one: one["stats"].update(min=-1.0),
            "stats.min: expected seconds from 0, got -1.0; was the clock set back?",
        ),
        (lambda one: one.pop("name"), "benchmarks[2].name: missing"),
        (lambda one: one.update(name="", fullname=""), "benchmarks[2].fullname: expected a name"),
        (lambda one: one.update(fullname=7), "benchmarks[2].fullname: expected text or null, got 7"),
        (lambda one: one.update(fullname="\ud800"), "benchmarks[2].fullname: expected text"),
        (lambda one: one.update(stats=None), "benchmarks[2].stats: expected an object, got null"),
    ],
)
def test_what_pytest_benchmark_never_writes_is_named_by_its_key(spoil: Any, says: str, tmp_path: Path) -> None:
    document = make_plain()
    spoil(document["benchmarks"][2])
    run = load_any(saved(document, tmp_path / "p.json"))
    assert len(run.records) == len(document["benchmarks"]) - 1
    assert [one["reason"] for one in run.about["failed"] if says in one["reason"]]
    document["benchmarks"] = document["benchmarks"][2:3]
    says = says.replace("benchmarks[2]", "benchmarks[0]")
    with pytest.raises(RunFileError) as caught:
        load_any(saved(document, tmp_path / "p.json"))
    assert says in str(caught.value)
    assert str(caught.value).startswith(f"{tmp_path / 'p.json'}: ")


def test_files_of_other_tools_are_not_taken_for_pytest_benchmarks(tmp_path: Path) -> None:
    google = {"context": {}, "benchmarks": [{"name": "BM_x", "real_time": 3.0, "time_unit": "ns"}]}
    with pytest.raises(RunFileError, match="is no file of pytest-benchmark"):
        load_any(saved(google, tmp_path / "g.json"))


def test_a_file_with_torchduets_benchmarks_too_is_a_run_of_torchduet(document: Any, tmp_path: Path) -> None:
    document["benchmarks"] += make_plain()["benchmarks"]
    run = load_any(saved(document, tmp_path / "both.json"))
    assert not isinstance(run, PytestBenchmarkRun)
    assert run.other_benchmarks == 18


def test_only_what_needs_our_records_refuses_a_plain_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = saved(make_plain(), tmp_path / "p.json")
    with pytest.raises(RunFileError, match="without Torchduet's records"):
        load(path)
    assert main(["claims", str(path)]) == 2
    assert "torchduet run --benchmark-json FILE" in capsys.readouterr().err


@pytest.mark.parametrize("seed", range(8))
def test_the_same_code_twice_is_called_neither_faster_nor_slower(seed: int) -> None:
    found = compared(make_plain(2 * seed + 1), make_plain(2 * seed + 2))
    assert not found.of("slower")
    assert not found.of("faster")


def test_a_function_made_half_as_slow_again_is_found_and_its_neighbours_are_not() -> None:
    found = compared(make_plain(1), make_plain(2, slower={"test_loop": 1.5}))
    assert [change.case["id"] for change in found.of("slower")] == [LOOP]
    assert not found.of("faster")
    (change,) = found.of("slower")
    assert change.time is not None
    assert change.time.ratio == pytest.approx(1 / 1.5, rel=0.05)


def test_what_became_of_the_whole_machine_is_no_verdict() -> None:
    everything = {one["name"].partition("[")[0]: 1.5 for one in make_plain()["benchmarks"]}
    found = compared(make_plain(1), make_plain(2, slower=everything))
    assert not found.of("slower")


def test_times_without_rounds_are_listed_not_judged() -> None:
    found = compared(make_plain(1), make_plain(2, slower={"test_loop": 3.0}, data=False))
    assert {change.verdict for change in found.changes} == {"unclear"}
    assert {change.time.cause for change in found.changes if change.time} == {"placements"}
    assert any("new.json holds no rounds" in caution for caution in found.cautions)


def test_five_rounds_are_too_few_for_a_verdict() -> None:
    found = compared(make_plain(1, rounds=5), make_plain(2, rounds=5, slower={"test_loop": 3.0}))
    assert {change.verdict for change in found.changes} == {"unclear"}


def test_few_functions_tell_nothing_of_how_far_two_processes_lie_apart() -> None:
    few = FUNCTIONS[:7]  # with test_scan 8
    found = compared(make_plain(1, functions=few), make_plain(2, functions=few, slower={"test_sum": 2.0}))
    assert {change.verdict for change in found.changes} == {"unclear"}
    assert {change.time.cause for change in found.changes if change.time} == {"families"}
    enough = compared(make_plain(1, functions=FUNCTIONS), make_plain(2, functions=FUNCTIONS, slower={"test_sum": 2.0}))
    assert [change.case["workload"] for change in enough.of("slower")] == ["test_sum"]


def test_functions_of_few_rounds_do_not_count_among_those_that_tell() -> None:
    documents = [make_plain(1, functions=FUNCTIONS), make_plain(2, functions=FUNCTIONS, slower={"test_sum": 2.0})]
    for document in documents:
        for one in document["benchmarks"][4:6]:
            del one["stats"]["data"][5:]
    found = compared(*documents)
    assert {change.verdict for change in found.changes} == {"unclear"}
    assert {change.time.cause for change in found.changes if change.time} == {"families", "placements"}


def test_neighbours_are_other_functions_right_before_and_after() -> None:
    shifts = {"a": 0.0, "b": 0.1, "c1": 9.0, "c2": 9.0, "d": 0.3, "e": 0.4, "f": 5.0}
    units, still = [name[0] for name in shifts], [np.zeros(8) for _ in shifts]
    asked = questions(units, [np.full(8, shift) for shift in shifts.values()], still, [0.05] * len(shifts))
    by_name = dict(zip(shifts, asked, strict=True))
    found = beside_in_time(by_name)
    assert found["c1"] == found["c2"] == pytest.approx(0.2)  # of a, b, d, e: not of itself
    assert found["a"] == pytest.approx((0.1 + 9.0) / 2)
    assert beside_in_time({name: by_name[name] for name in ("c1", "c2")}) == {}


def test_a_plain_run_is_not_held_against_one_of_torchduet(
    run_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plain = saved(make_plain(), tmp_path / "p.json")
    for order in ((plain, run_file), (run_file, plain)):
        assert main(["compare", *map(str, order)]) == 2
        out, err = capsys.readouterr()
        assert out == ""
        assert "compare files of one kind" in err
        assert err.count("\n") == 1


def test_a_file_held_against_itself_is_no_comparison(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    plain = str(saved(make_plain(), tmp_path / "p.json"))
    assert main(["compare", plain, plain]) == 2
    assert "is the same run" in capsys.readouterr().err


def test_a_comparison_says_what_stands_in_for_placements_and_pilots(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    base, new = (saved(make_plain(seed), tmp_path / f"{seed}.json") for seed in (1, 2))
    assert main(["compare", str(base), str(new), "-o", str(tmp_path / "c.html")]) == 0
    out = capsys.readouterr().out
    for text in (out, (tmp_path / "c.html").read_text("utf-8")):
        assert "stand in for placements" in text
        assert "consecutive rounds of one process" in text


def test_the_page_lists_every_benchmark_and_says_what_it_cannot(tmp_path: Path) -> None:
    path = saved(make_plain(), tmp_path / "p.json")
    assert main(["render", str(path), "-o", str(tmp_path / "p.html"), "--markdown", str(tmp_path / "p.md")]) == 0
    page = (tmp_path / "p.html").read_text("utf-8")
    brief = (tmp_path / "p.md").read_text("utf-8")
    for name in MISSING:
        assert f"No {name[0].lower()}{name[1:]}" in page
    assert page.count("<tr data-suite") == 18
    assert "listed, but not judged" in page
    assert "none is judged" in brief
    assert len(brief.splitlines()) <= 60
    assert "http://" not in page.replace("http://www.w3.org", "")


def test_the_grade_says_how_the_rounds_went() -> None:
    still = [1e-3 * (1 + 0.001 * (place % 3)) for place in range(40)]
    assert grade_of(still) == STEADY
    assert grade_of([seconds * (1.2 if place < 20 else 1) for place, seconds in enumerate(still)]) == DRIFTS
    assert grade_of([seconds * (1.3 if place % 2 else 1) for place, seconds in enumerate(still)]) == SCATTERS
    assert grade_of(still[:7]) == FEW
    assert grade_of(still, data=False) == UNKNOWN


def test_a_file_whose_benchmarks_all_failed_has_a_page() -> None:
    document = make_plain()
    for one in document["benchmarks"]:
        one["stats"]["median"] = 0.0
    run = from_pytest_benchmark(document)
    assert "No usable benchmark" in render(run)
    assert "18 benchmarks without a usable time" in markdown(run)
