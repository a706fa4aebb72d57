"""The command that runs the installed benchmark with pytest from any folder; no clone is needed."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from torchduet import bench

# Ctrl-C while pytest and its plugins are imported ends the process without a traceback.
START = """
import runpy, signal
if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
    signal.signal(signal.SIGINT, signal.SIG_DFL)
runpy.run_module("pytest", run_name="__main__", alter_sys=True)
"""
# Nothing is imported from the current folder: a file in it may have the name of a module of Python's or of ours.
PYTHON = (sys.executable, "-P", "-c", START)
SHORT_HEADER = ("-p", "torchduet.bench.plugin.short_header")
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
