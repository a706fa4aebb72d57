"""Parses command lines of ``torchduet run`` by pytest and by our readers of their values, without measuring.

A process of its own, as pytest's plugins are loaded for each: reads a JSON list of lists of arguments from standard
input and prints a JSON list with a message for each, empty if it can be used.
"""

from __future__ import annotations

import contextlib
import io
import json
import sys

import pytest
from _pytest.config import _prepareconfig

from torchduet.bench.plan import cli
from torchduet.bench.plan.options import OptionError
from torchduet.bench.plugin.pytest_command import pytest_arguments


def problem(arguments: list[str]) -> str:
    """Why a command line cannot be used; empty if it can."""
    said = io.StringIO()
    try:
        with contextlib.redirect_stderr(said):
            config = _prepareconfig([*pytest_arguments(), *arguments])
            cli.read(config)
    except (pytest.UsageError, OptionError) as error:
        return str(error)
    except SystemExit:
        return said.getvalue()
    return ""


if __name__ == "__main__":
    print(json.dumps([problem(arguments) for arguments in json.load(sys.stdin)]))
