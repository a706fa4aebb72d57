"""``torchduet run``: runs the installed benchmark with pytest from any folder; no clone is needed."""

from __future__ import annotations

import argparse
import hashlib
import os
import shlex
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from torchduet import bench
from torchduet.bench.host.cache_folder import cache_folder

# Ctrl-C while pytest and its plugins are imported ends the process without a traceback.
START = """
import runpy, signal
if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
    signal.signal(signal.SIGINT, signal.SIG_DFL)
runpy.run_module("pytest", run_name="__main__", alter_sys=True)
"""
# The options of pytest-benchmark that write to its storage, read it, or name it.
STORES = ("--benchmark-save", "--benchmark-autosave", "--benchmark-compare", "--benchmark-storage")
BENCH = Path(__file__).parents[1]  # the folder of torchduet.bench, in a clone or among the installed packages


def pytest_arguments(cache: Path | None = None) -> list[str]:
    """The arguments with which pytest collects the installed benchmark, and nothing of the current folder.

    The configuration of the surrounding project is ignored (``-c``, ``--noconftest``): its plugins, options and
    fixtures are for its own tests. Our ``conftest.py`` is a plugin here (``-p``), so that its options are declared
    before pytest looks for paths among the arguments: it would take the file after ``--suite`` for one, and load the
    ``conftest.py`` beside it. With this root, ids are ``bench/test_matmul.py::test_matmul[…]`` as in a clone.

    Args:
        cache: the folder of pytest's cache, which would otherwise be beside the installed package; None: no cache.
    """
    cache_options = ("-p", "no:cacheprovider") if cache is None else ("-o", f"cache_dir={cache}")
    plugin = ("-p", f"{bench.__name__}.conftest", "--noconftest")
    root = (f"--rootdir={BENCH.parent}", "--import-mode=importlib")
    return [str(BENCH), "-c", os.devnull, *root, *plugin, *cache_options]


def unused_storage(folder: Path, arguments: Sequence[str]) -> list[str]:
    """The option that keeps pytest-benchmark's storage out of the current folder; none if the storage is used.

    pytest-benchmark makes the folder of its storage (``.benchmarks``) in every run, whether anything is saved or not.

    Args:
        folder: of Torchduet's own, for this current folder.
        arguments: the user's; those of ``PYTEST_ADDOPTS`` count, too.
    """
    given = [*arguments, *shlex.split(os.environ.get("PYTEST_ADDOPTS", ""))]
    if any(argument.startswith(STORES) for argument in given):
        return []
    return [f"--benchmark-storage=file://{folder / 'storage'}"]


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


def _run(options: argparse.Namespace) -> int:
    if "--once" in options.arguments:
        from torchduet.bench.plugin.once_command import run_once

        return run_once(options.arguments)
    folder = cache_folder() / "pytest" / hashlib.sha256(os.fsencode(Path.cwd())).hexdigest()[:16]
    arguments = [*pytest_arguments(folder / "cache"), *unused_storage(folder, options.arguments), *options.arguments]
    command = [sys.executable, "-c", START, *arguments]
    if os.name == "posix":
        os.execv(command[0], command)  # signals reach pytest, and its workers do not import this command line
    return subprocess.run(command, check=False).returncode
