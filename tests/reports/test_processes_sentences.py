"""The sentences on several processes: what is not settled is not told as settled, and what differs is not mixed."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest

from tests.reports.several import several
from torchduet.bench.record.schema import KEY
from torchduet.reports.findings.processes import words
from torchduet.reports.findings.processes.section import Processes, processes
from torchduet.reports.html.processes import processes as of_page
from torchduet.reports.html.run_page import render
from torchduet.reports.markdown.run import markdown
from torchduet.reports.read.run_file import from_json
from torchduet.reports.tables.flat import table_of
from torchduet.reports.tables.ranks import Estimate

STEP = "distributed.mlp_step[batch=256]"
GATHER = "distributed.all_reduce[bytes=1048576]"


def changed(change: Callable[[Any], None], family: str = "") -> Any:
    """The run's document, of one family or all, each record changed."""
    document = copy.deepcopy(several())
    if family:
        document["benchmarks"] = [
            one for one in document["benchmarks"] if one["extra_info"][KEY]["case"]["family"] == family
        ]
    for one in document["benchmarks"]:
        change(one["extra_info"][KEY])
    return document


def as_is(record: Any) -> None:
    del record


def found(document: Any) -> Processes:
    section = processes(from_json(document))
    assert section is not None
    return section


def one_sentence(document: Any, start: str) -> str:
    (sentence,) = (words for words in found(document).sentences if words.startswith(start))
    return sentence


def unclear(*implementations: str) -> Callable[[Any], None]:
    def change(record: Any) -> None:
        for speedup in record["speedups"]:
            if speedup["knob"] == "communication" and record["case"]["implementation"] in implementations:
                speedup["verdict"] = "unclear"

    return change


def test_communication_that_is_settled_comes_first() -> None:
    sentence = one_sentence(changed(unclear("ddp")), "Exposed communication")
    assert sentence.startswith("Exposed communication takes from ")
    assert "ddp" not in sentence
    assert sentence.endswith("; it is not settled in 3 more cases.")
    single = one_sentence(changed(unclear("ddp")), "With one rank")
    assert "fsdp · 1 rank`; it is not settled in 1 more case." in single


def test_without_a_verdict_no_share_is_told() -> None:
    document = changed(unclear("ddp", "fsdp"))
    assert one_sentence(document, "Exposed") == "Exposed communication is not settled in 6 of 6 cases."
    assert "The overhead of the wrapper is not settled in 2 of 2 cases." in one_sentence(document, "With one rank")
    assert not any(step.settled for step in found(document).steps)


def test_memory_of_other_precisions_and_devices_has_sentences_of_its_own() -> None:
    document = changed(as_is, STEP)
    for precision, device, factor in (("bf16", "cpu", 2), ("fp32", "cuda:0", 4)):
        others = copy.deepcopy(changed(as_is, STEP)["benchmarks"])
        for one in others:
            record = one["extra_info"][KEY]
            for of in (record["case"], *record["speedups"]):
                for key in ("id", "against"):
                    if key in of:
                        of[key] = of[key].replace(" cpu eager fp32", f" {device} eager {precision}")
            record["case"].update(precision=precision, device=device)
            one["name"] = one["fullname"] = record["case"]["id"]
            record["peak_bytes"] *= factor
            if "ranks" in record:
                record["ranks"]["peak_bytes"] = [peak * factor for peak in record["ranks"]["peak_bytes"]]
        document["benchmarks"] += others
    sentences = [sentence for sentence in found(document).sentences if sentence.startswith("A rank holds")]
    assert [sentence.rsplit(" holds ", 1)[1] for sentence in sentences] == ["26.0 MiB.", "52.0 MiB.", "104 MiB."]
    assert [sentence[len("A rank holds at most ") :].split(" in ")[0] for sentence in sentences] == [
        *("11.2 MiB", "22.5 MiB", "45.0 MiB"),
    ]


