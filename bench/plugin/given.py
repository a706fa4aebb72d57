"""Refuses what is given to ``pytest bench/`` and empty: a value of any option, a path, an environment variable."""

from __future__ import annotations

from typing import Any

import pytest

from torchduet.command_line import blank_option, blank_variable

GROUP = "torchduet-options"  # the name under which pytest's plugin manager has the group of our options
OTHERS = ("--benchmark-json", "--benchmark-storage")  # of pytest-benchmark: where results are written


def check(config: pytest.Config) -> None:
    """Check that nothing that was given is empty, such as the value of a variable that is not set.

    Raises:
        pytest.UsageError: something is; the message names it.
    """
    group: Any = config.pluginmanager.get_plugin(GROUP)
    options = [(option.names()[-1], option.dest) for option in group.options]
    options += [(name, name.removeprefix("--").replace("-", "_")) for name in OTHERS]
    given = [(name, config.getoption(dest, None)) for name, dest in options]
    given += [("a path to collect", path) for path in config.args]
    if problem := blank_option(given) or blank_variable():
        raise pytest.UsageError(problem)
