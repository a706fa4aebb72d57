"""The option that writes the table of faults, and a folder with a run."""

import json
from pathlib import Path

import pytest

from tests.faults import table
from tests.reports.sample import make_run


def pytest_addoption(parser: pytest.Parser) -> None:
    """``--write-table``, once all has passed."""
    parser.addoption("--write-table", action="store_true", help="write docs/reliability.md")


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """Only what held true is written."""
    passed = exitstatus == 0 or session.testsfailed == 0
    if session.config.getoption("write_table", False) and passed:
        table.DOCUMENT.write_text(table.document())


@pytest.fixture(scope="session")
def run_text() -> str:
    """The file of a run."""
    return json.dumps(make_run())


@pytest.fixture
def here(run_text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder, with a run; what is kept for later runs is kept there, too."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (tmp_path / "run.json").write_text(run_text)
    return tmp_path
