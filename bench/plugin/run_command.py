"""``torchduet run``: the benchmark as it is installed, started by pytest from any folder; no clone is needed."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from pathlib import Path

BENCH = Path(__file__).parents[1]  # the folder of torchduet.bench, in a clone or among the installed packages


def pytest_arguments(cache: Path | None = None) -> list[str]:
    """What pytest is given to collect the installed benchmark, and nothing of the folder where it is started.

    ``--pyargs torchduet.bench`` would not do: pytest reads the options of a ``conftest.py`` early enough only where its
    folder is named as a path. The configuration of the project around is left out (``-c``): its plugins and options are
    meant for its own tests. With this root, ids are ``bench/test_matmul.py::test_matmul[…]`` as in a clone.

    Args:
        cache: the folder of pytest's cache, which would otherwise lie beside the installed package; None: no cache.
    """
    kept = ("-p", "no:cacheprovider") if cache is None else ("-o", f"cache_dir={cache}")
    return [str(BENCH), "-c", os.devnull, f"--rootdir={BENCH.parent}", "--import-mode=importlib", *kept]


def add_to(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the command; all that follows it goes to pytest, ``--help``, too."""
    parser = commands.add_parser(
        "run",
        help="measure: `pytest bench/` with these options, of which `torchduet run --help` lists all",
        add_help=False,
        prefix_chars="\0",  # so that argparse takes no option for its own
    )
    parser.add_argument("arguments", nargs=argparse.REMAINDER)
    parser.set_defaults(command=_run)


def _run(options: argparse.Namespace) -> int:
    command = [sys.executable, "-m", "pytest", *pytest_arguments(Path.cwd() / ".pytest_cache"), *options.arguments]
    if os.name == "posix":
        os.execv(command[0], command)  # signals reach pytest, and its workers do not import this command line
    return subprocess.run(command, check=False).returncode
