"""What the commands make of merged files: one run for each machine, and a page that says what it was merged of."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from html import unescape
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from tests.merge.made_parts import ANOTHER_CPU, about, copy, families_of, named, part, records, shards
from tests.reports.refusals import refused
from tests.reports.sample import make_run
from torchduet.__main__ import main
from torchduet.bench.merge.merging import merged
from torchduet.bench.record.machines.key import key_of
from torchduet.bench.record.schema import KEY
from torchduet.reports.commands.closing import closing
from torchduet.reports.findings.advice import answers_of
from torchduet.reports.findings.loaders import choices
from torchduet.reports.findings.merged import merged as section_of
from torchduet.reports.findings.unmeasured import unmeasured
from torchduet.reports.html.run_page import render
from torchduet.reports.markdown.run import markdown
from torchduet.reports.read.pytest_benchmark import load_any
from torchduet.reports.read.run_file import RunFileError, from_json, load, load_all
from torchduet.reports.tables.frames import frames

HERE, THERE = key_of(about(part(1))), key_of(about(part(2, machine=ANOTHER_CPU)))


def written(document: Any, path: Path) -> Path:
    path.write_text(json.dumps(document), "utf-8")
    return path


@pytest.fixture
def fleet(tmp_path: Path) -> Path:
    """A file of two machines, the first of which has two parts."""
    documents = [part(1), part(2, machine=ANOTHER_CPU), part(3)]
    return written(merged(named(*documents)), tmp_path / "fleet.json")


def test_every_machine_of_a_file_is_a_run(fleet: Path) -> None:
    runs = load_all(fleet)
    assert [run.machine for run in runs] == [HERE, THERE]
    assert [len(run.records) for run in runs] == [56, 56]
    assert [len(run.about["parts"]) for run in runs] == [2, 1]
    assert all(key_of(run.about) == run.machine for run in runs)
    assert {run.other_benchmarks for run in runs} == {0}


def test_a_file_of_one_machine_is_one_run(tmp_path: Path) -> None:
    (run,) = load_all(written(part(1), tmp_path / "run.json"))
    assert run.machine == HERE


def test_the_closing_lines_are_the_answer_of_the_page_or_of_the_machines(
    fleet: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    of_one = closing(str(written(part(1), tmp_path / "run.json")))
    title, _, lead, *_ = markdown(load(tmp_path / "run.json")).splitlines()
    marks = re.compile(r"[`\\]")  # of Markdown
    run = load(tmp_path / "run.json")
    given = answers_of(run, frames(run).comparisons, choices(run))
    assert of_one[:2] == [marks.sub("", title.removeprefix("## Torchduet: ")), f"  {marks.sub('', unescape(lead))}"]
    assert [line.split(":")[0].strip() for line in of_one[2:]] == [answer.title.replace("`", "") for answer in given]
    assert main(["machines", str(fleet), "--prices", "-"]) == 0
    of_two = closing(str(fleet))
    assert len(of_two) > 1
    assert capsys.readouterr().out.splitlines()[: len(of_two)] == of_two


def test_a_machine_is_chosen_by_its_key_or_its_name(fleet: Path) -> None:
    assert load(fleet, machine=THERE).about["machine"]["cores"] == 4
    assert load_any(fleet, "another cpu").machine == THERE


def test_without_a_choice_the_machines_are_named(fleet: Path) -> None:
    with pytest.raises(RunFileError, match=rf"2 machines; choose one with --machine KEY: {HERE} \(Example CPU"):
        load(fleet)
    with pytest.raises(RunFileError, match="--machine nothing: none of its machines is meant by that"):
        load(fleet, machine="nothing")
    with pytest.raises(RunFileError, match="--machine CPU: 2 of its machines are meant by that"):
        load(fleet, machine="CPU")


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (lambda document: document[KEY].update(machines={}), "torchduet.machines: expected an object with a run"),
        (lambda document: document.pop("benchmarks"), "benchmarks: expected a list"),
        (lambda document: document[KEY].update(machines=[1]), "torchduet.machines: expected an object with a run"),
        (
            lambda document: document[KEY]["machines"][HERE].pop("started"),
            f"machine '{HERE}': torchduet.started: missing",
        ),
        (
            lambda document: document["benchmarks"][3]["extra_info"][KEY].update(machine="other"),
            "benchmarks[3].extra_info.torchduet.machine: expected a key of torchduet.machines, got 'other'",
        ),
        (
            lambda document: document["benchmarks"][3]["extra_info"][KEY].pop("machine"),
            "benchmarks[3].extra_info.torchduet.machine: expected a key of torchduet.machines, got null",
        ),
    ],
)
def test_what_is_wrong_with_a_file_of_several_machines_is_named(spoil: Any, says: str, fleet: Path) -> None:
    document = json.loads(fleet.read_text())
    spoil(document)
    with pytest.raises(RunFileError) as error:
        load_all(written(document, fleet))
    assert says in str(error.value)


def test_a_case_that_cannot_be_read_is_one_that_failed_on_its_machine(fleet: Path) -> None:
    document = json.loads(fleet.read_text())
    del document["benchmarks"][60]["extra_info"][KEY]["timing"]
    one, other = load_all(written(document, fleet))
    assert (len(one.records), len(other.records)) == (56, 55)
    assert "benchmarks[60]" in other.about["failed"][-1]["reason"]


def test_the_page_of_a_merged_run_says_what_it_was_merged_of() -> None:
    documents = [copy(document) for document in shards(3)]
    documents[1][KEY] |= {"noise": {"grade": "noisy", "causes": []}, "stopped": "stopped by SIGTERM"}
    run = from_json(json.loads(json.dumps(merged(named(*documents)))))
    section = section_of(run)
    assert section is not None
    assert section.title == "Measured on 3 machines of one kind"
    assert [(row.node, row.shard, row.noise) for row in section.parts] == [
        ("node-1", "1/3", ""),
        ("node-2", "2/3", "noisy"),
        ("node-3", "3/3", ""),
    ]
    page = render(run)
    assert "Measured on 3 machines of one kind" in page
    assert "This run was merged of 3 runs, which together took 21\u00a0min" in page
    assert "stopped by SIGTERM" in page
    assert "budget seconds of each run" in page
    assert (
        "The runs that were merged made <strong>4 visits to each measured family</strong>, each by a fresh process"
        in page
    )
    assert "runs of the same code on machines of this kind" in page
    assert "Measured on 3 machines of one kind (3 runs, 21 min together)" in markdown(run)


def test_the_line_under_the_title_says_of_how_many_shards_a_run_was_merged() -> None:
    def line(*documents: Any, **options: Any) -> str:
        page = render(from_json(json.loads(json.dumps(merged(named(*documents), **options)))))
        (found,) = re.findall(r'<p class="machine">(.*)</p>', page.partition("<main>")[0])
        return str(found)

    assert line(*shards(3)).endswith(' · <a href="#merged">merged from 3 shards</a>')
    assert ">merged from 2 of 3 shards<" in line(*shards(3)[:2], missing_ok=True)
    assert ">merged from 2 runs<" in line(part(1), part(3))
    assert "merged" not in line(part(1))


def test_a_reason_that_several_parts_give_is_written_once() -> None:
    def reasons(*documents: Any) -> list[str]:
        run = from_json(json.loads(json.dumps(merged(named(*documents)))))
        return [reason.words for group in unmeasured(run) if group.status == "failed" for reason in group.reasons]

    def failing(seed: int, reason: str) -> Any:
        document = copy(part(seed))
        entry = document[KEY]["failed"][0]
        entry["reason"] = f"{entry['case']['id']}: {reason}"
        return document

    (alike,) = reasons(*(failing(seed, "the worker died (signal 9)") for seed in (1, 2, 3)))
    assert alike == "the worker died (signal 9) (in 3 parts)"
    (other,) = reasons(failing(1, "died"), failing(2, "hung"), failing(3, "died"))
    assert other == "died (in 2 parts); hung (in the run on node-2)"
    assert reasons(part(1)) == [from_json(part(1)).about["failed"][0]["reason"]]


def test_a_run_that_was_not_merged_has_no_such_section() -> None:
    alone = from_json(json.loads(json.dumps(merged(named(part(1))))))
    for run in (from_json(part(1)), alone):
        assert section_of(run) is None
        assert 'id="merged"' not in render(run)


def test_parts_that_are_less_alike_than_their_facts_say_are_named() -> None:
    slower = dict.fromkeys(families_of(make_run()), 1.5)
    same = section_of(from_json(json.loads(json.dumps(merged(named(part(1), part(2)))))))
    documents = [part(1), part(2, slower=slower), part(3)]
    other = section_of(from_json(json.loads(json.dumps(merged(named(*documents))))))
    assert same is not None
    assert other is not None
    assert not any("less alike" in sentence for sentence in same.sentences)
    (sentence,) = [sentence for sentence in other.sentences if "less alike" in sentence]
    assert re.search(r"took 1\.[45]\d× as long on node-2 as on node-[13], in the median", sentence)


def test_a_machine_of_a_file_is_rendered_exported_and_judged(fleet: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output = fleet.with_name("page.html")
    assert main(["render", str(fleet), "--machine", THERE, "-o", str(output)]) == 0
    assert "Another CPU" in output.read_text("utf-8")
    assert main(["claims", str(fleet), "--machine", HERE]) == 0
    capsys.readouterr()
    assert "--machine KEY" in refused(capsys, "claims", str(fleet))


def test_a_file_of_several_machines_is_rendered_as_their_page(fleet: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page, brief = fleet.with_name("page.html"), fleet.with_name("page.md")
    assert main(["render", str(fleet), "-o", str(page), "--markdown", str(brief)]) == 0
    assert capsys.readouterr().out.split() == [str(page), str(brief)]
    assert "no machine is surely the fastest" in brief.read_text("utf-8")
    assert "Another CPU" in page.read_text("utf-8")
    assert "2 machines" in page.read_text("utf-8")  # the first has two parts
    output = fleet.with_name("machines.html")
    assert main(["machines", str(fleet), "-o", str(output)]) == 0
    assert output.read_text("utf-8") == page.read_text("utf-8")


def test_no_comment_is_written_on_several_machines(fleet: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "duet" in refused(capsys, "render", str(fleet), "--comment", "-")


def test_an_exported_table_has_all_machines_with_their_keys(fleet: Path) -> None:
    for table in ("cases", "comparisons", "samples", "unmeasured"):
        output = fleet.with_name("table.csv")
        assert main(["export", str(fleet), "--table", table, "-o", str(output)]) == 0
        frame = pd.read_csv(output, dtype={"machine": str})
        assert set(frame["machine"]) == {HERE, THERE}
        assert list(frame)[:3] == ["run", "started", "machine"]
        assert main(["export", str(fleet), "--table", table, "--machine", THERE, "-o", str(output)]) == 0
        alone = pd.read_csv(output, dtype={"machine": str})
        assert alone.equals(frame[frame["machine"] == THERE].reset_index(drop=True)[list(alone)].astype(alone.dtypes))
    output = fleet.with_name("table.parquet")
    assert main(["export", str(fleet), "-o", str(output)]) == 0
    assert len(pd.read_parquet(output)) == 112


def test_runs_are_compared_by_the_machine_that_they_have_in_common(
    fleet: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    base = written(part(7), tmp_path / "base.json")
    assert main(["compare", str(base), str(fleet)]) == 0
    out, err = capsys.readouterr()
    assert "different machines" not in out
    assert f"fleet.json: holds 1 more machine, which is not compared: {THERE} (Another CPU" in err
    assert main(["compare", str(fleet), str(base)]) == 0
    assert main(["compare", str(base), str(fleet), "--machine", THERE]) == 0
    assert "different machines" in capsys.readouterr().out


def test_which_machines_are_compared_must_be_clear(
    fleet: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = written(merged(named(part(8), part(9, machine=ANOTHER_CPU))), tmp_path / "other.json")
    assert "2 machines are in all files; choose one with --machine KEY" in refused(
        capsys, "compare", str(fleet), str(other)
    )
    assert main(["compare", str(fleet), str(other), "--machine", HERE]) == 0
    capsys.readouterr()
    third = written(part(9, machine={"cpu": "A third"}), tmp_path / "third.json")
    assert "none of which is in all files" in refused(capsys, "compare", str(third), str(fleet))


def test_pytest_benchmark_reads_a_merged_file(fleet: Path) -> None:
    for path in (fleet, written(merged(named(part(1), part(3))), fleet.with_name("one.json"))):
        for command in (["compare", str(path)], ["list"]):
            done = subprocess.run(
                [sys.executable, "-m", "pytest_benchmark", *command],
                capture_output=True,
                text=True,
                check=False,
                cwd=fleet.parent,
                env=os.environ | {"COLUMNS": "300"},
            )
            assert done.returncode == 0, done.stderr
            if command[0] == "compare":
                assert done.stdout.count("test_mlp") >= 24
                assert "Traceback" not in done.stderr


def test_a_history_has_a_run_on_each_machine_and_parts_count_once(
    fleet: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from torchduet.reports.history.collect import collect
    from torchduet.reports.history.series import histories

    written(part(1), fleet.with_name("shard.json"))
    written(part(7), fleet.with_name("later.json"))
    for _ in range(2):  # the second time from the index
        found = collect(fleet.parent)
        assert found.merged == (("shard.json", "fleet.json"),)
        by_key = {history.machine.key: [run.path for run in history.runs] for history in histories(found.runs)}
        assert by_key == {HERE: ["fleet.json", "later.json"], THERE: ["fleet.json"]}
    assert found.fresh == 0
    assert main(["history", str(fleet.parent), "-o", str(fleet.with_name("history.html"))]) == 0
    page = fleet.with_name("history.html").read_text("utf-8")
    assert "Parts of a merged run" in page
    assert "is in fleet.json, which counts" in page
    capsys.readouterr()
    assert records(json.loads(fleet.read_text()), HERE)
