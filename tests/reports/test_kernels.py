"""The kernels' speed-up beside the one as called, and calls without pause: in the page, as Markdown, in sentences."""

import re
from typing import Any

import pytest

from tests.reports.rendered import page_of, with_details
from tests.reports.sample import make_run
from tests.reports.with_gpu import make_gpu_run, make_kernels_run
from torchduet.bench.record.schema import KEY
from torchduet.bench.record.schema_check import ContractError
from torchduet.reports.findings import kernels, sustained
from torchduet.reports.findings.advice import answers
from torchduet.reports.html.heatmap import heatmap
from torchduet.reports.markdown.run import markdown
from torchduet.reports.read.run_file import from_json
from torchduet.reports.tables.frames import frames
from torchduet.reports.tables.kernels import described, launching


def speedup_of(document: Any, case: str) -> Any:
    (record,) = (one["extra_info"][KEY] for one in document["benchmarks"] if one["param"] == case)
    return record["speedups"][0]


def test_the_reader_sees_whether_the_kernels_or_the_launches_won() -> None:
    document = make_kernels_run()
    assert launching(speedup_of(document, "tensor_ops.chain[n=256] cuda compile fp32")) == "launching hides the gain"
    assert launching(speedup_of(document, "tensor_ops.chain[n=256] cuda graph fp32")) == "the gain is in launching"
    rest = speedup_of(document, "tensor_ops.chain[n=1024] cuda compile fp32")
    assert launching(rest) == "launching costs the rest"
    assert re.fullmatch(r"kernels alone 1\.9\d× \(.* to .*\), faster: launching costs the rest", described(rest))
    assert launching(speedup_of(document, "tensor_ops.chain[n=4096] cuda compile fp32")) == ""


@pytest.mark.parametrize(
    ("verdict", "of_kernels", "says"),
    [
        ("same", "slower", "launching hides the loss"),
        ("slower", "same", "the loss is in launching"),
        ("faster", "slower", "launching saves more than the kernels lose"),
        ("slower", "faster", "launching costs more than the kernels gain"),
        ("unclear", "faster", ""),
        ("same", "unclear", ""),
        ("same", "same", ""),
    ],
)
def test_every_pair_of_clear_verdicts_that_differ_has_words(verdict: str, of_kernels: str, says: str) -> None:
    speedup = speedup_of(make_kernels_run(), "tensor_ops.chain[n=256] cuda graph fp32")
    speedup["verdict"], speedup["device_speedup"]["verdict"] = verdict, of_kernels
    assert launching(speedup) == says


def test_an_answer_says_where_the_two_verdicts_differ_and_what_follows() -> None:
    rows = frames(from_json(make_kernels_run())).comparisons
    by_value = {answer.value: answer for answer in answers(rows)}
    compiled, graph = by_value["compile"].kernels, by_value["graph"].kernels
    assert compiled.startswith("As called the same, the kernels are faster: `tensor_ops.chain n=256` 1.8")
    assert "Launching is what takes the time" in compiled
    assert "CUDA graphs" in compiled
    assert graph.startswith("As called faster, the kernels are the same: `tensor_ops.chain n=256` 3.0")
    assert "Launching saves the whole difference" in graph
    assert compiled in by_value["compile"].sentences


def test_many_cases_are_counted_after_the_largest_effects() -> None:
    rows = frames(from_json(make_kernels_run())).comparisons
    one = rows[(rows["value"] == "compile") & (rows["kernel_verdict"] == "faster") & (rows["verdict"] == "same")]
    five = one.loc[one.index.repeat(5)].assign(kernel_ratio=[1.1, 1.5, 1.3, 1.4, 1.2])
    text = kernels.sentences(five)
    assert re.search(r" 1\.50×.* 1\.40×.* 1\.30×.* and 2 more\.", text)


