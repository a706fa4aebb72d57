"""``torchduet merge``: files in, one file out; what cannot be merged is refused in one line, and nothing is lost."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from tests.merge.made_parts import ANOTHER_CPU, about, copy, part, records, shards
from tests.reports.made_journal import made_journal
from tests.reports.refusals import refused
from tests.reports.test_journal import written as journal_of
from torchduet.__main__ import main
from torchduet.bench.record.schema import KEY
from torchduet.reports.read import run_file
from torchduet.reports.read.documents import load_document


def written(folder: Path, *documents: Any) -> list[str]:
    """The paths of files with these documents."""
    paths = [folder / f"shard-{at + 1}.json" for at in range(len(documents))]
    for path, document in zip(paths, documents, strict=True):
        path.write_text(json.dumps(document), "utf-8")
    return [str(path) for path in paths]


def test_shards_become_one_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output = tmp_path / "run.json"
    assert main(["merge", *written(tmp_path, *shards(3)), "-o", str(output)]) == 0
    assert capsys.readouterr() == (f"{output}\n", "")
    run = run_file.load(output)
    assert len(run.records) == 56
    assert [part["shard"] for part in run.about["parts"]] == ["1/3", "2/3", "3/3"]
    assert run.commit == "0123456789ab"


def test_notes_are_printed_beside_the_result(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    paths = written(tmp_path, part(1), part(2, machine=ANOTHER_CPU), part(1))
    assert main(["merge", *paths, "-o", "-"]) == 0
    out, err = capsys.readouterr()
    assert len(json.loads(out)[KEY]["machines"]) == 2
    assert "note: shard-3.json is left out: what it holds is in shard-1.json, too, and counts once\n" in err
    assert "is of another kind than" in err


def test_missing_shards_are_refused_or_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    paths, output = written(tmp_path, *shards(4)[1:]), tmp_path / "run.json"
    assert "shard 1 of 4 is missing (--missing-ok merges the others)" in refused(
        capsys, "merge", *paths, "-o", str(output)
    )
    assert not output.exists()
    assert main(["merge", *paths, "-o", str(output), "--missing-ok"]) == 0
    assert "note: shard 1 of 4 is missing" in capsys.readouterr().err
    assert run_file.load(output).about["missing_shards"] == ["1/4"]


def test_differences_are_refused_with_the_names_of_the_files(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    paths = written(tmp_path, part(1), part(2, options={"threads": 2}, machine={"torch": "2.8.0"}))
    says = refused(capsys, "merge", *paths, "-o", str(tmp_path / "run.json"))
    assert "PyTorch: 2.9.1 in shard-1.json, 2.8.0 in shard-2.json" in says
    assert "threads: 1 in shard-1.json, 2 in shard-2.json" in says


def test_all_files_that_cannot_be_used_are_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    later = copy(part(2))
    later[KEY]["schema"] = 99
    plain = {"benchmarks": [{"name": "a", "stats": {"median": 1.0}, "extra_info": {}}]}
    paths = written(tmp_path, part(1), later, plain)
    broken = tmp_path / "broken.json"
    broken.write_text("{")
    says = refused(capsys, "merge", *paths, str(broken), str(tmp_path / "none.json"), "-o", str(tmp_path / "run.json"))
    assert "shard-2.json: torchduet.schema: version 99 needs a newer Torchduet" in says
    assert "shard-3.json: was written by pytest-benchmark without Torchduet's records" in says
    assert "broken.json: is broken or truncated JSON" in says
    assert "none.json: no such file" in says
    assert not (tmp_path / "run.json").exists()


def test_an_input_is_never_overwritten(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    paths = written(tmp_path, *shards(2))
    before = Path(paths[0]).read_bytes()
    assert "would be lost" in refused(capsys, "merge", *paths, "-o", paths[0])
    assert Path(paths[0]).read_bytes() == before


def test_a_full_disk_leaves_an_earlier_file_as_it_was(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    paths, output = written(tmp_path, *shards(2)), tmp_path / "run.json"
    output.write_text("earlier")
    monkeypatch.setattr(os, "fsync", full)
    assert "No space left" in refused(capsys, "merge", *paths, "-o", str(output))
    assert output.read_text() == "earlier"
    assert {path.name for path in tmp_path.iterdir()} == {"shard-1.json", "shard-2.json", "run.json"}


def test_the_journal_of_a_run_that_was_cut_short_is_merged(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    document = part(2)
    journal = journal_of(tmp_path / "shard-2.json.journal", made_journal(document))
    cut = load_document(journal)
    assert 0 < len(records(cut)) < len(records(document))
    unreached = about(cut)["unreached"]
    alone = tmp_path / "alone.json"
    assert main(["merge", str(journal), "-o", str(alone)]) == 0
    run = run_file.load(alone)
    assert list(run.about["unreached"]) == unreached
    assert run.about["stopped"] == "its run was cut short"
    resumed = tmp_path / "resumed.json"
    assert main(["merge", str(journal), *written(tmp_path, document), "-o", str(resumed)]) == 0
    assert "shard-2.json.journal is left out: it is an earlier state" in capsys.readouterr().err
    whole = tmp_path / "whole.json"
    assert main(["merge", str(alone), *written(tmp_path, part(1)), "-o", str(whole)]) == 0
    assert run_file.load(whole).about["unreached"] == []
    capsys.readouterr()


def test_cases_that_cannot_be_read_are_among_those_that_failed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    spoiled = copy(part(2))
    del spoiled["benchmarks"][5]["extra_info"][KEY]["timing"]
    output = tmp_path / "run.json"
    assert main(["merge", *written(tmp_path, spoiled), "-o", str(output)]) == 0
    run = run_file.load(output)
    assert len(run.records) == 55
    assert "its record cannot be read" in run.about["failed"][-1]["reason"]
    capsys.readouterr()


def test_traces_are_found_from_the_new_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    document = copy(part(1))
    profile = {"trace": "traces/a/trace.json.gz", "calls": 3, "seconds": 1.0, "plain_seconds": 1.0, "stacks": False}
    document["benchmarks"][0]["extra_info"][KEY]["profile"] = profile
    (tmp_path / "shards").mkdir()
    paths, output = written(tmp_path / "shards", document), tmp_path / "run.json"
    assert main(["merge", *paths, "-o", str(output)]) == 0
    record = run_file.load(output).records[0]
    assert record["profile"]["trace"] == "shards/traces/a/trace.json.gz"
    capsys.readouterr()


def test_each_file_is_decoded_once_and_each_record_checked_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The work is linear in the number of records."""
    from torchduet.bench.merge import merging
    from torchduet.reports.read import documents

    decoded, checked = list[Any](), list[Any]()
    monkeypatch.setattr(documents, "document_of", _counted(documents.document_of, decoded))
    monkeypatch.setattr(merging, "check_meaning", _counted(merging.check_meaning, checked))
    paths = written(tmp_path, *shards(5))
    assert main(["merge", *paths, "-o", str(tmp_path / "run.json")]) == 0
    assert (len(decoded), len(checked)) == (5, 56)
    capsys.readouterr()


def _counted(function: Any, calls: list[Any]) -> Any:
    def counting(*arguments: Any) -> Any:
        calls.append(arguments)
        return function(*arguments)

    return counting
