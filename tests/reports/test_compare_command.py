"""``torchduet compare``: exit codes, thresholds, what is printed and what is written."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.reports import refusals
from tests.reports.remeasured import remeasured
from torchduet.__main__ import main
from torchduet.bench.record.schema import KEY
from torchduet.reports.compare.thresholds import Thresholds, fraction, globs_of
from torchduet.reports.read.pyproject import PyprojectError
from torchduet.reports.text.escaping import cell, inline

ROOT = Path(__file__).parents[2]
SQUARE = "matmul.square[n=512] cpu eager fp32"
SHORT = "matmul.square[n=512] eager fp32"  # all cases are of the CPU


@pytest.fixture
def folder(shared_document: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a base, the same measured again, and one in which a case takes a fifth longer."""
    for name, seed, slower in (
        ("base", 1, {}),
        ("same", 2, {}),
        ("slower", 3, {SQUARE: 1.2}),
        ("faster", 4, {SQUARE: 0.8}),
    ):
        document = remeasured(shared_document, seed, slower=slower)
        (tmp_path / f"{name}.json").write_text(json.dumps(document), "utf-8")
    (tmp_path / "pyproject.toml").write_text("")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    return refusals.refused(capsys, "compare", *arguments)


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["base.json", "same.json"], 0),
        (["base.json", "slower.json"], 0),
        (["base.json", "same.json", "--fail-on", "slower"], 0),
        (["base.json", "faster.json", "--fail-on", "slower"], 0),
        (["base.json", "slower.json", "--fail-on", "slower"], 1),
        (["base.json", "same.json", "slower.json", "--fail-on", "slower"], 1),
        (["base.json", "slower.json", "--fail-on", "slower", "--threshold", "30%"], 0),
        (["base.json", "slower.json", "--fail-on", "slower", "--threshold", "0.03"], 1),
    ],
)
def test_the_exit_code_says_whether_anything_is_slower(arguments: list[str], code: int) -> None:
    assert main(["compare", *arguments]) == code


def test_a_file_that_cannot_be_used_is_named(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "broken.json").write_text("{")
    document = json.loads((folder / "base.json").read_text())
    document[KEY]["pilots"][3]["seconds"]["calls"] = 0
    (folder / "still.json").write_text(json.dumps(document))
    document[KEY]["started"] = "2026-04-01T00:00:00+00:00"
    document["benchmarks"] = []
    document[KEY]["pilots"] = []
    (folder / "empty.json").write_text(json.dumps(document))
    assert "none.json: no such file" in refused(capsys, "base.json", "none.json", "--fail-on", "slower")
    assert "broken.json: is broken" in refused(capsys, "broken.json", "same.json")
    assert "still.json: torchduet.pilots[3].seconds.calls: expected a number above 0" in refused(
        capsys, "base.json", "same.json", "still.json"
    )
    assert "empty.json: has no case in common with base.json" in refused(capsys, "base.json", "empty.json")


