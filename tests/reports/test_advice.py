"""The answers say what the comparisons say: how much, how surely, and when compilation pays off."""

from __future__ import annotations

import json
import math
from typing import Any

import pandas as pd
import pytest

from tests.reports.in_visits import without_visits
from tests.reports.sample import empty_run, make_run
from torchduet.bench.record.schema import KEY, CeilingRecord
from torchduet.bench.record.statistics import calls_to_pay_off
from torchduet.reports.findings.advice import Answer, answers, product_rates
from torchduet.reports.findings.advice_words import certainty, overall
from torchduet.reports.read.run_file import Run, from_json
from torchduet.reports.tables.frames import COMPARISON_COLUMNS, frames


def by_value(run: Run) -> dict[tuple[str, str], Answer]:
    return {(answer.knob, answer.value): answer for answer in answers(frames(run).comparisons)}


def one_pair(document: Any, *, mode: str = "compile", **speedup: Any) -> Any:
    """The document with nothing but one family's eager reference and one compiled case."""
    kept = [
        one
        for one in document["benchmarks"]
        if one["extra_info"][KEY]["case"]["family"] == "mlp.train_step[layers=784-100-10,batch=100]"
        and one["extra_info"][KEY]["case"]["mode"] in ("eager", mode)
        and one["extra_info"][KEY]["case"]["precision"] == "fp32"
    ]
    for held in kept[1]["extra_info"][KEY]["speedups"]:
        held.update(speedup)
    return {**document, "benchmarks": kept}


def only(document: Any) -> Answer:
    (answer,) = answers(frames(from_json(document)).comparisons)
    return answer


def test_every_knob_that_was_turned_has_an_answer(run: Run) -> None:
    assert {("mode", "compile"), ("mode", "compile-model"), ("precision", "bf16"), ("implementation", "einsum")} <= set(
        by_value(run)
    )


def test_an_answer_counts_every_comparison_once(run: Run) -> None:
    for (knob, value), answer in by_value(run).items():
        assert sum(answer.tally.values()) == len(answer.rows), (knob, value)
    of_compile = [
        one
        for record in run.records
        for one in record["speedups"]
        if (one["knob"], one["value"]) == ("mode", "compile")
    ]
    assert by_value(run)["mode", "compile"].tally["faster"] == sum(one["verdict"] == "faster" for one in of_compile)


def test_the_best_and_the_worst_are_named(run: Run) -> None:
    effect = by_value(run)["mode", "compile"].sentences[0]
    best = max(
        (one["ratio"], record["case"]["workload"])
        for record in run.records
        for one in record["speedups"]
        if one["value"] == "compile"
    )
    assert f"Best: `tensor_ops.{best[1]} " in effect
    assert f"{best[0]:.2f}×" in effect
    assert "Worst: " in effect


def test_one_case_is_said_with_its_interval_and_pay_off(document: Any) -> None:
    answer = only(one_pair(document, ratio=1.31, low=1.28, high=1.33, verdict="faster"))
    assert answer.standing == "yes"
    assert answer.sentences[0].startswith(
        "On this machine `torch.compile` makes `mlp.train_step layers=784-100-10, batch=100` "
        "1.31× (1.28 to 1.33) as fast: "
    )
    assert " instead of " in answer.sentences[0]
    assert any("of compilation pay off after" in sentence for sentence in answer.sentences)


def test_the_pay_off_is_the_engines_own_with_an_interval_from_the_speed_ups(document: Any) -> None:
    pair = one_pair(document, ratio=1.31, low=1.28, high=1.33, verdict="faster")
    eager, compiled = (one["extra_info"][KEY] for one in pair["benchmarks"])
    eager["first_call"]["seconds"], compiled["first_call"]["seconds"] = 0.1, 6.3
    eager["timing"].update(seconds=2e-3, low=1.9e-3, high=2.1e-3)
    (row,) = frames(from_json(pair)).comparisons.itertuples()
    assert row.pays_after == calls_to_pay_off(6.2, 2e-3, 1.31)
    assert row.pays_after_low == calls_to_pay_off(6.2, 2e-3, 1.33)
    assert row.pays_after_high == calls_to_pay_off(6.2, 2e-3, 1.28)
    # Both have then spent the same time.
    assert row.pays_seconds == pytest.approx(0.1 + (row.pays_after - 1) * 2e-3)


def test_slower_is_said_in_time_too(document: Any) -> None:
    answer = only(one_pair(document, ratio=0.82, low=0.81, high=0.83, verdict="slower"))
    assert answer.standing == "no"
    assert "0.82× (0.81 to 0.83) as fast, i.e. 22 % longer" in answer.sentences[0].replace(
        "0.810 to 0.830", "0.81 to 0.83"
    )
    assert "Nothing is gained, so the compilation never pays off." in answer.sentences


def test_a_pay_off_beyond_an_hour_is_not_called_worth_it(document: Any) -> None:
    pair = one_pair(document, ratio=1.05, low=1.04, high=1.06, verdict="faster")
    pair["benchmarks"][1]["extra_info"][KEY]["first_call"]["seconds"] = 3600.0
    answer = only(pair)
    assert answer.standing == "long"
    assert any(" h in" in sentence for sentence in answer.sentences)


