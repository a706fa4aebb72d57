"""The index of a folder's runs: what is read again and what is not, and what becomes of files that are no runs."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("pyarrow", reason="needs pip install 'torchduet[history]'")

import pyarrow.parquet as pq

from tests.reports.made_history import make_history
from torchduet.bench.record.schema import KEY
from torchduet.reports.history import collect as module
from torchduet.reports.history import reader
from torchduet.reports.history.collect import Collection, FolderError, collect
from torchduet.reports.history.index import COLUMNS, MARK, NAME, locations
from torchduet.reports.history.reader import BAD, OTHER, RUN, read
from torchduet.reports.read.run_file import load, runs_of


@pytest.fixture
def folder(shared_document: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with three runs, one of them in a folder of its own."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    runs = tmp_path / "runs"
    (runs / "ci" / "17").mkdir(parents=True)
    first, *_ = make_history(runs, shared_document, 3)
    first.rename(runs / "ci" / "17" / "run.json")
    return runs


def paths(folder: Path) -> list[str]:
    return list(collect(folder).runs["path"].to_pylist())


def told(found: Collection) -> str:
    """All of the runs; as text, because NaN is not itself."""
    return repr(found.runs.to_pylist())


def make_read_only(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Played, as whoever runs the tests may write anywhere."""
    real = module.index._replace

    def refused(table: Any, target: Path) -> None:
        if target.parent == folder:
            raise PermissionError(13, "Permission denied")
        real(table, target)

    monkeypatch.setattr(module.index, "_replace", refused)


def test_runs_are_found_in_all_folders_in_the_order_of_time(folder: Path) -> None:
    assert paths(folder) == ["ci/17/run.json", "0001.json", "0002.json"]


def test_only_new_and_changed_files_are_read_and_removed_ones_vanish(folder: Path, shared_document: Any) -> None:
    assert collect(folder).fresh == 3
    assert collect(folder).fresh == 0
    make_history(folder, shared_document, 1, begin=3)
    found = collect(folder)
    assert found.fresh == 1
    assert len(found.runs) == 4
    make_history(folder, shared_document, 1, begin=3, slower=lambda _: {"tensor_ops.add[n=65536]": 2.0})
    before = found.runs["seconds"].to_pylist()[3][0]
    found = collect(folder)
    assert found.fresh == 1
    assert found.runs["seconds"].to_pylist()[3][0] == pytest.approx(2 * before, rel=0.1)
    (folder / "0001.json").unlink()
    assert collect(folder).fresh == 0
    assert paths(folder) == ["ci/17/run.json", "0002.json", "0003.json"]


def test_a_run_from_the_index_is_what_was_read(folder: Path) -> None:
    assert told(collect(folder)) == told(collect(folder))
    (entry,) = read(folder, "0002.json")
    assert entry
    run = load(folder / "0002.json")
    assert entry.case == tuple(one["case"]["id"] for one in run.records)
    assert entry.seconds == tuple(one["timing"]["seconds"] for one in run.records)
    held = next(one for one in run.records if one["speedups"])
    assert entry.speedup[run.records.index(held)] == held["speedups"][0]["ratio"]
    assert json.loads(entry.facts)["torch"] == "2.9.1"


