"""A run's file is either what the schema says, or refused in one line that says what to do."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.reports.sample import empty_run
from torchduet.bench.record.schema import KEY
from torchduet.bench.record.schema_check import ContractError
from torchduet.reports.read import jsonfile
from torchduet.reports.read.run_file import RunFileError, from_json, load, read_fast
from torchduet.suites.extras import upgrade


def refusal(path: Path) -> str:
    with pytest.raises(RunFileError) as caught:
        load(path)
    message = str(caught.value)
    assert message.startswith(str(path))
    assert "\n" not in message
    return message


def unreadable(path: Path, others: int) -> str:
    """Why the one case of a file cannot be read whose ``others`` are read."""
    run = load(path)
    (case,) = run.unreadable
    assert len(run.records) == others
    assert case in run.about["failed"]
    assert "1 case cannot be read from this file" in run.about["warnings"][-1]
    assert "\n" not in case["reason"]
    return case["reason"]


def test_a_run_keeps_the_order_of_its_file(run_file: Path, shared_document: Any) -> None:
    run = load(run_file)
    assert [record["case"]["id"] for record in run.records] == [
        one["extra_info"][KEY]["case"]["id"] for one in shared_document["benchmarks"]
    ]
    assert run.name == "run.json"
    assert run.commit == "0123456789ab"


def test_a_run_without_a_single_measured_case_is_a_run(tmp_path: Path) -> None:
    path = tmp_path / "run.json"
    path.write_text(json.dumps(empty_run()))
    assert load(path).records == ()


def test_a_byte_order_mark_does_not_matter(run_file: Path) -> None:
    run_file.write_bytes(b"\xef\xbb\xbf" + run_file.read_bytes())
    assert load(run_file).records


def test_benchmarks_of_others_in_the_file_are_counted_not_read(document: Any, tmp_path: Path) -> None:
    document["benchmarks"].insert(0, {"name": "test_mine", "extra_info": {}, "stats": {"mean": 1.0}})
    path = tmp_path / "run.json"
    path.write_text(json.dumps(document))
    assert load(path).other_benchmarks == 1


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "is empty"),
        (b"  \n", "is empty"),
        (b"hello", "is not JSON"),
        (b"<html></html>", "is not JSON"),
        (b'{"benchmarks": [', "truncated"),
        (b'{"a": "\xff"}', "not UTF-8"),
        (b"\x89PNG\r\n", "not UTF-8"),
        (b"[]", 'no "benchmarks" list'),
        (b"17", 'no "benchmarks" list'),
        (b'{"context": {}, "benchmarks": 3}', 'no "benchmarks" list'),
        (b"[" * 200_000 + b"]" * 200_000, "nested too deeply"),
        (b'{"benchmarks": [], "n": ' + b"9" * 5000 + b"}", "is not a run's file"),
    ],
)
def test_a_file_that_is_no_run_is_refused(content: bytes, says: str, tmp_path: Path) -> None:
    path = tmp_path / "run.json"
    path.write_bytes(content)
    assert says in refusal(path)


def test_a_missing_file_says_how_to_make_one(tmp_path: Path) -> None:
    assert "--benchmark-json" in refusal(tmp_path / "none.json")


def test_a_directory_is_refused(tmp_path: Path) -> None:
    assert "is a directory" in refusal(tmp_path)


def test_a_truncated_run_is_refused_wherever_it_ends(run_file: Path) -> None:
    content = run_file.read_bytes()
    for length in range(1, len(content) - 1, len(content) // 25):
        run_file.write_bytes(content[:length])
        refusal(run_file)


def test_a_file_beyond_the_limit_is_refused_before_it_is_decoded(
    run_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jsonfile, "MAX_BYTES", 1000)
    assert "larger than" in refusal(run_file)


def test_a_plain_pytest_benchmark_file_says_which_command_makes_ours(document: Any, tmp_path: Path) -> None:
    del document[KEY]
    for one in document["benchmarks"]:
        one["extra_info"] = {}
    path = tmp_path / "run.json"
    path.write_text(json.dumps(document))
    message = refusal(path)
    assert "pytest-benchmark without Torchduet's records" in message
    assert "torchduet run --benchmark-json FILE" in message


@pytest.mark.parametrize("where", ["top", "record"])
def test_a_newer_schema_asks_for_a_newer_torchduet(where: str, document: Any, tmp_path: Path) -> None:
    target = document[KEY] if where == "top" else document["benchmarks"][2]["extra_info"][KEY]
    target.clear()
    target["schema"] = 99
    path = tmp_path / "run.json"
    path.write_text(json.dumps(document))
    assert upgrade() in refusal(path)


def put(*keys: str | int, value: Any) -> Callable[[Any], None]:
    def change(document: Any) -> None:
        for key in keys[:-1]:
            document = document[key]
        document[keys[-1]] = value

    return change


RECORD = ("benchmarks", 3, "extra_info", KEY)
PLACE = f"benchmarks[3].extra_info.{KEY}"


@pytest.mark.parametrize(
    ("change", "path", "says"),
    [
        (put(*RECORD, "timing", "blocks", value="x"), f"{PLACE}.timing.blocks", "expected a list, got 'x'"),
        (put(*RECORD, "timing", "blocks", value=[]), f"{PLACE}.timing.blocks", "at least one"),
        (put(*RECORD, "timing", "blocks", value=[[]]), f"{PLACE}.timing.blocks", "at least one"),
        (put(*RECORD, "timing", "blocks", 1, 2, value=None), f"{PLACE}.timing.blocks[1][2]", "got null"),
        (put(*RECORD, "timing", "blocks", 1, 2, value=0), f"{PLACE}.timing.blocks[1][2]", "above 0"),
        (put(*RECORD, "timing", "seconds", value=float("nan")), f"{PLACE}.timing.seconds", "finite"),
        (put(*RECORD, "timing", "seconds", value=float("inf")), f"{PLACE}.timing.seconds", "finite"),
        (put(*RECORD, "timing", "seconds", value=10**400), f"{PLACE}.timing.seconds", "beyond 64 bits"),
        (put(*RECORD, "timing", "seconds", value=True), f"{PLACE}.timing.seconds", "got true"),
        (put(*RECORD, "timing", "calls_per_block", value=1.5), f"{PLACE}.timing.calls_per_block", "whole number"),
        (put(*RECORD, "timing", "low", value=None), f"{PLACE}.timing", "null together"),
        (put(*RECORD, "speedups", 0, "low", value=1e9), f"{PLACE}.speedups[0]", "low <="),
        (put(*RECORD, "speedups", 0, "ratio", value=-1.0), f"{PLACE}.speedups[0].ratio", "above 0"),
        (put(*RECORD, "speedups", 0, "verdict", value="great"), f"{PLACE}.speedups[0].verdict", "faster, slower"),
        (put(*RECORD, "case", "id", value=7), f"{PLACE}.case.id", "expected text"),
        (put(*RECORD, "case", "id", value="\ud800"), f"{PLACE}.case.id", "expected text"),
        (put(*RECORD, "case", "size", value={"n": [1]}), f"{PLACE}.case.size.n", "got a list"),
        (put(*RECORD, "compile", value=4), f"{PLACE}.compile", "an object or null"),
        (put(*RECORD, "cost", "flops", value="many"), f"{PLACE}.cost.flops", "a finite number"),
        (put(*RECORD, "schema", value="1"), f"{PLACE}.schema", "whole number"),
        (put(*RECORD, value="mine"), f"{PLACE}.schema", "whole number"),
        (put(KEY, "warnings", value=[1]), f"{KEY}.warnings[0]", "expected text"),
        (put(KEY, "seconds", "total", value=None), f"{KEY}.seconds.total", "got null"),
        (put(KEY, value=None), f"{KEY}.schema", "got null"),
    ],
)
def test_a_malformed_value_is_named_with_its_key_and_all_other_cases_are_read(
    change: Callable[[Any], None], path: str, says: str, document: Any, tmp_path: Path
) -> None:
    change(document)
    file = tmp_path / "run.json"
    file.write_text(json.dumps(document))
    message = unreadable(file, len(document["benchmarks"]) - 1) if path.startswith(PLACE) else refusal(file)
    assert path in message
    assert says in message


def test_a_missing_key_is_named(document: Any, tmp_path: Path) -> None:
    del document["benchmarks"][0]["extra_info"][KEY]["check"]
    path = tmp_path / "run.json"
    path.write_text(json.dumps(document))
    assert "check: missing" in unreadable(path, len(document["benchmarks"]) - 1)


def test_a_run_none_of_whose_cases_can_be_read_is_refused(document: Any, tmp_path: Path) -> None:
    for one in document["benchmarks"]:
        one["extra_info"][KEY]["timing"]["seconds"] = float("nan")
    path = tmp_path / "run.json"
    path.write_text(json.dumps(document))
    assert "benchmarks[0].extra_info.torchduet.timing.seconds: expected a finite number, got nan" in refusal(path)


def test_a_case_that_failed_keeps_its_reason_whatever_else_is_wrong_with_it(document: Any, tmp_path: Path) -> None:
    case = document["benchmarks"][0]["extra_info"][KEY]["case"]
    document[KEY]["failed"] = [{"case": {**case, "about": None, "size": {"n": 2**63}}, "reason": "it raised"}]
    path = tmp_path / "run.json"
    path.write_text(json.dumps(document))
    (failed,) = load(path).about["failed"]
    assert failed["reason"] == "it raised"
    assert failed["case"]["id"] == case["id"]
    assert failed["case"]["size"] == {"n": str(2**63)}


def test_keys_of_a_later_writer_are_let_through(document: Any, tmp_path: Path) -> None:
    document["benchmarks"][0]["extra_info"][KEY]["energy"] = {"joules": 3.0}
    path = tmp_path / "run.json"
    path.write_text(json.dumps(document))
    assert load(path).records


def test_a_reason_to_stop_of_a_later_writer_is_let_through(document: Any, tmp_path: Path) -> None:
    document["benchmarks"][0]["extra_info"][KEY]["timing"]["stop"] = "bored"
    path = tmp_path / "run.json"
    path.write_text(json.dumps(document))
    assert read_fast(path.read_bytes(), "run.json") is not None
    assert from_json(document).records[0]["timing"]["stop"] == "bored"


TRIAL = {"slowdown": 1.0, "ratio": 1.0, "low": None, "high": None, "placements": 9, "seconds": 1.0}


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (
            put(*RECORD, "trials", value=[TRIAL | {"minimum_effect": None, "verdict": "great"}]),
            f"{PLACE}.trials[0].verdict: expected one of faster, slower, same, unclear, got 'great'",
        ),
        (put(KEY, "noise", value={"grade": "loud", "causes": []}), f"{KEY}.noise.grade: expected one of quiet, noisy"),
        (put(*RECORD, "case", "workers", value=-1), f"{PLACE}.case.workers: expected a number from 0, got -1"),
        (put(*RECORD, "peak_bytes", value=-1), f"{PLACE}.peak_bytes: expected a number from 0, got -1"),
        (put(*RECORD, "speedups", 0, "confidence", value=1), f"{PLACE}.speedups[0].confidence: expected a number betw"),
        (put(*RECORD, "timing", "seconds", value=1e31), f"{PLACE}.timing.seconds: expected a number from 1e-30 to 1e"),
    ],
)
def test_words_and_bounds_are_those_of_the_schema_for_both_readers(
    change: Callable[[Any], None], says: str, document: Any
) -> None:
    change(document)
    assert read_fast(json.dumps(document).encode(), "run.json") is None
    with pytest.raises(ContractError) as caught:
        from_json(document)
    assert str(caught.value).startswith(says)


def test_two_cases_of_one_name_are_refused(document: Any, tmp_path: Path) -> None:
    document["benchmarks"][4] = document["benchmarks"][1]
    path = tmp_path / "run.json"
    path.write_text(json.dumps(document))
    assert "is the id of benchmarks[1]" in refusal(path)


def test_a_verdict_that_its_interval_does_not_carry_is_refused(document: Any, tmp_path: Path) -> None:
    one = document["benchmarks"][1]["extra_info"][KEY]["speedups"][0]
    one.update(ratio=1.01, low=0.9, high=1.1, verdict="faster")
    path = tmp_path / "run.json"
    path.write_text(json.dumps(document))
    assert "its interval says 'unclear'" in unreadable(path, len(document["benchmarks"]) - 1)


def test_a_verdict_may_be_withheld(document: Any, tmp_path: Path) -> None:
    for one in document["benchmarks"][1]["extra_info"][KEY]["speedups"]:
        one["verdict"] = "unclear"
    path = tmp_path / "run.json"
    path.write_text(json.dumps(document))
    assert load(path).records[1]["speedups"][0]["verdict"] == "unclear"
