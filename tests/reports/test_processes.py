"""The section on several processes: in the page, the summary, the export; and what is said of it elsewhere."""

from __future__ import annotations

import json
import re
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from tests.reports.remeasured import remeasured
from tests.reports.rendered import page_of, with_details
from tests.reports.sample import make_run
from tests.reports.several import several
from torchduet.__main__ import main
from torchduet.bench.plugin import closing_table
from torchduet.bench.record.marks import other_samples, short_marks
from torchduet.bench.record.schema import KEY
from torchduet.bench.record.speedups import counted
from torchduet.reports.findings.advice import answers
from torchduet.reports.findings.hand_off import hand_offs
from torchduet.reports.findings.processes.section import Processes, processes
from torchduet.reports.html.heatmap import heatmap
from torchduet.reports.html.processes import processes as of_page
from torchduet.reports.html.run_page import render
from torchduet.reports.markdown.run import markdown
from torchduet.reports.read.run_file import Run, from_json
from torchduet.reports.tables.flat import table_of
from torchduet.reports.tables.flat_ranks import NAMED
from torchduet.reports.tables.frames import frames
from torchduet.reports.tables.roofline import bounds

STEP = "distributed.mlp_step[batch=256]"


@cache
def made() -> Run:
    return from_json(several())


def copy_of() -> Any:
    return json.loads(json.dumps(several()))


def records_in(document: Any) -> list[Any]:
    return [one["extra_info"][KEY] for one in document["benchmarks"]]


def found() -> Processes:
    section = processes(made())
    assert section is not None
    return section


def test_a_run_without_such_cases_has_no_section() -> None:
    assert processes(from_json(make_run())) is None
    page = page_of(make_run)
    assert 'id="processes"' not in page
    assert "Several processes" not in page
    assert "Several processes" not in markdown(from_json(make_run()))


def test_the_page_has_the_section_with_its_charts_and_tables() -> None:
    page = page_of(several)
    section = page[
        page.index('<section id="processes"') : page.index("</section>", page.index('<section id="processes"'))
    ]
    assert '<a href="#processes">Several processes</a>' in page
    assert len(re.findall(r'<div class="drawing" role="img"', section)) == 3  # two curves, one collective
    for words in ("Efficiency over ranks", "Exposed communication", "Collectives", "Rank by rank", "nccl-tests"):
        assert words in section
    assert "distributed.mlp_step batch=256, strong scaling" in section
    assert "distributed.weak_step batch=256, weak scaling" in section
    assert section.index("<li>") < section.index("<figure")  # sentences first


def test_curves_begin_at_the_fewest_ranks_and_fall() -> None:
    strong, weak, uncounted = found().curves
    assert (strong.scaling, weak.scaling, uncounted.scaling) == ("strong", "weak", "")
    assert (strong.against, strong.over) == ("1 rank", "plain")
    assert [(line.name, line.part) for line in strong.lines] == [("local", True), ("ddp", False), ("fsdp", False)]
    for line in (*strong.lines, *weak.lines):
        shares = [point.efficiency.share.value for point in line.points if point.efficiency]
        assert [point.ranks for point in line.points] == [1, 2, 4, 8]
        assert shares[0] == 1.0
        assert shares == sorted(shares, reverse=True)
    ddp = strong.lines[1].points
    times = [point.seconds for point in ddp]
    assert ddp[3].efficiency is not None
    assert ddp[3].efficiency.share.value == pytest.approx(times[0] / times[3] / 8, rel=0.02)
    assert [point.efficiency for point in uncounted.lines[0].points] == [None, None]
    assert uncounted.lines[0].points[1].pair is not None


def test_two_ranks_are_the_fewest_where_one_was_not_measured() -> None:
    document = copy_of()
    document["benchmarks"] = [
        one
        for one in document["benchmarks"]
        if one["extra_info"][KEY]["case"]["ranks"] > 1 or one["extra_info"][KEY]["case"]["reference"]
    ]
    section = processes(from_json(document))
    assert section is not None
    curve = section.curves[0]
    assert curve.against == "2 ranks"
    ddp = next(line for line in curve.lines if line.name == "ddp")
    times = {point.ranks: point.seconds for point in ddp.points}
    assert ddp.last.efficiency is not None  # from the blocks: the run compared both with one rank only
    assert ddp.last.efficiency.share.value == pytest.approx(times[2] / times[8] * 2 / 8, rel=0.02)
    assert ddp.last.efficiency.share.low is not None
    assert "against 2 ranks" in " ".join(section.sentences)