def test_the_page_shows_both_speed_ups_side_by_side() -> None:
    page = with_details(page_of(make_kernels_run))
    assert "Kernels alone" in page
    assert page.count('class="kernels"') > 6
    assert "launching hides the gain" in page
    assert "As called the same, the kernels are faster" in page
    cells = {cell.anchor: cell for _, rows in _suites() for row in rows for cell in row.cells if cell}
    assert [bool(cell.kernels) for cell in cells.values()].count(True) >= 2
    assert all("kernels alone" in cell.description for cell in cells.values())


def _suites() -> Any:
    found = heatmap(from_json(make_kernels_run()))
    assert found is not None
    assert found.kernels
    return found.suites


def test_markdown_has_the_sentences_below_its_table() -> None:
    text = markdown(from_json(make_kernels_run()))
    assert re.search(r"^- .*: As called the same, the kernels are faster: ", text, re.MULTILINE)
    assert re.search(r"^- .*: alone and without pause it takes 7 % longer", text, re.MULTILINE)


@pytest.mark.parametrize("make", [make_run, make_gpu_run])
def test_a_run_without_these_figures_says_nothing_of_them(make: Any) -> None:
    page, text = page_of(make), markdown(from_json(make()))
    for words in ("ernels alone", 'class="kernels"', "without pause", "As called"):
        assert words not in page
        assert words not in text


def test_what_takes_longer_without_pause_says_what_the_clock_did() -> None:
    first, *_ = found = list(sustained.sentences(from_json(make_kernels_run())))
    assert len(found) == 3
    assert "takes 7 % longer: the GPU lowers its clock (1,980 → 1,755 MHz) at its power limit (695 of 700 W)." in first


def test_of_many_cases_that_take_longer_the_largest_differences_are_named() -> None:
    document = make_kernels_run()
    for place, one in enumerate(document["benchmarks"]):
        record = one["extra_info"][KEY]
        record["sustained"]["seconds"] = record["timing"]["seconds"] * (1.05 + 0.01 * place)
    *named, rest = sustained.sentences(from_json(document))
    assert len(named) == 8
    assert "takes 13 % longer" in named[0]
    assert rest == "1 more case differs by less: see their details."


def test_without_a_known_limit_or_clock_it_says_only_by_how_much() -> None:
    document = make_kernels_run()
    document[KEY]["gpus"] = []
    (first, *_) = sustained.sentences(from_json(document))
    assert first.endswith("the GPU lowers its clock (1,980 → 1,755 MHz).")
    for one in document["benchmarks"]:
        found = one["extra_info"][KEY]["sustained"]
        for name in ("watts", "sm_mhz", "first_sm_mhz"):
            found.pop(name, None)
    (first, *_) = sustained.sentences(from_json(document))
    assert first.endswith("it takes 7 % longer than between calls of other cases.")


def test_a_time_within_the_noise_says_nothing_and_a_shorter_one_gives_no_reason() -> None:
    document = make_kernels_run()
    record = document["benchmarks"][0]["extra_info"][KEY]
    timing = record["timing"]
    timing["low"], timing["high"] = 0.9 * timing["seconds"], 1.1 * timing["seconds"]
    record["sustained"]["seconds"] = 1.09 * timing["seconds"]
    assert sustained.difference(record) is None
    record["sustained"]["seconds"] = 0.8 * timing["seconds"]
    assert sustained.difference(record) == pytest.approx(-0.2)
    (first, *_) = sustained.sentences(from_json(document))
    assert first.endswith("it takes 20 % less than between calls of other cases.")


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda record: record["sustained"].update(seconds=0.0), "sustained.seconds"),
        (lambda record: record["timing"].update(device_blocks=[]), "device_blocks"),
        (lambda record: record["speedups"][0]["device_speedup"].update(verdict="perhaps"), "device_speedup.verdict"),
        (lambda record: record["speedups"][0]["device_speedup"].pop("ratio"), "device_speedup"),
    ],
)
def test_malformed_figures_are_refused(change: Any, says: str) -> None:
    document = make_kernels_run()
    change(document["benchmarks"][1]["extra_info"][KEY])
    with pytest.raises(ContractError, match=says):
        from_json(document)