def test_a_page_is_never_written_over_a_run(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = (folder / "same.json").read_bytes()
    assert "is the run's own file" in refused(capsys, "base.json", "same.json", "-o", "./same.json")
    assert "is the run's own file" in refused(capsys, "base.json", "same.json", "-o", "base.json")
    assert "there is no folder" in refused(capsys, "base.json", "same.json", "-o", "none/c.html")
    assert (folder / "same.json").read_bytes() == before


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize("share", ["3", "-3%", "100%", "3 percent", "nan"])
def test_a_threshold_that_is_no_share_is_refused(share: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main(["compare", "base.json", "same.json", f"--threshold={share}"])
    assert end.value.code == 2
    assert "argument --threshold: expected a share of the time such as 3% or 0.03" in capsys.readouterr().err


def test_thresholds_by_glob_come_from_the_nearest_pyproject(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments = ["compare", "../base.json", "../slower.json", "--fail-on", "slower"]
    (folder / "below").mkdir()
    monkeypatch.chdir(folder / "below")
    assert main(arguments) == 1
    (folder / "pyproject.toml").write_text('[tool.torchduet.compare.thresholds]\n"matmul.square[n=512] *" = "40%"\n')
    assert main([*arguments, "--threshold", "1%"]) == 0
    (folder / "pyproject.toml").write_text('[tool.torchduet.compare.thresholds]\n"matmul.*" = "a lot"\n')
    capsys.readouterr()
    says = refused(capsys, *arguments[1:])
    assert f'{folder / "pyproject.toml"}: tool.torchduet.compare.thresholds."matmul.*": expected a share' in says
    assert "got 'a lot'" in says


def test_the_last_glob_that_matches_counts_and_brackets_stand_for_themselves() -> None:
    found = Thresholds(0.05, (("matmul.*", 0.02), ("* bf16", 0.1), ("matmul.square[[]*", 0.5)))
    assert found.of("matmul.square[n=512] cpu eager fp32") == 0.02
    assert found.of("matmul.square[n=512] cpu eager bf16") == 0.1
    assert found.of("tensor_ops.add[n=1] cpu eager fp32") == 0.05
    assert Thresholds(0.05, ((SQUARE, 0.3),)).of(SQUARE) == 0.3
    assert Thresholds(0.05, (("* FP32", 0.3),)).of(SQUARE) == 0.05


@pytest.mark.parametrize(
    ("text", "value"), [("3%", 0.03), ("0.03", 0.03), (" 2.5 % ", 0.025), (0.1, 0.1), (0, 0.0), ("0%", 0)]
)
def test_shares_are_read_as_people_write_them(text: object, value: float) -> None:
    assert fraction(text) == pytest.approx(value)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("[tool", "cannot be read as TOML"),
        ("[tool]\ntorchduet = 3", "tool.torchduet: expected a table, got 3"),
        ("[tool.torchduet.compare]\nthresholds = '3%'", "tool.torchduet.compare.thresholds: expected a table"),
        ("[tool.torchduet.compare]\nthreshold = '3%'", "tool.torchduet.compare.threshold: is not known"),
        ("[tool.torchduet.compare.thresholds]\n'*' = 3", 'thresholds."*": expected a share of the time'),
        ("[tool.torchduet.compare.thresholds]\n'*' = true", 'thresholds."*": expected a share of the time'),
        ("[tool.torchduet.compare.thresholds]\nmatmul.x = '2%'", 'thresholds."matmul": expected a share'),
    ],
)
def test_a_wrong_table_is_refused_by_file_and_key(content: str, says: str, tmp_path: Path) -> None:
    path = tmp_path / "pyproject.toml"
    path.write_text(content)
    with pytest.raises(PyprojectError) as error:
        globs_of(path)
    assert str(error.value).startswith(f"{path}: ")
    assert says in str(error.value)


def test_the_terminal_shows_regressions_first(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    document = remeasured(json.loads((folder / "base.json").read_text()), 7, slower={SQUARE: 1.2})
    document[KEY]["machine"]["torch"] = "2.10.0"
    (folder / "new.json").write_text(json.dumps(document))
    assert main(["compare", "base.json", "new.json"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert re.fullmatch(rf"new.json against base.json: {re.escape(SHORT)} takes 1\.\d+ times as long, .*", lines[0])
    assert "  PyTorch  2.9.1 → 2.10.0" in lines
    row = lines[lines.index("Slower (1)") + 2]
    assert row.split("  ")[1] == SQUARE
    assert "0.83× (" in row
    assert any(line.startswith("1 slower, ") for line in lines)
    assert any("expect 0.05 false alarms" in line for line in lines)


@pytest.mark.usefixtures("folder")
def test_markdown_is_a_comment_with_the_answer_first(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compare", "base.json", "slower.json", "--format", "markdown"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert re.match(rf"### {re.escape(inline(SHORT))} takes 1\.\d+ times as long, ", lines[0])
    assert any(line.startswith(f"| slower | {cell(SQUARE)} |") for line in lines)
    assert lines.count("<details><summary>How this was judged</summary>") == 1


def test_names_cannot_steer_the_terminal_nor_end_a_cell(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("base", "slower"):
        text = (folder / f"{name}.json").read_text().replace("square", "sq|\\u001b[2Jare<b>")
        (folder / f"{name}.json").write_text(text)
    assert main(["compare", "base.json", "slower.json"]) == 0
    assert "\x1b" not in capsys.readouterr().out
    assert main(["compare", "base.json", "slower.json", "--format", "markdown"]) == 0
    out = capsys.readouterr().out
    assert "\x1b" not in out
    assert "sq\\|\\[2Jare&lt;b&gt;" in out


@pytest.mark.usefixtures("folder")
def test_comparing_imports_neither_torch_nor_what_only_the_page_needs() -> None:
    code = (
        f"import sys; sys.path.insert(0, {str(ROOT)!r}); from torchduet.__main__ import main\n"
        "assert main(['compare', 'base.json', 'same.json']) == 0\n"
        "print(sorted({'torch', 'pandas', 'matplotlib', 'jinja2'} & set(sys.modules)))"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert out.splitlines()[-1] == "[]"


def test_the_page_stands_alone_and_answers_first(folder: Path) -> None:
    assert main(["compare", "base.json", "slower.json", "faster.json", "-o", "c.html"]) == 0
    page = (folder / "c.html").read_text("utf-8")
    assert page.startswith("<!DOCTYPE html>")
    assert page.index("times as long") < page.index('id="runs"') < page.index('id="cases"')
    assert "http://" not in page.replace("http://www.w3.org", "")
    assert "https://" not in page
    assert page.count('<table class="cases"') == 2
