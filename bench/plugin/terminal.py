"""Shows the progress line below pytest's own line, outside of pytest's capturing."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from torchduet.bench.files.streams import forgiving
from torchduet.bench.plugin.progress import ProgressLine
from torchduet.bench.run.session import Session


def forget_stages(config: pytest.Config) -> None:
    """Drop pytest's reports of set-up and tear-down, which it keeps until the end for ``--durations`` alone."""
    reporter: Any = config.pluginmanager.get_plugin("terminalreporter")
    if reporter is not None and not config.getoption("durations"):
        reporter.stats.pop("", None)


@contextlib.contextmanager
def progress(config: pytest.Config, session: Session) -> Iterator[None]:
    """Show the run's progress below pytest's own line while a case is measured."""
    if config.pluginmanager.get_plugin("terminalreporter") is None:  # -p no:terminal
        yield
        return
    writer = config.get_terminal_writer()
    capture = config.pluginmanager.getplugin("capturemanager")
    quiet = config.get_verbosity() < 0

    @contextlib.contextmanager
    def uncaptured() -> Iterator[None]:
        if capture is None:
            yield
        else:
            with capture.global_and_fixture_disabled():
                yield

    with uncaptured():
        line = ProgressLine(forgiving(sys.stderr), lambda: writer.width_of_current_line)

    def show(text: str) -> None:
        if not quiet:
            with uncaptured():
                line.show(text)

    session.progress.show = show
    try:
        yield
    finally:
        with uncaptured():
            line.clear()
