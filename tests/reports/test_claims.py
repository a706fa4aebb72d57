"""Claims are judged by whole intervals, with what is missing and what one naive call would have said."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from tests.reports.sample import make_run
from tests.reports.several import several
from torchduet.__main__ import main
from torchduet.bench.noise.causes import Cause
from torchduet.bench.noise.remedies import one_thread_fewer
from torchduet.bench.noise.withheld import with_verdicts_withheld
from torchduet.bench.record.schema import KEY
from torchduet.reports.findings.claim_words import effect, naive
from torchduet.reports.findings.claims import Judgement, judge, outcome
from torchduet.reports.findings.loaders import choices
from torchduet.reports.markdown.claims import verdict
from torchduet.reports.read.run_file import Run, from_json
from torchduet.reports.tables.pairs import PairRatio, verdict_withheld
from torchduet.reports.text.escaping import cell
from torchduet.suites.claim import MEMORY, Claim, Comparison

COMPARISON = Comparison("mlp", "train_step", {"mode": "compile"}, {"mode": "eager"})


def by_key(run: Run) -> dict[str, Judgement]:
    return {one.claim.key: one for one in judge(run)}


def claim(**changes: Any) -> Claim:
    return Claim(**{"key": "k", "statement": "s", "source": "x", "comparisons": (COMPARISON,), **changes})


def test_claims_are_judged_by_what_was_measured(rich: Run) -> None:
    found = by_key(rich)
    assert found["workers-large"].verdict == "holds"
    assert found["workers-small"].verdict == "holds"
    assert found["attention-memory"].verdict == "holds"
    assert found["accuracy"].verdict == "holds"
    assert found["einsum-compile"].verdict == "fails"
    assert found["gpu-matmul"].verdict == "unmeasured"


def test_the_number_of_cores_is_that_of_the_containers_quota(rich: Run) -> None:
    machine = dict(rich.about["machine"])
    cores = machine["cores"]
    assert isinstance(cores, int)
    limited = replace(rich, about={**rich.about, "machine": {**machine, "cores": 64, "cpu_quota": cores - 0.5}})
    unlimited = replace(rich, about={**rich.about, "machine": {**machine, "cores": 64}})
    assert by_key(limited)["workers-large"].verdict == "holds"
    assert by_key(unlimited)["workers-large"].verdict == "unmeasured"


def test_sides_share_everything_that_is_not_compared() -> None:
    (judgement,) = judge(from_json(make_run()), [claim()])
    assert len(judgement.findings) == 4  # per size one pair, both fp32: never bf16 against fp32
    assert all(" compile fp32" in one.case and one.against == "cpu eager fp32" for one in judgement.findings)


@pytest.mark.parametrize(
    ("expects", "low", "high", "says"),
    [
        ("faster", 1.03, 1.5, "holds"),
        ("faster", 0.99, 1.01, "fails"),
        ("faster", 0.5, 0.6, "fails"),
        ("faster", 1.01, 1.05, "unclear"),
        ("slower", 0.5, 0.9, "holds"),
        ("slower", 0.99, 1.2, "fails"),
        ("not slower", 0.99, 1.01, "holds"),
        ("not slower", 0.5, 0.9, "fails"),
        ("not slower", 0.97, 1.0, "unclear"),
        ("more", 0.5, 0.9, "holds"),
        ("less", 1.5, 2.0, "holds"),
    ],
)
def test_the_whole_interval_decides(expects: str, low: float, high: float, says: str) -> None:
    held = PairRatio((low * high) ** 0.5, low, high, "unclear", 12)
    assert outcome(claim(expects=expects), held) == says


def test_much_asks_for_more_than_a_difference() -> None:
    held = PairRatio(1.5, 1.4, 1.6, "faster", 12)
    assert outcome(claim(threshold=2.0), held) == "fails"
    assert outcome(claim(threshold=1.3), held) == "holds"


def test_without_an_interval_nothing_is_judged() -> None:
    assert outcome(claim(), PairRatio(3.0, None, None, "unclear", 5)) == "unclear"


def test_where_the_run_gave_no_verdict_no_claim_is_judged(rich_document: Any) -> None:
    """Its blocks had waited for a core: the intervals over them are narrow, and may be around a wrong value."""
    document = json.loads(json.dumps(rich_document))
    cause = Cause("context switches", "disturbed", 1.0, "9 % of the blocks had a context switch", one_thread_fewer(2))
    for one in document["benchmarks"]:
        one["extra_info"][KEY] = with_verdicts_withheld(one["extra_info"][KEY], cause)
        assert verdict_withheld(one["extra_info"][KEY])
    run = from_json(document)
    judged = [one for one in judge(run) if one.claim.measure != MEMORY and one.verdict != "unmeasured"]
    assert len(judged) > 2
    assert {one.verdict for one in judged} == {"unclear"}
    assert {
        count.over_recommended.verdict for one in choices(run) for count in one.counts if count.over_recommended
    } == {"unclear"}


def test_one_contradiction_is_enough_unless_one_agreement_is() -> None:
    run = from_json(make_run())
    every = Comparison("tensor_ops", "add", {"mode": "compile"}, {"mode": "eager"})  # no gain
    gelu = Comparison("tensor_ops", "gelu_chain", {"mode": "compile"}, {"mode": "eager"})  # a gain
    (both, any_of) = judge(run, [claim(comparisons=(every, gelu)), claim(comparisons=(every, gelu), any_of=True)])
    assert (both.verdict, any_of.verdict) == ("fails", "holds")
    assert "of 4 comparisons 2 agree, 2 contradict" in effect(both)


def test_what_it_would_take_is_said(rich: Run) -> None:
    found = by_key(rich)
    assert found["gpu-matmul"].missing == ("needs a CUDA GPU", "needs `-m claims` or `--tier full`")
    assert found["safetensors"].missing == ("needs `-m claims` or `--tier default`",)


def test_a_tier_that_the_run_has_is_not_what_it_would_take(rich_document: Any) -> None:
    changed = json.loads(json.dumps(rich_document))
    changed[KEY]["options"]["tier"] = "default"
    found = by_key(from_json(changed))
    assert found["gpu-matmul"].missing == ("needs a CUDA GPU", "needs `-m claims` or `--tier full`")
    assert found["safetensors"].missing == (
        "not among the cases of this run: `-m claims` without other options selects it",
    )


def test_two_ranks_need_two_cores(rich: Run) -> None:
    def with_cores(cores: int) -> Run:
        machine = {**rich.about["machine"], "cores": cores, "cpu_quota": None}
        return replace(rich, about={**rich.about, "machine": machine})

    assert by_key(with_cores(1))["ddp-training"].missing == ("needs two cores or two GPUs, for two ranks",)
    assert by_key(with_cores(2))["ddp-training"].missing == by_key(rich)["safetensors"].missing


def test_the_reason_of_a_skipped_case_is_what_is_missing(rich_document: Any) -> None:
    changed = json.loads(json.dumps(rich_document))
    kept, gone = [], []
    for one in changed["benchmarks"]:
        case = one["extra_info"][KEY]["case"]
        (gone if case["implementation"] == "onnxruntime" else kept).append(one)
    reason = "ONNX Runtime is not installed: pip install 'torchduet[export]'"
    changed["benchmarks"] = kept
    changed[KEY]["skipped"].append({"case": gone[0]["extra_info"][KEY]["case"], "reason": reason})
    judgement = by_key(from_json(changed))["onnxruntime"]
    assert judgement.verdict == "unmeasured"
    assert judgement.missing == (reason,)
    assert verdict(judgement) == cell(f"cannot be measured here: {reason}")  # a reason is no need


@pytest.mark.parametrize(
    ("first", "second", "says"),
    [(1.0, 1.8, "another verdict"), (1.8, 1.0, "much the same"), (18.0, 1.0, "up to 10 times off")],
)
def test_the_naive_way_is_held_against_the_measured(first: float, second: float, says: str, rich_document: Any) -> None:
    changed = json.loads(json.dumps(rich_document))
    for one in changed["benchmarks"]:
        record = one["extra_info"][KEY]
        if record["case"]["workload"] == "epoch_images":
            record["first_call"]["returned"] = {0: first}.get(record["case"]["workers"], second)
    assert says in naive(by_key(from_json(changed))["workers-large"].findings)


def test_files_without_first_calls_returned_have_no_naive_ratio(run: Run) -> None:
    for judgement in judge(run):
        assert naive(judgement.findings) == ""


def test_memory_has_no_naive_ratio_and_says_what_is_less(rich: Run) -> None:
    judgement = by_key(rich)["attention-memory"]
    assert naive(judgement.findings) == ""
    assert effect(judgement).startswith("the baseline’s peak of memory is 16.5× as high")


def with_peaks(fsdp: list[int], ddp: list[int]) -> Any:
    """A run of two ranks with these peaks of memory."""
    document = json.loads(json.dumps(several()))
    for one in document["benchmarks"]:
        record = one["extra_info"][KEY]
        peaks = {"fsdp": fsdp, "ddp": ddp}.get(record["case"]["implementation"])
        if peaks and "peak_bytes" in record and record["case"]["ranks"] == 2:
            record["peak_bytes"], record["ranks"]["peak_bytes"] = max(peaks), peaks
        elif "peak_bytes" in record:
            del record["peak_bytes"]
            record.get("ranks", {}).pop("peak_bytes", None)
    return document


@pytest.mark.parametrize(
    ("fsdp", "ddp", "says"),
    [
        ([6_000_000, 6_500_000], [10_150_000, 9_080_000], "holds"),
        ([9_000_000, 9_500_000], [10_150_000, 9_080_000], "unclear"),  # the ranks of one side differ by more
        ([10_150_000, 9_080_000], [6_000_000, 6_500_000], "fails"),
        ([0, 6_500_000], [10_150_000, 9_080_000], "unmeasured"),
    ],
)
def test_memory_of_ranks_is_judged_by_all_of_them(fsdp: list[int], ddp: list[int], says: str) -> None:
    judgement = by_key(from_json(with_peaks(fsdp, ddp)))["fsdp-memory"]
    assert judgement.verdict == says
    for finding in judgement.findings:
        assert (finding.pair.low, finding.pair.high) == (min(ddp) / max(fsdp), max(ddp) / min(fsdp))


def test_where_a_run_has_gpus_they_alone_decide_what_is_claimed_of_gpus() -> None:
    """On its CPU FSDP holds more than DDP, on its GPUs less."""
    document, on_gpu = with_peaks([8_000_000] * 2, [6_000_000] * 2), with_peaks([6_000_000] * 2, [8_000_000] * 2)
    assert by_key(from_json(document))["fsdp-memory"].verdict == "fails"
    text = json.dumps(on_gpu["benchmarks"]).replace(" cpu ", " cuda ").replace("-cpu-", "-cuda-")
    text = text.replace('"device": "cpu"', '"device": "cuda:0"')
    document["benchmarks"] += json.loads(text)
    judgement = by_key(from_json(document))["fsdp-memory"]
    assert judgement.verdict == "holds"
    assert {finding.device for finding in judgement.findings} == {"cuda"}


def test_more_is_said_the_way_the_claim_goes(rich: Run) -> None:
    assert "as many epochs as the baseline" in effect(by_key(rich)["accuracy"])
    assert effect(by_key(rich)["accuracy"]).startswith("3.1")


def test_the_command_prints_a_table_row_per_claim(
    rich_document: Any, tmp_path: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "run.json"
    path.write_text(json.dumps(rich_document))
    assert main(["claims", str(path)]) == 0
    lines = capsys.readouterr().out.splitlines()
    rows = [line for line in lines if line.startswith("|")]
    assert len(rows) == 2 + len(judge(from_json(rich_document)))
    assert len({line.replace("\\|", "").count("|") for line in rows}) == 1
    assert any("**does not hold here**" in row for row in rows)


def test_the_command_refuses_what_is_no_run(tmp_path: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["claims", str(tmp_path / "none.json")]) == 2
    assert capsys.readouterr().err.startswith("error: ")