def test_exposed_communication_is_held_against_the_same_number_of_ranks() -> None:
    steps = {(step.record["case"]["implementation"], step.ranks): step for step in found().steps}
    assert set(steps) == {(name, ranks) for name in ("ddp", "fsdp") for ranks in (1, 2, 4, 8)}
    times = {
        (record["case"]["implementation"], record["case"]["ranks"]): record["timing"]["seconds"]
        for record in made().records
        if record["case"]["family"] == STEP
    }
    for (name, ranks), step in steps.items():
        assert step.share.value == pytest.approx(1 - times["local", ranks] / times[name, ranks], abs=0.02)
        assert step.without == times["local", ranks]
        assert step.share.low is not None
        assert step.share.high is not None
        assert step.share.low < step.share.value < step.share.high
    assert steps["fsdp", 8].verdict == "exposed"
    words = " ".join(found().sentences)
    assert re.search(r"Exposed communication takes from \d+ % .* ddp · 2 ranks` to \d+ % .* fsdp · 8 ranks`", words)
    assert "With one rank nothing is sent" in words


def test_memory_stands_beside_that_of_one_process() -> None:
    words = next(sentence for sentence in found().sentences if sentence.startswith("A rank holds"))
    assert re.search(r"11\.2 MiB in .*fsdp · 8 ranks`, 33\.0 MiB in .*ddp · 8 ranks`; .* holds 26\.0 MiB", words)


def test_a_slower_rank_is_named() -> None:
    document = copy_of()
    case = f"{STEP} local cpu eager fp32 ranks4"
    record = next(record for record in records_in(document) if record["case"]["id"] == case)
    record["ranks"].update(seconds=[5e-3, 5e-3, 6e-3, 5e-3], slowest=[1, 0, 99, 0])
    section = processes(from_json(document))
    assert section is not None
    assert [row.slow for row in section.rows if row.slow is not None] == [2]
    assert any(
        "Rank 2 is slower than the others in" in sentence and "by 20 %" in sentence for sentence in section.sentences
    )
    assert "rank 2 is slower" in render(from_json(document))


def test_collectives_have_bandwidths_over_sizes() -> None:
    rows = found().collectives
    assert len(rows) == 4 * 2 * 3
    row = next(row for row in rows if row.line == "all_reduce · 4 ranks" and row.message == 1 << 24)
    assert row.algorithm is not None
    assert row.bus is not None
    assert row.algorithm.value == pytest.approx((1 << 24) / row.seconds)
    assert row.bus.value == pytest.approx(1.5 * row.algorithm.value)
    assert [of.message for of in rows if of.line == row.line] == [1 << 10, 1 << 16, 1 << 20, 1 << 24]


def test_the_control_is_a_sentence_and_a_ratio_that_differs_another() -> None:
    (agreeing,) = found().control
    assert agreeing.startswith("The control, ")
    assert "agrees with the alternation in all " in agreeing
    document = copy_of()
    case = f"{STEP} ddp cpu eager fp32 ranks2"
    record = next(record for record in records_in(document) if record["case"]["id"] == case)
    record["alone"] = [seconds * 1.5 for seconds in record["alone"]]
    section = processes(from_json(document))
    assert section is not None
    first, *others = section.control
    assert re.search(r"agrees with the alternation in \d+ of \d+ comparisons", first)
    assert len(others) >= 3  # its four comparisons, and that of others with it if there were any
    assert all("ddp · 2 ranks` against " in words for words in others)
    ratio = next(of for of in record["speedups"] if of["knob"] == "ranks")["ratio"]
    assert any(f"{ratio:.2f}× (" in words and f"{ratio / 1.5:.2f}× (" in words for words in others)


@pytest.mark.parametrize("key", ["alone", "ranks", "slowest", "peak_bytes"])
def test_files_without_the_newer_keys_are_read(key: str) -> None:
    document = copy_of()
    for record in records_in(document):
        record.pop(key, None)
        record.get("ranks", {}).pop(key, None)
    run = from_json(document)
    page = render(run)
    assert ('id="processes"' in page) == (key != "ranks")
    section = processes(run)
    if key == "alone":
        assert section is not None
        assert section.control == ()
    assert markdown(run)
    assert len(table_of(run, "cases")) == len(run.records)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({}, True),
        ({"suite": "mine"}, False),
        ({"implementation": "sharded"}, False),
    ],
)
def test_gloo_is_named_where_figures_rest_on_its_reduce_scatter(change: dict[str, str], said: bool) -> None:
    document = copy_of()
    document["benchmarks"] = [one for one in document["benchmarks"] if one["extra_info"][KEY]["case"]["family"] == STEP]
    for record in records_in(document):
        if record["case"]["implementation"] == "fsdp" or "suite" in change:
            record["case"].update(change)
    section = processes(from_json(document))
    assert section is not None
    assert ("built on all_reduce" in section.gloo) == said


