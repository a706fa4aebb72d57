"""The option that writes the table of faults."""

import pytest

from tests.faults import table


def pytest_addoption(parser: pytest.Parser) -> None:
    """``--write-table``, once all has passed."""
    parser.addoption("--write-table", action="store_true", help="write docs/reliability.md")


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """Only what held true is written."""
    passed = exitstatus == 0 or session.testsfailed == 0
    if session.config.getoption("write_table", False) and passed:
        table.DOCUMENT.write_text(table.document())
