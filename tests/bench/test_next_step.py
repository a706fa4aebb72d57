"""The last line of a run is a command that makes the page which the documentation speaks of."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from torchduet.bench.plugin.closing import BY_COMMAND, _next_step


@pytest.mark.parametrize(("name", "page"), [("run.json", "report.html"), ("0041.json", "0041.html")])
def test_the_page_of_run_json_is_report_html_and_others_are_named_for_their_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, page: str
) -> None:
    monkeypatch.delenv(BY_COMMAND, raising=False)
    session: Any = SimpleNamespace(progress=SimpleNamespace(unwritten=False))
    path = tmp_path / name
    path.write_text("{}")
    assert _next_step(session, path) == f"Read the report: torchduet render {path} -o {tmp_path / page}"