def test_gloo_is_not_named_beside_nccl() -> None:
    document = copy_of()
    for record in records_in(document):
        if "ranks" in record:
            record["ranks"]["backend"] = "nccl"
    section = processes(from_json(document))
    assert section is not None
    assert section.gloo == ""


def test_answers_are_of_knobs_only() -> None:
    given = answers(frames(made()).comparisons)
    assert [answer.title for answer in given] == ["Another implementation", "Ranks", "Several knobs at once"]
    rows = {answer.knob: answer.rows for answer in given}
    assert not any("local" in str(row.id) or "weak_step" in str(row.id) for row in rows["ranks"].itertuples())
    assert not any("all_reduce" in str(row.id) for row in rows["ranks"].itertuples())
    assert {row.value for row in rows["ranks"].itertuples()} == {"2", "4", "8"}
    assert not any("local" in answer.title + " ".join(answer.sentences) for answer in given)


def test_with_one_number_of_ranks_the_answer_names_it() -> None:
    document = copy_of()
    document["benchmarks"] = [one for one in document["benchmarks"] if one["extra_info"][KEY]["case"]["ranks"] <= 2]
    (answer,) = (of for of in answers(frames(from_json(document)).comparisons) if of.knob == "ranks")
    assert answer.title == "Running in 2 ranks"
    assert answer.sentences[0].startswith("Best: `")


def test_a_family_with_one_number_of_ranks_for_each_way_is_no_path() -> None:
    """Then the comparison with one process is one of the ranks and the implementation together."""
    document = copy_of()
    document["benchmarks"] = [
        one
        for one in document["benchmarks"]
        if (case := one["extra_info"][KEY]["case"])["family"] == STEP
        and case["ranks"] == (1 if case["reference"] else 2)
    ]
    given = answers(frames(from_json(document)).comparisons)
    assert "Several knobs at once" in [answer.title for answer in given]
    together = next(answer for answer in given if answer.knob == "together")
    assert "ddp + 2 ranks" in list(together.rows["value"])


def test_the_heat_map_compares_equal_work_only() -> None:
    shown = heatmap(made())
    assert shown is not None
    rows = [row for _, rows in shown.suites for row in rows]
    assert not any("local" in row.setting for row in rows)
    assert not any("weak_step" in row.workload and any(row.cells) for row in rows if "ddp" in row.setting)


def test_marks_say_what_is_no_like_for_like() -> None:
    by_id = {record["case"]["id"]: record for record in made().records}
    part = by_id[f"{STEP} local cpu eager fp32 ranks2"]
    one, four = (by_id[f"distributed.weak_step[batch=256] ddp cpu eager fp32 ranks{n}"] for n in (1, 4))
    assert short_marks(part) == "without communication"
    assert other_samples(four, one) == "4× the samples"
    assert other_samples(one, one) == ""
    rows = frames(made()).cases.set_index("id")
    assert "4× the samples" in rows.loc[four["case"]["id"], "marks"]


def test_the_terminal_shows_communication_apart_from_speed_ups() -> None:
    records = list(made().records)
    assert all(speedup["knob"] != "communication" for record in records for speedup in counted(record))
    table = closing_table.table(records)
    assert not any(" local " in line for line in table)
    lines = closing_table.communication(records)
    assert lines[0].startswith("communication, as a share of the step")
    assert re.fullmatch(r".* fsdp cpu eager fp32 ranks8 +\d\d%  \d\d% to \d\d%", lines[1])
    assert closing_table.communication([record for record in records if record["case"]["ranks"] == 0]) == []


def test_cases_with_ranks_have_no_roofline() -> None:
    limits = bounds(
        from_json(
            {
                **several(),
                KEY: {
                    **several()[KEY],
                    "ceilings": [
                        {
                            "device": "cpu",
                            "flops_per_second": {"fp32": 1e11},
                            "bytes_per_second": {"65536": 9e10},
                            "operator_seconds": 6e-7,
                        }
                    ],
                },
            }
        )
    )
    assert limits == {}


def test_the_summary_has_the_sentences() -> None:
    text = markdown(made())
    assert "### Several processes" in text
    assert "strong scaling" in text
    assert "built on all_reduce" in text


