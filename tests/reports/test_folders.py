"""Hidden folders: those of pytest-benchmark hold runs and are searched; others are named where nothing is found."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.reports.refusals import refused
from torchduet.__main__ import main
from torchduet.reports.history.collect import FolderError, collect
from torchduet.reports.read.folders import latest_file

STORED = "Linux-CPython-3.12-64bit/0001_0123456789abcdef_20260301_093000.json"


def store(document: Any, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document))


@pytest.mark.parametrize("storage", [".benchmarks", ".results", "deep/er/.benchmarks", "deep/.hidden"])
def test_runs_in_a_storage_of_pytest_benchmark_are_found(storage: str, shared_document: Any, tmp_path: Path) -> None:
    store(shared_document, tmp_path / storage / STORED)
    assert collect(tmp_path).runs["path"].to_pylist() == [f"{storage}/{STORED}"]


def test_a_hidden_folder_that_is_named_is_searched(shared_document: Any, tmp_path: Path) -> None:
    store(shared_document, tmp_path / ".benchmarks" / STORED)
    store(shared_document, tmp_path / ".mine" / "run.json")
    assert collect(tmp_path / ".benchmarks").runs["path"].to_pylist() == [STORED]
    assert collect(tmp_path / ".mine").runs["path"].to_pylist() == ["run.json"]


def test_other_hidden_folders_are_left_out_and_named_if_nothing_is_found(shared_document: Any, tmp_path: Path) -> None:
    for name in (".git", ".venv", ".nox", ".tox", ".ipynb_checkpoints"):
        store(shared_document, tmp_path / name / "run.json")
    with pytest.raises(FolderError, match=r"holds no JSON file.*; 5 hidden folders were not searched \(\.git, .*…\)"):
        collect(tmp_path)
    store(shared_document, tmp_path / "run.json")
    assert collect(tmp_path).runs["path"].to_pylist() == ["run.json"]


@pytest.mark.parametrize("command", ["render", "export", "claims"])
def test_a_command_that_wants_a_file_names_one_in_the_folder(
    command: str,
    shared_document: Any,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert "name the run's JSON file in it\n" in refused(capsys, command, ".")
    store(shared_document, tmp_path / ".benchmarks" / STORED)
    assert f"e.g. .benchmarks/{STORED}" in refused(capsys, command, ".")
    assert f"e.g. .benchmarks/{STORED}" in refused(capsys, "compare", f".benchmarks/{STORED}", ".")


def test_history_reads_what_autosave_has_written(
    shared_document: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    store(shared_document, tmp_path / ".benchmarks" / STORED)
    assert main(["history", "."]) == 0


def test_a_folder_without_files_has_no_latest(tmp_path: Path) -> None:
    assert latest_file(tmp_path) == ""
