"""The page and the notebook about notebooks: they say what the code does, and the notebook runs."""

from __future__ import annotations

import ast
import inspect
import json
import re
from pathlib import Path
from typing import Any

import pytest

import torchduet
from tests.notebook.executed import NOTEBOOK, executed, kernel_of_this_interpreter
from torchduet.bench.library.shipped import MAX_BYTES
from torchduet.comparing import DETAILS
from torchduet.magic_options import OPTIONS, USAGE
from torchduet.progress import DELAY_SECONDS
from torchduet.sides import of_cell, of_line

PAGE = (NOTEBOOK.parent / "notebook.md").read_text("utf-8")
COMMITTED = json.loads(NOTEBOOK.read_text("utf-8"))


def test_the_pages_options_are_the_magics() -> None:
    rows = re.findall(r"^\| `-(\w)(?: ([^`]+))?` \| (.+) \|$", PAGE, re.M)
    assert rows == [(option.letter, option.value, option.words) for option in OPTIONS]
    assert all(f"\n  -{option.letter} {option.value}" in USAGE for option in OPTIONS)


def test_the_pages_arguments_are_those_of_compare() -> None:
    table = PAGE.partition("## Arguments of `compare`")[2].partition("\n## ")[0]
    listed = {name for row in table.splitlines() for name in re.findall(r"`(\w+)=`", row.split(" | ")[0])}
    taken = {
        name
        for name, parameter in inspect.signature(torchduet.compare).parameters.items()
        if parameter.kind is inspect.Parameter.KEYWORD_ONLY
    }
    assert listed == {*taken, *DETAILS, "inputs"}


def test_the_pages_figures_are_the_codes() -> None:
    assert f"more than {MAX_BYTES >> 20} MiB" in PAGE
    assert f"more than {DELAY_SECONDS} s" in PAGE


def test_the_pages_magics_can_be_parsed() -> None:
    cells = re.findall(r"```ipython\n%%duet.*?\n(.*?)```", PAGE, re.S)
    lines = re.findall(r"%duet (?:-b 5s )?(?:-- )?([^\n`]*\|[^\n`]*)", PAGE)
    assert len(cells) == 2
    assert len(lines) >= 3
    assert all(len(of_cell(cell).sides) == 2 for cell in cells)
    assert all(len(of_line(line).sides) == 2 for line in lines)


def test_the_pages_three_lines_answer() -> None:
    code = re.search(r"```python\n(.*?)```", PAGE, re.S)
    assert code is not None
    *before, last = ast.parse(code[1]).body
    assert isinstance(last, ast.Expr)
    last.value.keywords += ast.parse("f(budget='0.5s', processes=False)", mode="eval").body.keywords  # type: ignore[attr-defined]
    scope: dict[str, Any] = {"__name__": "three_lines"}
    exec(compile(ast.Module(before, []), "notebook.md", "exec"), scope)
    comparison = eval(compile(ast.fix_missing_locations(ast.Expression(last.value)), "notebook.md", "eval"), scope)
    assert comparison.names == ("power", "product")


def test_the_committed_notebook_has_outputs_and_nothing_of_its_machine() -> None:
    codes = [cell for cell in COMMITTED["cells"] if cell["cell_type"] == "code"]
    assert [cell["execution_count"] for cell in codes] == list(range(1, len(codes) + 1))
    kept = [output for cell in codes for output in cell["outputs"]]
    assert {output["output_type"] for output in kept} == {"execute_result", "display_data", "stream"}
    assert all(output.get("data", True) for output in kept)
    cards = [
        text for output in kept if (text := "".join(output.get("data", {}).get("text/html", ""))) if "<svg" in text
    ]
    assert len(cards) >= 6
    assert not re.search(r"(/tmp|/home|/root|/usr)/|Traceback|Warning", json.dumps(kept))


def test_the_notebook_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("nbclient", reason="nbclient is not installed: pip install nbclient")
    pytest.importorskip("ipykernel", reason="ipykernel is not installed: pip install ipykernel")
    for name, value in kernel_of_this_interpreter(tmp_path / "jupyter").items():
        monkeypatch.setenv(name, value)
    work = tmp_path / "work"
    work.mkdir()
    notebook = executed(work)
    assert [cell.source for cell in notebook.cells] == ["".join(cell["source"]) for cell in COMMITTED["cells"]]
    for cell, committed in zip(notebook.cells, COMMITTED["cells"], strict=True):
        if cell.cell_type == "code":
            kinds = [(output.output_type, sorted(output.get("data", {}))) for output in cell.outputs]
            assert kinds == [(each["output_type"], sorted(each.get("data", {}))) for each in committed["outputs"]]
    kept = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    shown = [output.data["text/plain"] for output in kept if "data" in output]
    assert any("by fresh processes" in each for each in shown)
    text = "".join(output.get("text", "") for output in kept)
    assert "return different results" in text
    assert "unchanged: True" in text
    assert {path.name for path in work.iterdir()} == {"norms.json", "norms.html"}
