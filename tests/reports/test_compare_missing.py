"""Cases that only one run has: one line for each reason in the terminal, and how to see them all."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.reports.remeasured import ids, remeasured
from torchduet.__main__ import main
from torchduet.bench.record.schema import KEY
from torchduet.reports.compare.text import MAX_REASONS


@pytest.fixture
def files(shared_document: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A full run, and one of ten of its cases; the ids of the others."""
    base, new = (remeasured(shared_document, seed) for seed in (1, 2))
    new["benchmarks"] = new["benchmarks"][:10]
    for name, document in (("base", base), ("new", new)):
        (tmp_path / f"{name}.json").write_text(json.dumps(document), "utf-8")
    (tmp_path / "pyproject.toml").write_text("")
    monkeypatch.chdir(tmp_path)
    return ids(base)[10:]


def test_cases_that_were_not_selected_are_one_line(files: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compare", "base.json", "new.json"]) == 0
    out = capsys.readouterr().out
    line = f"Missing from the new run: {len(files)} cases: not selected in this run (--verbose lists them)"
    assert out.splitlines().count(line) == 1
    assert not any(case in out for case in files)
    assert main(["compare", "new.json", "base.json"]) == 0
    line = f"New: {len(files)} cases: not measured in new.json (--verbose lists them)"
    assert capsys.readouterr().out.splitlines().count(line) == 1


@pytest.mark.parametrize("option", ["--verbose", "-v"])
def test_all_are_listed_where_that_is_asked(files: list[str], capsys: pytest.CaptureFixture[str], option: str) -> None:
    assert main(["compare", "base.json", "new.json", option]) == 0
    out = capsys.readouterr().out
    assert f"Missing from the new run ({len(files)})" in out
    assert all(f"  {case}: not selected in this run" in out for case in files)


def test_each_reason_has_a_line_and_a_single_case_its_name(
    files: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    new = json.loads(Path("new.json").read_text("utf-8"))
    base = json.loads(Path("base.json").read_text("utf-8"))
    cases = {case: one["extra_info"][KEY]["case"] for case, one in zip(ids(base), base["benchmarks"], strict=True)}
    new[KEY]["skipped"] = [{"case": cases[case], "reason": "too slow"} for case in files[:4]]
    new[KEY]["skipped"].append({"case": cases[files[4]], "reason": "needs more memory"})
    Path("new.json").write_text(json.dumps(new), "utf-8")
    assert main(["compare", "base.json", "new.json"]) == 0
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("Missing")]
    assert lines == [
        f"Missing from the new run: {len(files) - 5} cases: not selected in this run (--verbose lists them)",
        "Missing from the new run: 4 cases: too slow (--verbose lists them)",
        f"Missing from the new run: {files[4]}: needs more memory",
    ]
    new[KEY]["skipped"] = [{"case": cases[case], "reason": f"reason {place}"} for place, case in enumerate(files)]
    Path("new.json").write_text(json.dumps(new), "utf-8")
    assert main(["compare", "base.json", "new.json"]) == 0
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("Missing")]
    assert len(lines) == MAX_REASONS + 1
    assert lines[-1] == (
        f"Missing from the new run: {len(files) - MAX_REASONS} more for other reasons (--verbose lists them)"
    )


def test_the_summary_has_a_row_for_each_reason(files: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compare", "base.json", "new.json", "--markdown", "-"]) == 0
    assert f"| missing | {len(files)} cases | not selected in this run |" in capsys.readouterr().out.splitlines()
