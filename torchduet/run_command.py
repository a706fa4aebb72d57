"""``torchduet run``: runs the installed benchmark with pytest from any folder; no clone is needed."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from torchduet.bench.plugin.pytest_command import SHORT_HEADER, START, pytest_arguments

ANSWER = ("-p", "torchduet.run_answer")
# Options of pytest-benchmark's own table, which is left out without them.
OF_TABLE = tuple(f"--benchmark-{name}" for name in ("columns", "compare", "group-by", "name", "sort", "verbose"))


def add_to(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the command; all arguments after it are passed to pytest, including ``--help``."""
    parser = commands.add_parser(
        "run",
        help="measure: `pytest bench/` with its options, which `torchduet run --help` lists",
        add_help=False,
        prefix_chars="\0",  # so that argparse parses no option itself
    )
    parser.add_argument("arguments", nargs=argparse.REMAINDER)
    parser.set_defaults(command=_run)


def command(given: Sequence[str]) -> list[str]:
    """The command that measures with the user's arguments."""
    table = () if any(argument.startswith(OF_TABLE) for argument in given) else ("--benchmark-quiet",)
    fixed = (*pytest_arguments(Path.cwd() / ".pytest_cache"), *SHORT_HEADER, *ANSWER, *table)
    return [sys.executable, "-c", START, *fixed, *given]


def _run(options: argparse.Namespace) -> int:
    if "--once" in options.arguments:
        from torchduet.bench.plugin.once_command import run_once

        return run_once(options.arguments)
    arguments = command(options.arguments)
    if os.name == "posix":
        os.execv(arguments[0], arguments)  # signals reach pytest, and its workers do not import this command line
    return subprocess.run(arguments, check=False).returncode
