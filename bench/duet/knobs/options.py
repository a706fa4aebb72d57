"""The options of a duet in pytest's table of options."""

from __future__ import annotations

from typing import Any

import pytest

from torchduet.bench.duet.knobs.settings import SETTINGS

OPTIONS: tuple[tuple[str, str, dict[str, Any], str], ...] = (
    (
        "--against",
        "PYTHON",
        {},
        "another interpreter, e.g. ../other/.venv/bin/python: every case is timed in both, block by block in "
        "alternation (default: none; it needs torch and numpy only)",
    ),
    (
        "--against-env",
        "NAME=VALUE",
        {"action": "append"},
        "compare this interpreter with itself with that environment variable set; may be repeated (default: none)",
    ),
    (
        "--against-setting",
        "NAME=VALUE",
        {"action": "append"},
        f"compare this interpreter with itself with that setting of PyTorch; may be repeated; NAME is one of "
        f"{', '.join(SETTINGS)} (default: none)",
    ),
    (
        "--against-rev",
        "REV",
        {},
        "compare the files of a git repository, which --suite FILE is in, with those of that revision, or of its merge "
        "base with HEAD (default: none)",
    ),
    ("--against-exact", "", {"action": "store_true"}, "with --against-rev: the revision itself, not its merge base"),
    (
        "--build",
        "",
        {"action": "store_true"},
        "with --against-rev: build the package of the revision by pip or uv, for one with compiled parts; this runs "
        "its build",
    ),
    (
        "--only-changed",
        "",
        {"action": "store_true"},
        "with --against-rev: only workloads that import a changed file, and two others as controls",
    ),
    (
        "--fail-on",
        "LIST",
        {},
        "of a duet: exit with 1 if any case is slower, unclear, or needs more memory, e.g. slower,memory; with 3 if "
        "no verdict is possible (default: none)",
    ),
    (
        "--threshold",
        "SHARE",
        {},
        "of a duet: a change must exceed this to matter, e.g. 5%% (default: 2%%)",
    ),
)


def add_options(group: pytest.OptionGroup) -> None:
    """Add the options of a duet; one that names a side makes the run a duet."""
    for name, metavar, details, text in OPTIONS:
        metavars = {"metavar": metavar} if metavar else {}
        group.addoption(name, **metavars, help=text, **{"default": None, **details})
