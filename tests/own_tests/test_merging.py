"""Several comparisons become one run: names that do not collide, sums, moments one after the other."""

from __future__ import annotations

from typing import Any

import pytest
import torch

import torchduet
from torchduet.bench.library.merging import Part, merged, renamed
from torchduet.bench.record.contract import check_record, check_run


@pytest.fixture(scope="module")
def comparison() -> torchduet.Comparison:
    """One that was measured, with a function that failed."""
    functions = {"exp": torch.exp, "wrong": torch.sin, "method": lambda x: x.exp()}
    return torchduet.compare(functions, torch.randn(100), budget="300ms", processes=False, threads=1)


def part_of(comparison: torchduet.Comparison, suite: str, workload: str) -> Part:
    return renamed(Part(comparison._finished.records, comparison._finished.run), suite, workload)


def test_names_of_cases_follow_the_new_name(comparison: torchduet.Comparison) -> None:
    part = part_of(comparison, "test_layers", "test_exp[64]")
    cases = [record["case"] for record in part.records]
    assert {case["family"] for case in cases} == {"test_layers.test_exp[64]"}
    assert {case["id"] for case in cases} == {
        f"test_layers.test_exp[64] {each} cpu eager fp32" for each in ("exp", "method")
    }
    against = {speedup["against"] for record in part.records for speedup in record["speedups"]}
    assert against <= {case["id"] for case in cases}
    (failed,) = part.run["failed"]
    assert failed["case"]["workload"] == "test_exp[64]"
    assert failed["reason"].startswith("test_layers.test_exp[64] wrong cpu eager fp32: its result is wrong")


def test_a_merged_run_is_accepted_by_readers_and_sums_up(comparison: torchduet.Comparison) -> None:
    parts = [part_of(comparison, "test_layers", f"test_{number}") for number in range(3)]
    whole = merged(parts)
    check_run(whole.run)
    for record in whole.records:
        check_record(record, "record")
    assert len({record["case"]["id"] for record in whole.records}) == 6
    one = comparison._finished.run
    assert whole.run["seconds"]["total"] == pytest.approx(3 * one["seconds"]["total"])
    assert whole.run["options"]["budget_seconds"] == pytest.approx(0.9)
    assert whole.run["options"]["threads"] == 1
    assert len(whole.run["failed"]) == 3
    assert whole.run["warnings"] == one["warnings"]
    visits = [record["timing"]["visits"][0]["at"] for record in whole.records[::2]]
    assert visits == pytest.approx([visits[0] + number * one["seconds"]["total"] for number in range(3)])


def test_the_runs_of_a_merge_stay_as_they_are(comparison: torchduet.Comparison) -> None:
    parts = [part_of(comparison, "test_layers", name) for name in "ab"]
    before = repr(parts)
    merged(parts)
    assert repr(parts) == before


def test_what_differs_between_comparisons(comparison: torchduet.Comparison) -> None:
    measured = part_of(comparison, "test_layers", "test_a")
    part = Part(measured.records, {**measured.run, "noise": {"grade": "quiet", "causes": []}})  # whatever the load was

    def other(**changes: Any) -> Part:
        return Part([], {**part.run, **changes})  # type: ignore[typeddict-item]

    options = {**part.run["options"], "threads": 2}
    gpu = {"device": "cuda:0", "facts": {}, "slice": False, "update_seconds": {}, "missing": {}}
    whole = merged(
        [
            part,
            other(
                started="2020-01-01T00:00:00+00:00",
                options=options,
                warnings=["hot", *part.run["warnings"]],
                stopped="stopped by SIGINT",
                noise={"grade": "disturbed", "causes": ["load"]},
                passing={"stopped": 1.0, "suspended": 2.0, "clock_set": [3.0]},
                gpus=[{**gpu, "at": [0.0, 1.0], "samples": {"power_w": [9.0, 8.0]}}],
            ),
            other(gpus=[{**gpu, "at": [0.5], "samples": {"sm_mhz": [100.0]}}]),
        ]
    ).run
    check_run(whole)
    assert whole["started"] == "2020-01-01T00:00:00+00:00"
    assert whole["options"]["threads"] == "1, 2"
    assert whole["warnings"].count("hot") == 1
    assert whole["stopped"] == "stopped by SIGINT"
    assert whole["noise"]["causes"] == ["load"]
    assert whole["passing"]["clock_set"][-1] == 3.0
    (both,) = whole["gpus"]
    total = part.run["seconds"]["total"]
    assert both["at"] == pytest.approx([total, total + 1, 2 * total + 0.5])
    assert both["samples"] == {"power_w": [9.0, 8.0, None], "sm_mhz": [None, None, 100.0]}


def test_nothing_cannot_be_merged() -> None:
    with pytest.raises(ValueError, match="there is no comparison"):
        merged([])
