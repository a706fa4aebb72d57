"""``torchduet compare --fail-on``: the exit code for each ground, alone and with others."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.reports.remeasured import remeasured
from tests.reports.test_compare_memory import MIB, SOFTMAX, SQUARE, with_peaks
from torchduet.__main__ import main

NOTE = "note: no case of {} has its peak memory in both runs, so nothing is known of memory"


@pytest.fixture
def folder(shared_document: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A base; a run of which a case needs more; one of which a case is slower; one without peaks."""
    for name, document in {
        "base": with_peaks(remeasured(shared_document, 1), {}),
        "same": with_peaks(remeasured(shared_document, 2), {}),
        "more": with_peaks(remeasured(shared_document, 3), {SOFTMAX: 3 * MIB}),
        "less": with_peaks(remeasured(shared_document, 4), {SOFTMAX: MIB // 4}),
        "slower": with_peaks(remeasured(shared_document, 5, slower={SQUARE: 1.3}), {}),
        "both": with_peaks(remeasured(shared_document, 6, slower={SQUARE: 1.3}), {SOFTMAX: 3 * MIB}),
        "new": remeasured(shared_document, 7),
        "slower_new": remeasured(shared_document, 8, slower={SQUARE: 1.3}),
    }.items():
        (tmp_path / f"{name}.json").write_text(json.dumps(document), "utf-8")
    (tmp_path / "pyproject.toml").write_text("")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize(
    ("new", "fail_on", "code"),
    [
        ("same", "memory", 0),
        ("more", "memory", 1),
        ("less", "memory", 0),
        ("slower", "memory", 0),
        ("more", "slower", 0),
        ("more", "slower,memory", 1),
        ("slower", "slower, memory", 1),
        ("both", "memory,slower", 1),
        ("same", "slower,memory", 0),
        ("slower", "all-slower,memory", 0),
        ("same", "unclear,memory", 1),
        ("new", "memory", 3),
        ("new", "slower,memory", 3),
        ("slower_new", "slower,memory", 1),
        ("new", "slower", 0),
    ],
)
def test_the_exit_code_says_whether_any_ground_is_given(new: str, fail_on: str, code: int) -> None:
    assert main(["compare", "base.json", f"{new}.json", "--fail-on", fail_on]) == code


@pytest.mark.usefixtures("folder")
def test_any_run_that_needs_more_memory_counts() -> None:
    assert main(["compare", "base.json", "same.json", "more.json", "--fail-on", "memory"]) == 1
    assert main(["compare", "base.json", "same.json", "new.json", "--fail-on", "memory"]) == 3


@pytest.mark.usefixtures("folder")
def test_a_note_says_that_memory_is_not_known(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compare", "base.json", "new.json", "--fail-on", "memory"]) == 3
    assert capsys.readouterr().err.splitlines() == [f"{NOTE.format('new.json')}: exit code 3"]
    assert main(["compare", "base.json", "slower_new.json", "--fail-on", "slower,memory"]) == 1
    assert capsys.readouterr().err.splitlines() == [
        f"{NOTE.format('slower_new.json')}; the exit code is 1 for another reason"
    ]
    assert main(["compare", "base.json", "same.json", "--fail-on", "memory"]) == 0
    assert capsys.readouterr().err == ""


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize("text", ["slow", "slower,", "slower;memory"])
def test_a_ground_that_is_none_is_refused_with_those_there_are(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main(["compare", "base.json", "same.json", f"--fail-on={text}"])
    assert end.value.code == 2
    assert " is none of slower, unclear, all-slower, memory" in capsys.readouterr().err.splitlines()[-1]


@pytest.mark.usefixtures("folder")
def test_options_may_stand_between_the_files(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compare", "base.json", "--fail-on", "memory", "same.json", "more.json"]) == 1
    assert "2 runs against base.json" in capsys.readouterr().out
