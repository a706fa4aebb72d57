"""A comparison counts, and pays off, whether or not its baseline has a record (``-k "compile and bf16"``)."""

from __future__ import annotations

from typing import Any

import pytest

from torchduet.bench.record.knobs import settings_of
from torchduet.bench.record.schema import KEY
from torchduet.bench.record.statistics import calls_to_pay_off
from torchduet.reports.findings.advice import Answer, answers
from torchduet.reports.html.run_page import render
from torchduet.reports.read.run_file import from_json
from torchduet.reports.tables.baselines import baseline_of
from torchduet.reports.tables.frames import frames

FAMILY = "mlp.train_step[layers=784-100-10,batch=100]"
KNOWN = {"baseline_seconds": 2e-3, "baseline_first_call": 0.1, "baseline_compiled": False}


def alone(document: Any, mode: str = "compile", precision: str = "bf16", **known: Any) -> Any:
    """The document with one case, held against the reference alone, of which there is no record."""
    (kept,) = [
        one
        for one in document["benchmarks"]
        if (case := one["extra_info"][KEY]["case"])["family"] == FAMILY
        and (case["mode"], case["precision"]) == (mode, precision)
    ]
    record = kept["extra_info"][KEY]
    record["first_call"]["seconds"] = 6.1
    record["speedups"] = [{**record["speedups"][0], "ratio": 1.4, "low": 1.38, "high": 1.42, "verdict": "faster"}]
    record["speedups"][0].update(known)
    return {**document, "benchmarks": [kept]}


def only(document: Any) -> Answer:
    (answer,) = answers(frames(from_json(document)).comparisons)
    return answer


def test_the_reference_answers_for_several_knobs_at_once(document: Any) -> None:
    answer = only(alone(document, **KNOWN))
    assert (answer.knob, answer.value, answer.baseline) == ("together", "compile + bf16", "eager + fp32")
    page = render(from_json(alone(document, **KNOWN)))
    assert "There is nothing to compare" not in page
    assert '<table class="forest">' in page[: page.index("<nav")]


def test_the_reference_answers_for_one_knob_where_nothing_else_does(document: Any) -> None:
    answer = only(alone(document, precision="fp32", **KNOWN))
    assert (answer.knob, answer.value, answer.baseline) == ("mode", "compile", "eager")


def test_the_pay_off_comes_from_the_comparison(document: Any) -> None:
    (row,) = frames(from_json(alone(document, **KNOWN))).comparisons.itertuples()
    assert row.pays_after == calls_to_pay_off(6.0, 2e-3, 1.4)
    assert row.compiled


@pytest.mark.parametrize("known", [{}, {**KNOWN, "baseline_compiled": True}, {"baseline_seconds": 2e-3}])
def test_no_pay_off_without_what_it_takes(document: Any, known: dict[str, Any]) -> None:
    (row,) = frames(from_json(alone(document, **known))).comparisons.itertuples()
    assert row.pays_after is None


def test_a_record_says_more_than_the_comparison(document: Any) -> None:
    run = from_json(document)
    by_id = {record["case"]["id"]: record for record in run.records}
    record = next(record for record in run.records if len(record["speedups"]) > 1)
    other = by_id[record["speedups"][0]["against"]]
    baseline = baseline_of(record, {**record["speedups"][0], "baseline_seconds": 7.0}, by_id)
    assert baseline.seconds == other["timing"]["seconds"]


@pytest.mark.parametrize(
    ("value", "baseline", "differs"),
    [
        ("cpu compile bf16", "cpu eager fp32", {"mode": "eager", "precision": "fp32"}),
        ("train_step cpu compile bf16", "by hand cpu compile bf16", {"implementation": "by hand"}),
        ("cpu compile bf16 workers2", "cpu compile bf16 workers0", {"workers": "0"}),
        ("something else", "cpu eager fp32", None),
        ("cpu eager fp32", "cpu eager bf16", None),
    ],
)
def test_settings_are_read_from_the_words_of_a_variant(
    document: Any, value: str, baseline: str, differs: dict[str, str] | None
) -> None:
    alone_document = alone(document, **KNOWN)
    record = alone_document["benchmarks"][0]["extra_info"][KEY]
    if "workers" in value:
        record["case"]["workers"] = 2
    found = baseline_of(record, {**record["speedups"][0], "value": value, "baseline": baseline}, {}).settings
    own = {**settings_of({}), "implementation": "train_step", "device": "cpu", "mode": "compile", "precision": "bf16"}
    own["workers"] = "2" if "workers" in value else ""
    assert found == (None if differs is None else {**own, **differs})


def test_a_baseline_that_takes_no_time_is_refused(document: Any) -> None:
    with pytest.raises(ValueError, match=r"baseline_seconds: expected a number above 0"):
        from_json(alone(document, baseline_seconds=0.0))