@pytest.mark.parametrize("damage", ["cut", "flipped", "text", "version", "columns"])
def test_a_damaged_index_is_made_anew_with_a_note(folder: Path, damage: str) -> None:
    collect(folder)
    index = folder / NAME
    content = index.read_bytes()
    if damage == "cut":
        index.write_bytes(content[: len(content) // 2])
    elif damage == "flipped":
        middle = len(content) // 3
        index.write_bytes(
            content[:middle] + bytes(one ^ 0xFF for one in content[middle : middle + 64]) + content[middle + 64 :]
        )
    elif damage == "text":
        index.write_text("not an index")
    else:
        table = pq.read_table(index)
        pq.write_table(
            table.replace_schema_metadata({MARK: b"0"}) if damage == "version" else table.drop_columns(["case"]), index
        )
    found = collect(folder)
    assert found.fresh == 3
    assert len(found.runs) == 3
    assert any("read again" in note for note in found.notes)
    assert collect(folder).notes == ()


def test_an_index_is_whole_or_as_it_was(folder: Path, monkeypatch: pytest.MonkeyPatch, shared_document: Any) -> None:
    collect(folder)
    before = (folder / NAME).read_bytes()
    make_history(folder, shared_document, 1, begin=3)

    def full(*_: Any, **__: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(pq, "write_table", full)
    found = collect(folder)
    assert len(found.runs) == 4
    assert "No space left on device; without an index, all runs are read again" in found.notes[0]
    assert (folder / NAME).read_bytes() == before
    assert [path.name for path in folder.iterdir() if path.name.startswith(".")] == []


def test_the_index_lies_in_the_users_cache_where_the_folder_cannot_be_written(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_read_only(folder, monkeypatch)
    assert collect(folder).notes == ()
    assert locations(folder)[1].is_file()
    assert not (folder / NAME).exists()
    assert collect(folder).fresh == 0


def test_a_bad_file_among_good_ones_is_named_and_remembered(folder: Path) -> None:
    document = json.loads((folder / "0001.json").read_text())
    document["benchmarks"][3]["extra_info"][KEY]["timing"]["blocks"][2][1] = -1.0
    document[KEY]["started"] = "2026-02-01T03:00:00+00:00"
    (folder / "one-case.json").write_text(json.dumps(document))
    document[KEY]["seconds"]["total"] = None
    (folder / "negative.json").write_text(json.dumps(document))
    (folder / "cut.json").write_text((folder / "0001.json").read_text()[:5000])
    (folder / "empty.json").write_text("")
    (folder / "list.json").write_text("[1, 2]")
    (folder / "other.json").write_text('{"benchmarks": [{"name": "a", "stats": {}}]}')
    found = collect(folder)
    assert len(found.runs) == 4
    assert [path for path, _ in found.bad] == ["cut.json", "empty.json", "negative.json"]
    assert "torchduet.seconds.total: expected a finite number, got null" in found.bad[2][1]
    (note,) = found.notes
    assert note.startswith("one-case.json: ")
    assert "benchmarks[3].extra_info.torchduet.timing.blocks[2][1]: expected a number above 0" in note
    assert [path for path, _ in found.others] == ["list.json", "other.json"]
    again = collect(folder)
    assert again.fresh == 0
    assert (again.bad, again.others) == (found.bad, found.others)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda record: record["timing"].update(seconds=True),
        lambda record: record["timing"].update(seconds="1"),
        lambda record: record["timing"].update(seconds=float("nan")),
        lambda record: record["timing"].update(calls_per_block=1.5),
        lambda record: record["case"].update(id="\ud800"),
        lambda record: record["case"].pop("family"),
        lambda record: record["timing"].update(high=None),
        lambda record: record.update(schema=99),
        lambda record: record["notes"].append(None),
        lambda record: record["cost"].update(flops=None),
    ],
)
def test_the_quick_reader_refuses_what_the_thorough_one_refuses(spoil: Any, document: Any, tmp_path: Path) -> None:
    spoil(document["benchmarks"][1]["extra_info"][KEY])
    path = tmp_path / "spoiled.json"
    path.write_text(json.dumps(document))
    (entry,) = read(tmp_path, path.name)
    assert entry
    if document["benchmarks"][1]["extra_info"][KEY]["schema"] != 99:
        assert entry.kind == RUN
        (case,) = load(path).unreadable
        assert case["reason"] in entry.why
        assert len(entry.case) == len(document["benchmarks"]) - 1
        return
    assert entry.kind == BAD
    with pytest.raises(Exception, match=r"spoiled\.json") as error:
        load(path)
    assert str(error.value) == f"{path}: {entry.why}"


def test_the_quick_reader_accepts_what_the_thorough_one_accepts(
    document: Any, rich_document: Any, tmp_path: Path
) -> None:
    document["benchmarks"][0]["extra_info"][KEY]["timing"]["blocks"][0][0] = 1
    document["benchmarks"][0]["extra_info"][KEY]["of a later version"] = {"anything": [None]}
    document["benchmarks"].append({"name": "another's", "extra_info": {"torchvision": 1}})
    for name, content in (("a.json", json.dumps(document)), ("b.json", "\ufeff" + json.dumps(rich_document))):
        (tmp_path / name).write_text(content, "utf-8")
        (entry,) = read(tmp_path, name)
        assert entry
        assert entry.kind == RUN
        assert len(entry.case) == len(load(tmp_path / name).records)


def test_copies_of_a_run_are_noticed_however_they_are_formatted(folder: Path) -> None:
    document = json.loads((folder / "0001.json").read_text())
    (folder / "z-copy.json").write_text(json.dumps(document, indent=4))
    shutil.copy(folder / "0001.json", folder / "ci" / "again.json")
    found = collect(folder)
    assert len(found.runs) == 3
    assert sorted(found.copies) == [("ci/again.json", "0001.json"), ("z-copy.json", "0001.json")]


def test_a_run_that_was_resumed_counts_once(folder: Path) -> None:
    document = json.loads((folder / "0001.json").read_text())
    document["benchmarks"] = document["benchmarks"][:20]
    document[KEY]["stopped"] = "Ctrl-C"
    (folder / "before.json").write_text(json.dumps(document))
    another = json.loads(json.dumps(document))  # began in the same second, elsewhere
    another["benchmarks"][3]["extra_info"][KEY]["timing"]["seconds"] *= 1.001
    (folder / "another.json").write_text(json.dumps(another))
    found = collect(folder)
    assert found.parts == (("before.json", "0001.json"),)
    assert found.runs["path"].to_pylist() == ["ci/17/run.json", "0001.json", "another.json", "0002.json"]


def test_what_could_not_be_opened_once_is_tried_again(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rights change without the file's time of change; being refused is played, as root may read anything."""
    real = os.open

    def refused(path: Any, *arguments: Any, **options: Any) -> Any:
        if str(path).endswith("0001.json"):
            raise PermissionError(13, "Permission denied")
        return real(path, *arguments, **options)

    with monkeypatch.context() as patch:
        patch.setattr(os, "open", refused)
        assert collect(folder).bad == (("0001.json", "cannot be read: Permission denied"),)
    found = collect(folder)
    assert found.bad == ()
    assert len(found.runs) == 3


def test_a_folder_that_cannot_be_read_is_named(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.scandir

    def refused(path: Any) -> Any:
        if str(path).endswith("17"):
            raise PermissionError(13, "Permission denied", str(path))
        return real(path)

    monkeypatch.setattr(os, "scandir", refused)
    found = collect(folder)
    assert found.bad == (("ci/17", "this folder cannot be read: Permission denied"),)
    assert len(found.runs) == 2


def test_what_another_version_could_not_read_is_read_again_and_runs_are_not(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "bad.json").write_text("{")
    assert collect(folder).fresh == 4
    known = module.index.COLUMNS.metadata | {module.index.READER: b"2.0 2"}
    monkeypatch.setattr(module.index, "COLUMNS", COLUMNS.with_metadata(known))
    found = collect(folder)
    assert (found.fresh, found.notes) == (1, ())
    assert collect(folder).fresh == 0


def test_the_later_index_counts_where_a_folder_became_read_only(
    folder: Path, shared_document: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    collect(folder)
    make_history(folder, shared_document, 1, begin=3)
    make_read_only(folder, monkeypatch)
    os.utime(folder / NAME, (0, 0))
    assert collect(folder).fresh == 1
    assert collect(folder).fresh == 0


def test_a_large_file_of_another_tool_is_not_decoded(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "trace.json").write_text('{"traceEvents": [' + ", ".join(['{"ph": "X"}'] * 100_000) + "]}")
    decoded = []

    def counted(content: bytes, name: str) -> Any:
        decoded.append(name)
        return runs_of(content, name)

    monkeypatch.setattr(reader, "runs_of", counted)
    assert [path for path, _ in collect(folder).others] == ["trace.json"]
    assert sorted(decoded) == ["0001.json", "0002.json", "run.json"]


def test_a_run_without_a_date_stands_where_its_file_was_changed(folder: Path) -> None:
    document = json.loads((folder / "0002.json").read_text())
    document[KEY]["started"] = "yesterday"
    path = folder / "undated.json"
    path.write_text(json.dumps(document))
    moment = 1767600000.0  # between the first and the second
    os.utime(path, (moment, moment))
    found = collect(folder)
    assert found.undated == ("undated.json",)
    assert found.runs["path"].to_pylist()[1] == "undated.json"


def test_many_files_are_shared_among_processes(
    shared_document: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_history(tmp_path, shared_document, 4)
    (tmp_path / "bad.json").write_text("{")
    alone = collect(tmp_path)
    (tmp_path / NAME).unlink()
    monkeypatch.setattr(module, "MIN_PARALLEL", 2)
    shared = collect(tmp_path)
    assert told(shared) == told(alone)
    assert shared.bad == alone.bad


def test_a_folder_without_a_history_is_refused_in_one_line(tmp_path: Path) -> None:
    def why(folder: Path) -> str:
        with pytest.raises(FolderError) as error:
            collect(folder)
        return str(error.value)

    (tmp_path / "empty").mkdir()
    assert "empty: holds no JSON file" in why(tmp_path / "empty")
    assert "none: no such folder" in why(tmp_path / "none")
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "one.json").write_text("{")
    (tmp_path / "bad" / "two.json").write_text("")
    assert "none of its 2 JSON files can be used; one.json: is broken or truncated JSON" in why(tmp_path / "bad")
    assert "one.json: is a file, not a folder" in why(tmp_path / "bad" / "one.json")
    (tmp_path / "others").mkdir()
    (tmp_path / "others" / "package.json").write_text("{}")
    assert "is a run of Torchduet; package.json: has no" in why(tmp_path / "others")


def test_names_that_are_no_text_are_named_not_read(folder: Path) -> None:
    try:
        (folder / os.fsdecode(b"caf\xe9.json")).write_text("{}")
    except OSError:
        pytest.skip("this file system has no such names")
    found = collect(folder)
    assert found.bad[-1][0] == "caf\\udce9.json"
    assert len(found.runs) == 3


def test_every_column_has_a_type() -> None:
    assert COLUMNS.metadata[MARK]
    assert set(COLUMNS.names) >= {"path", "size", "modified", "kind"}
    assert OTHER != BAD