def test_a_case_without_a_group_has_a_row_only_for_its_memory() -> None:
    def forget(record: Any) -> None:
        record.pop("peak_bytes", None)
        record.get("ranks", {}).pop("peak_bytes", None)

    assert [row.alone for row in found(changed(as_is, STEP)).rows].count(True) == 1
    rows = found(changed(forget, STEP)).rows
    assert len(rows) == 12
    assert not any(row.alone for row in rows)


def test_the_quickest_collective_has_its_interval() -> None:
    sentence = one_sentence(changed(as_is), "`distributed.all_reduce`")
    assert ": the shortest time measured is 96.1 µs (95.0 to 97.2 µs), of `all_reduce · 2 ranks` with 1.00 KiB;" in (
        sentence
    )
    assert "the highest bus bandwidth is 1.90 GB/s (1.87 GB/s to 1.93 GB/s), of `all_reduce · 8 ranks`" in sentence
    assert "overlap" not in sentence


@pytest.mark.parametrize(
    ("ranks", "said"),
    [
        ((2,), "of `all_reduce · 2 ranks` with 1.00 MiB or `in_two_halves · 2 ranks` with 1.00 MiB, as their interv"),
        ((2, 4, 8), "of one of 6 ways, as their intervals overlap"),
    ],
)
def test_of_ways_whose_intervals_overlap_none_is_the_quickest(ranks: tuple[int, ...], said: str) -> None:
    def widen(record: Any) -> None:
        seconds = record["timing"]["seconds"]
        record["timing"].update(low=seconds / 10, high=seconds * 10)

    document = changed(widen, GATHER)
    document["benchmarks"] = [one for one in document["benchmarks"] if one["extra_info"][KEY]["case"]["ranks"] in ranks]
    assert one_sentence(document, "`distributed.all_reduce`").count(said) == 2


@pytest.mark.parametrize("bus", [0.0, 4.0, None])
def test_a_collective_without_bytes_has_a_latency_only(bus: float | None) -> None:
    """A barrier; also with bytes that cross the link, which is the author's to say."""

    def barrier(record: Any) -> None:
        record["cost"] = {"message": 0.0} | ({} if bus is None else {"bus": bus})

    document = changed(barrier)
    document["benchmarks"] = [
        one for one in document["benchmarks"] if one["extra_info"][KEY]["case"]["workload"] == "all_reduce"
    ]
    run = from_json(document)
    page = of_page(run)
    assert page is not None
    assert page.bandwidths == ()
    assert {row.algorithm for row in page.found.collectives} == {None}
    sentence = one_sentence(document, "`distributed.all_reduce`")
    assert "the shortest time measured is " in sentence
    assert "with " not in sentence
    assert ("bandwidth" in sentence) == bool(bus)
    rendered = render(run)
    section = rendered[rendered.index('<section id="processes"') :]
    assert section.count('<td class="num">–</td>') == (2 if bus else 4) * len(document["benchmarks"])
    assert "the shortest time measured is " in markdown(run)
    cases = table_of(run, "cases")
    assert set(cases["message_bytes"]) == {0.0}
    assert cases["message_bandwidth"].isna().all()


@pytest.mark.parametrize(
    ("value", "said"), [(3369.7, "over 1000 %"), (9.9, "990 %"), (-3.5, "−350 %"), (-40.0, "under −1000 %")]
)
def test_shares_beyond_sense_are_clipped(value: float, said: str) -> None:
    assert words.share(value) == said


def test_intervals_beyond_sense_are_clipped() -> None:
    assert words.share_words(Estimate(0.4, 1e-9, 3369.7)) == "40 % (0.0 % to over 1000 %)"
    assert words.rate_interval(Estimate(1e9, 1.0, 1e18)) == "<10.0 MB/s to >100 GB/s"
    assert words.rate_interval(Estimate(1e9, 9e8, 1.1e9)) == "900 MB/s to 1.10 GB/s"