def test_the_export_has_columns_of_ranks_only_where_there_are_any() -> None:
    cases = table_of(made(), "cases").set_index("id")
    assert set(NAMED) <= set(cases.columns)
    ddp = cases.loc[f"{STEP} ddp cpu eager fp32 ranks8"]
    assert (ddp["ranks"], ddp["scaling"], ddp["backend"], ddp["threads_per_rank"]) == (8, "strong", "gloo", 1)
    assert 0.4 < ddp["efficiency_low"] < ddp["efficiency"] < ddp["efficiency_high"] < 0.5
    assert ddp["exposed_communication_low"] < ddp["exposed_communication"] < ddp["exposed_communication_high"]
    assert cases.loc[f"{STEP} local cpu eager fp32 ranks8", "role"] == "part"
    row = cases.loc["distributed.all_reduce[bytes=1048576] all_reduce cpu eager fp32 ranks4"]
    assert row["bus_bandwidth"] == pytest.approx(1.5 * row["message_bytes"] / row["seconds"])
    comparisons = table_of(made(), "comparisons")
    assert "communication" in set(comparisons["knob"])
    assert comparisons.loc[comparisons["knob"] == "communication", "other_work"].all()
    assert not set(NAMED) & set(table_of(from_json(make_run()), "cases").columns)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A run with cases of several processes, the same again with a slower one, one without any, one with both."""
    plain = make_run()
    both = copy_of()
    both["benchmarks"] += plain["benchmarks"]
    documents = {
        "base": several(),
        "again": remeasured(several(), 6, slower={f"{STEP} fsdp cpu eager fp32 ranks8": 1.3}),
        "without": remeasured(plain, 7),
        "both": remeasured(both, 8),
    }
    for name, document in documents.items():
        (tmp_path / f"{name}.json").write_text(json.dumps(document), "utf-8")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.usefixtures("folder")
def test_two_runs_are_compared_case_by_case(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compare", "base.json", "again.json", "-o", "compared.html", "--fail-on", "slower"]) == 1
    said = capsys.readouterr().out
    assert "1 case is slower" in said or "1 slower" in said
    assert "fsdp cpu eager fp32 ranks8" in said
    assert "ranks8" in Path("compared.html").read_text("utf-8")


def test_the_memory_of_ranks_is_no_verdict_between_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """DDP's peak differed by a sixth between two runs of the same code."""
    other = remeasured(several(), 9)
    for record in records_in(other):
        if record["case"]["implementation"] == "ddp" and "peak_bytes" in record:
            record["peak_bytes"] = record["peak_bytes"] * 7 // 6
    for name, document in (("base", several()), ("new", other)):
        (tmp_path / f"{name}.json").write_text(json.dumps(document), "utf-8")
    monkeypatch.chdir(tmp_path)
    assert main(["compare", "base.json", "new.json", "-o", "compared.html", "--fail-on", "memory"]) == 0
    assert "more memory" not in capsys.readouterr().out


@pytest.mark.usefixtures("folder")
def test_a_run_with_ranks_is_compared_with_one_without(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compare", "without.json", "both.json", "-o", "compared.html"]) == 0
    assert "new" in Path("compared.html").read_text("utf-8")
    main(["compare", "base.json", "without.json", "-o", "nothing.html"])  # no case in common
    assert "Traceback" not in "".join(capsys.readouterr())


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize(
    "arguments",
    [
        ["render", "base.json", "-o", "page.html", "--markdown", "page.md"],
        ["export", "base.json", "-o", "cases.csv"],
        ["export", "base.json", "--table", "comparisons", "-o", "comparisons.csv"],
        ["claims", "base.json"],
    ],
    ids=" ".join,
)
def test_other_commands_take_such_a_run(arguments: list[str]) -> None:
    assert main(arguments) == 0


def test_a_case_in_a_group_has_no_command_that_calls_it_alone() -> None:
    by_id = {record["case"]["id"]: record for record in made().records}
    assert hand_offs(made().about, by_id[f"{STEP} ddp cpu eager fp32 ranks2"]) == []
    assert hand_offs(made().about, by_id[f"{STEP} plain cpu eager fp32 ranks1"])
    assert "it runs in a group of processes" in with_details(page_of(several))


def test_charts_draw_what_is_known() -> None:
    page = of_page(made())
    assert page is not None
    strong, weak = page.curves
    assert [words for _, words in strong.keys] == ["local (without communication)", "ddp", "fsdp", "ideal"]
    assert "fsdp: 25 % (" in strong.alternative
    assert [words for _, words in weak.keys] == ["ddp", "accumulated", "ideal"]
    (bus,) = page.bandwidths
    assert "Bus bandwidth of distributed.all_reduce" in bus.alternative
