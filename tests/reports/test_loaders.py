"""The advice on DataLoader workers names one number per workload and size, and what the wrong ones cost."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.reports.in_visits import without_visits
from torchduet.bench.record.schema import KEY
from torchduet.reports.findings.advice import Answer, answers
from torchduet.reports.findings.loaders import Choice, choices, sentence
from torchduet.reports.read.run_file import Run, from_json
from torchduet.reports.tables.frames import frames


def by_workload(run: Run) -> dict[str, Choice]:
    return {choice.name.split(" ")[0].removeprefix("dataloader."): choice for choice in choices(run)}


def the_answer(run: Run) -> Answer:
    (answer,) = [one for one in answers(frames(run).comparisons, choices(run)) if one.knob == "workers"]
    return answer


def scaled(document: Any, workload: str, factors: dict[int, float]) -> Run:
    """The run with a workload's times multiplied, by number of workers."""
    changed = json.loads(json.dumps(document))
    for one in changed["benchmarks"]:
        record = one["extra_info"][KEY]
        if record["case"]["workload"] == workload:
            factor = factors.get(record["case"]["workers"], 1.0)
            record["timing"]["blocks"] = [[value * factor for value in row] for row in record["timing"]["blocks"]]
    return from_json(changed)


def test_each_workload_has_its_own_number(rich: Run) -> None:
    assert {name: choice.recommended.workers for name, choice in by_workload(rich).items()} == {
        "epoch_images": 2,
        "epoch_tensors": 0,
    }


def test_the_gain_and_the_cost_of_the_wrong_numbers_are_said(rich: Run) -> None:
    said = sentence(by_workload(rich)["epoch_images"])
    assert "use 2 workers: 1.79× (1.78 to 1.81) as fast as none" in said
    assert "4 workers cost 12 % (11 % to 13 %) more" in said
    assert sentence(by_workload(rich)["epoch_tensors"]).startswith(
        "For `dataloader.epoch_tensors samples=2000, batch=100` stay with 0: 1 worker takes 2.5 times as long"
    )


def test_of_numbers_that_are_equally_fast_the_fewest_is_used(rich_document: Any) -> None:
    run = scaled(rich_document, "epoch_images", {1: 0.5 / 0.7})
    assert by_workload(run)["epoch_images"].recommended.workers == 1


def test_a_gain_that_is_not_sure_is_not_promised(rich_document: Any) -> None:
    changed = json.loads(json.dumps(rich_document))
    for one in changed["benchmarks"]:
        timing = one["extra_info"][KEY]["timing"]
        timing["blocks"] = timing["blocks"][:5]
        timing.update(low=None, high=None)
    (images, *_) = choices(from_json(changed))
    assert not images.sure
    assert "which is not settled" in sentence(images)


def test_the_answer_depends_where_workloads_differ(rich: Run) -> None:
    answer = the_answer(rich)
    assert answer.title == "DataLoader workers"
    assert answer.standing == "depends"
    assert answer.sentences[0] == sentence(choices(rich)[0])
    assert len(answer.rows) == 6


@pytest.mark.parametrize(("factor", "standing"), [(0.2, "yes"), (10.0, "no")])
def test_the_answer_is_plain_where_they_agree(factor: float, standing: str, rich_document: Any) -> None:
    changed = json.loads(json.dumps(rich_document))
    workload = "epoch_tensors" if factor < 1 else "epoch_images"
    run = scaled(changed, workload, {1: factor, 2: factor, 4: factor})
    assert the_answer(run).standing == standing


def test_a_run_without_workers_has_no_such_answer(run: Run) -> None:
    assert choices(run) == []
    assert "workers" not in {answer.knob for answer in answers(frames(run).comparisons)}


def test_blocks_that_do_not_pair_are_left_out(rich_document: Any) -> None:
    changed = without_visits(json.loads(json.dumps(rich_document)))
    for one in changed["benchmarks"]:
        record = one["extra_info"][KEY]
        if record["case"].get("workers") == 4:
            record["timing"]["blocks"][0].pop()
    assert [count.workers for count in by_workload(from_json(changed))["epoch_images"].counts] == [0, 1, 2]


def test_a_visit_that_does_not_pair_is_left_out_of_the_comparison(rich_document: Any) -> None:
    changed = json.loads(json.dumps(rich_document))
    for one in changed["benchmarks"]:
        record = one["extra_info"][KEY]
        if record["case"].get("workers") == 4:
            record["timing"]["blocks"][0].pop()
    counts = by_workload(from_json(changed))["epoch_images"].counts
    visits = [count.over_fewest.visits for count in counts if count.over_fewest]
    assert visits == [4, 4, 4, 3]