def test_unclear_says_what_would_make_it_clear(document: Any) -> None:
    interval = {"visits": 4, "deviation": 0.0357, "degrees": 5.0, "prior": "run"}  # ±7.2 %
    answer = only(one_pair(document, ratio=1.06, low=0.9864, high=1.1391, interval=interval, verdict="unclear"))
    assert answer.standing == "unclear"
    # Half of the interval has to shrink to the 3.8 % between 1.06 and 1.02: 9 visits, as the quantile of t falls, too.
    assert "about 3 times as long" in answer.sentences[-1]
    assert "±7.2 %" in answer.sentences[-1]


def test_unclear_without_visits_is_told_in_placements(document: Any) -> None:
    pair = without_visits(one_pair(document, ratio=1.06, low=0.98, high=1.146, verdict="unclear"))
    # Half of the interval, ±7.8 %, has to shrink to the 3.8 % between 1.06 and 1.02: (7.8/3.8)² = 4.2.
    assert "about 5 times as many placements" in only(pair).sentences[-1]
    assert "±7.8 %" in only(pair).sentences[-1]


def test_one_left_open_by_the_run_is_not_said_to_have_a_wide_interval(document: Any) -> None:
    answer = only(one_pair(document, ratio=1.31, low=1.28, high=1.33, verdict="unclear"))
    assert "Not sure: it stays unclear although its interval would settle it: blocks had to wait" in answer.sentences[1]
    assert "fewer threads than free cores" in answer.sentences[-1]
    assert "placements" not in answer.sentences[-1]


@pytest.mark.parametrize(
    ("intervals", "said"),
    [
        ([(0.99, 1.1), (0.9, 1.2)], "Nothing is settled: each of the 2 intervals (99 %) crosses ±2 %."),
        (
            [(0.99, 1.1), (1.05, 1.2), (1.1, 1.2)],
            "Nothing is settled: 1 of 3 intervals (99 %) crosses ±2 %; "
            "2 stay unclear although their intervals would settle them: blocks had to wait for a core",
        ),
        ([(0.99, 1.1), (None, None)], "1 of 2 has fewer than the 8 placements that an interval needs"),
        ([(0.999, 1.001), (1.05, 1.2)], "Nothing is settled: 2 stay unclear although their intervals would"),
    ],
)
def test_what_keeps_all_of_them_open_is_said_as_it_is(
    intervals: list[tuple[float | None, float | None]], said: str
) -> None:
    rows = pd.DataFrame(intervals, columns=["low", "high"], dtype=float)
    rows = rows.assign(ratio=1.05, placements=12, visits=math.nan, threshold=0.02, confidence=0.99, verdict="unclear")
    assert said in certainty(rows, {"faster": 0, "slower": 0, "same": 0, "unclear": len(rows)})


@pytest.mark.parametrize(
    ("visits", "said"),
    [
        ((1,), "Not sure: it has no interval after 1 visit."),
        ((1, 1), "Nothing is settled: 2 of 2 have no interval after 1 visit."),
        ((1, 2, 2), "Nothing is settled: 3 of 3 have no interval after at most 2 visits."),
    ],
)
def test_what_has_no_interval_yet_is_said_by_its_visits(visits: tuple[int, ...], said: str) -> None:
    rows = pd.DataFrame({"visits": visits, "low": math.nan, "high": math.nan})
    rows = rows.assign(ratio=1.05, placements=12, threshold=0.02, confidence=0.99, verdict="unclear")
    assert certainty(rows, {"faster": 0, "slower": 0, "same": 0, "unclear": len(rows)}) == said


def test_few_placements_over_visits_are_no_reason() -> None:
    """Three visits with one placement each have an interval and a verdict: visits are the independent values."""
    run = from_json(make_run(placements=3, visits=3, noise=0.001))
    assert {answer.standing for answer in answers(frames(run).comparisons)} != {"unclear"}
    assert all("placements" not in words for answer in answers(frames(run).comparisons) for words in answer.sentences)


def test_what_is_left_open_beside_what_is_sure_is_said() -> None:
    rows = pd.DataFrame({"low": [1.1, 1.1], "high": [1.2, 1.2], "verdict": ["faster", "unclear"]})
    rows = rows.assign(ratio=1.15, placements=12, visits=4, threshold=0.02, confidence=0.99)
    said = certainty(rows, {"faster": 1, "slower": 0, "same": 0, "unclear": 1})
    assert said.startswith("Sure of 1 of 2, at 99 % each: 1 faster, 1 unclear")
    assert "1 of the unclear cases stays unclear although its interval would settle it" in said


@pytest.mark.parametrize(
    ("number", "faster", "words"),
    [
        (1, 0, "the alternative is not shown to be faster than eager."),
        (1, 1, "the alternative is faster than eager."),
        (3, 0, "none of 3 alternatives is shown to be faster than eager."),
        (3, 2, "2 of 3 alternatives are faster than eager."),
    ],
)
def test_alternatives_are_counted_in_the_right_number(number: int, faster: int, words: str) -> None:
    assert overall(pd.DataFrame(index=range(number)), {"faster": faster}, "eager") == f"On this machine {words}"


