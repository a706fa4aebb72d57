"""A plugin of benchmark runs: the run's answer as the last lines, below its tables."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import pytest

from torchduet.bench.plugin import sharding
from torchduet.bench.plugin.stash import DUET, SESSION, json_path


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> Generator[None]:
    """Write the answer after all other summaries, whenever this plugin was loaded."""
    yield
    _write(terminalreporter, config)


def _write(terminalreporter: Any, config: pytest.Config) -> None:
    """The answer of a whole run that has a file; its table and its noise are above it."""
    session = config.stash.get(SESSION, None)
    if session is None:
        return
    path = json_path(config)
    part = sharding.is_part(config) or session.settings.options.self_check or config.stash[DUET] is not None
    if part or path is None or not path.is_file() or session.progress.unwritten or not session.records():
        return
    from torchduet.reports.commands.closing import closing
    from torchduet.reports.read.run_file import RunFileError

    try:
        lines = closing(str(path))
    except RunFileError as error:
        lines = [f"no answer: {error}"]
    terminalreporter.section("answer", sep="-")
    for line in lines:
        terminalreporter.write_line(line)
