"""``torchduet run``: runs the installed benchmark with pytest from any folder; no clone is needed."""

from __future__ import annotations

import argparse
import hashlib
import os
import shlex
import subprocess
from collections.abc import Sequence
from pathlib import Path

from torchduet.bench.host.cache_folder import cache_folder
from torchduet.bench.plugin.pytest_command import PYTHON, SHORT_HEADER, pytest_arguments
from torchduet.reports.text.refusal import refuse

ANSWER = ("-p", "torchduet.run_answer")  # loaded by itself only where this project is installed
# Where pytest's cache cannot be written, only --last-failed and its like lack something.
WITHOUT_CACHE = ("-W", "ignore::pytest.PytestCacheWarning")
# A list of cases has an id in each line, instead of pytest's tree of folders.
COLLECTS, PLAIN_IDS = {"--collect-only", "--co"}, ("-o", "verbosity_test_cases=-1")
# Options of pytest-benchmark's own table, which is left out without them.
OF_TABLE = tuple(f"--benchmark-{name}" for name in ("columns", "compare", "group-by", "name", "sort", "verbose"))
# The options of pytest-benchmark that write to its storage, read it, or name it.
STORES = ("--benchmark-save", "--benchmark-autosave", "--benchmark-compare", "--benchmark-storage")


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


def command(arguments: Sequence[str]) -> list[str]:
    """The command that measures with the user's arguments; what pytest keeps is not put in the current folder.

    Raises:
        ValueError: ``PYTEST_ADDOPTS`` cannot be split into arguments.
    """
    folder = cache_folder() / "pytest" / hashlib.sha256(os.fsencode(Path.cwd())).hexdigest()[:16]
    given = [*arguments, *shlex.split(os.environ.get("PYTEST_ADDOPTS", ""))]
    own = [*SHORT_HEADER, *ANSWER, *WITHOUT_CACHE, *unused_storage(folder, given)]
    if not COLLECTS.isdisjoint(given):
        own += PLAIN_IDS
    if not any(argument.startswith(OF_TABLE) for argument in given):
        own.append("--benchmark-quiet")
    return [*PYTHON, *pytest_arguments(folder / "cache"), *own, *arguments]


def unused_storage(folder: Path, given: Sequence[str]) -> list[str]:
    """The option that keeps pytest-benchmark's storage out of the current folder; none if the storage is used.

    pytest-benchmark makes the folder of its storage (``.benchmarks``) in every run, whether anything is saved or not.

    Args:
        folder: of Torchduet's own, for this current folder.
        given: all of the user's arguments.
    """
    if any(argument.startswith(STORES) for argument in given):
        return []
    return [f"--benchmark-storage=file://{folder / 'storage'}"]


def _run(options: argparse.Namespace) -> int:
    if "--once" in options.arguments:
        from torchduet.bench.plugin.once_command import run_once

        return run_once(options.arguments)
    try:
        arguments = command(options.arguments)
    except ValueError as error:
        return refuse(f"PYTEST_ADDOPTS: {os.environ['PYTEST_ADDOPTS']!r} is no list of options: {str(error).lower()}")
    if os.name == "posix":
        os.execv(arguments[0], arguments)  # signals reach pytest, and its workers do not import this command line
    return subprocess.run(arguments, check=False).returncode