def test_too_few_placements_are_named_as_the_reason() -> None:
    found = answers(frames(from_json(make_run(placements=5, visits=0))).comparisons)
    assert {answer.standing for answer in found} == {"unclear"}
    assert all("at least 8 placements are needed and there were 5" in answer.sentences[-1] for answer in found)
    assert all("no interval" in answer.sentences[0] for answer in found if answer.value)


def test_a_ratio_at_the_threshold_is_not_promised_an_end(document: Any) -> None:
    answer = only(one_pair(document, ratio=1.02, low=1.01, high=1.03, verdict="unclear"))
    assert "would not settle it" in answer.sentences[-1]


def test_a_baseline_without_a_record_leaves_the_pay_off_open(document: Any) -> None:
    pair = one_pair(document, ratio=1.31, low=1.28, high=1.33, verdict="faster")
    del pair["benchmarks"][0]
    assert any("pays off is unknown" in sentence for sentence in only(pair).sentences)


@pytest.mark.parametrize("listed", [True, False])
def test_an_eager_case_that_calls_compiled_code_answers_nothing_for_torch_compile(document: Any, listed: bool) -> None:
    pair = one_pair(document, ratio=1.31, low=1.28, high=1.33, verdict="faster", baseline_compiled=True)
    eager, compiled = (one["extra_info"][KEY] for one in pair["benchmarks"])
    assert compiled["compile"] is not None
    eager["compile"] = compiled["compile"]
    if not listed:
        del pair["benchmarks"][0]
    assert answers(frames(from_json(pair)).comparisons) == []


def test_knobs_turned_together_are_held_against_the_reference(run: Run) -> None:
    answer = by_value(run)["together", ""]
    assert set(answer.rows["value"]) == {"compile + bf16", "compile-model + bf16", "compile + einsum"}
    records = {record["case"]["id"]: record for record in run.records}
    for row in answer.rows.itertuples():
        assert row.ratio == records[str(row.id)]["speedups"][0]["ratio"]


def test_many_implementations_share_one_answer_that_names_the_winners(document: Any) -> None:
    for one, value, baseline in (("n=256", "einsum", "bmm"), ("n=512", "outer", "mm")):
        for benchmark in document["benchmarks"]:
            record = benchmark["extra_info"][KEY]
            for held in record["speedups"]:
                if held["knob"] == "implementation" and one in record["case"]["family"]:
                    held.update(value=value, baseline=baseline, ratio=2.0, low=1.9, high=2.1, verdict="faster")
    answer = by_value(from_json(document))["implementation", ""]
    assert (
        answer.sentences[0]
        == "On this machine 4 of 4 alternatives are faster than the workload's first implementation."
    )
    assert any("`outer` instead of `mm` 2.00× (1.90 to 2.10)" in sentence for sentence in answer.sentences)


def test_much_slower_is_said_in_times_as_long(document: Any) -> None:
    answer = only(one_pair(document, ratio=0.1, low=0.099, high=0.101, verdict="slower"))
    assert "i.e. 10 times as long" in answer.sentences[0]


def test_precision_says_how_far_results_are_off(run: Run) -> None:
    assert any("differ from float64" in sentence for sentence in by_value(run)["precision", "bf16"].sentences)


def test_a_backtick_in_a_name_cannot_end_the_code(document: Any) -> None:
    text = json.dumps(document).replace("train_step", "train`step")
    found = answers(frames(from_json(json.loads(text))).comparisons)
    assert all(sentence.count("`") % 2 == 0 for answer in found for sentence in answer.sentences)
    assert any("train'step" in sentence for answer in found for sentence in answer.sentences)


def test_nothing_measured_has_no_answers() -> None:
    tables = frames(from_json(empty_run()))
    assert answers(tables.comparisons) == []
    assert list(tables.comparisons.columns) == COMPARISON_COLUMNS


def test_throughput_is_cost_over_time(run: Run) -> None:
    cases = frames(run).cases
    for record, row in zip(run.records, cases.itertuples(), strict=True):
        if "flops" in record["cost"]:
            assert row.flops_per_second == record["cost"]["flops"] / record["timing"]["seconds"]
        else:
            assert pd.isna(row.flops_per_second)


def test_a_precision_is_explained_by_the_rates_of_matrix_products() -> None:
    def ceiling(device: str, **rates: float) -> CeilingRecord:
        return CeilingRecord(device=device, flops_per_second=rates, bytes_per_second={}, operator_seconds=1e-6)

    slow = ceiling("cpu", bf16=2.54e9, fp32=80.3e9)
    assert product_rates([slow], "bf16", "fp32") == [
        "Matrix products reach 2.54 GFLOP/s in bf16 and 80.3 GFLOP/s in fp32 on cpu."
    ]
    assert len(product_rates([slow, ceiling("cuda:0", bf16=7e14, fp32=5e13)], "bf16-pure", "fp32")) == 2
    assert product_rates([slow], "fp16", "fp32") == product_rates([slow], "bf16-pure", "bf16") == []
