"""A path says what each step adds on top of those before it, and what it reached."""

from __future__ import annotations

import json
from typing import Any

import pytest

from torchduet.bench.record.schema import KEY
from torchduet.reports.findings.ablation import Path, paths, sentences
from torchduet.reports.findings.advice import answers
from torchduet.reports.read.run_file import Run, from_json
from torchduet.reports.tables.frames import frames


@pytest.fixture(scope="module")
def path(rich: Run) -> Path:
    (found,) = paths(rich)
    return found


def test_steps_stand_in_the_order_of_the_file_and_the_rest_beside_them(path: Path) -> None:
    assert [step.name for step in path.steps] == [
        *("naive", "batch_1000", "workers", "compile", "bf16", "in_memory"),
    ]
    assert [step.name for step in path.steps if step.off_path] == ["in_memory"]


def test_each_step_is_held_against_the_one_before(path: Path) -> None:
    by_name = {step.name: step for step in path.steps}
    assert by_name["naive"].over_previous is None
    for name, ratio in (("batch_1000", 8.1 / 3.3), ("workers", 3.3 / 3.9), ("compile", 3.9 / 3.2)):
        step = by_name[name]
        assert step.over_previous is not None
        assert step.over_previous.ratio == pytest.approx(ratio, rel=0.01)
    assert by_name["in_memory"].over_previous is None
    assert by_name["in_memory"].over_first is not None
    assert by_name["in_memory"].over_first.ratio == pytest.approx(8.1 / 1.2, rel=0.01)


def test_what_each_step_reached_is_there(path: Path) -> None:
    assert path.meters == ["epochs", "accuracy"]  # a phase is no result, and all reached the target
    meter = path.steps[1].meter("epochs")
    assert meter is not None
    assert meter["median"] == 21


def test_the_sentences_name_what_helps_and_what_costs(path: Path) -> None:
    said = sentences(path)
    assert "8.13 s became 3.22 s" in said[0] or "as fast:" in said[0]
    assert any(one.startswith("What helps") and "`batch_1000` 2.4" in one for one in said)
    assert any(one.startswith("What costs") and "`workers` 0.8" in one for one in said)
    assert any("`in_memory`, beside the path, is 6.7" in one for one in said)


def test_a_step_that_failed_is_skipped_over(rich_document: Any) -> None:
    changed = json.loads(json.dumps(rich_document))
    changed["benchmarks"] = [
        one for one in changed["benchmarks"] if "workers cpu" not in one["extra_info"][KEY]["case"]["id"]
    ]
    (path,) = paths(from_json(changed))
    compiled = next(step for step in path.steps if step.name == "compile")
    assert compiled.over_previous is not None
    assert compiled.over_previous.ratio == pytest.approx(3.3 / 3.2, rel=0.01)


def test_a_missed_target_is_said(rich_document: Any) -> None:
    changed = json.loads(json.dumps(rich_document))
    for one in changed["benchmarks"]:
        record = one["extra_info"][KEY]
        if record["case"]["implementation"] == "workers":
            record["meters"]["reached"]["low"] = 0.0
    (path,) = paths(from_json(changed))
    assert any("Not every seed reached the target with `workers`" in one for one in sentences(path))


def test_settings_that_come_with_a_step_are_no_knobs_turned_together(rich: Run) -> None:
    by_knob = {answer.knob: answer for answer in answers(frames(rich).comparisons)}
    assert "training.to_accuracy" not in set(by_knob["together"].rows["workload"])
    assert "training.to_accuracy" in set(by_knob["implementation"].rows["workload"])


def test_a_run_without_such_workloads_has_no_path(run: Run) -> None:
    assert paths(run) == []
