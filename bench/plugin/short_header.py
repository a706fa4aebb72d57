"""A plugin of ``torchduet run`` and ``against``: a header without pytest's own lines, and no names of files.

``-v`` brings both back, and ``-q`` leaves out our lines, too.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import pytest

from torchduet import bench

OURS = f"{bench.__name__}.conftest"  # the plugin whose lines are kept


@pytest.hookimpl(trylast=True)
def pytest_configure(config: pytest.Config) -> None:
    """Leave out pytest's header and its names of files."""
    reporter: Any = config.pluginmanager.get_plugin("terminalreporter")
    if config.get_verbosity() == 0 and reporter is not None:
        config.option.no_header, reporter.showfspath = True, False


@pytest.hookimpl(wrapper=True)
def pytest_sessionstart(session: pytest.Session) -> Generator[None]:
    """Write this project's lines of the header, which pytest leaves out with its own."""
    yield
    config = session.config
    reporter: Any = config.pluginmanager.get_plugin("terminalreporter")
    if config.get_verbosity() == 0 and reporter is not None:
        ours: Any = config.pluginmanager.get_plugin(OURS)
        for line in ours.pytest_report_header(config):
            reporter.write_line(line)
