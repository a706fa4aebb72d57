"""Imports the user's suites on a side before anything is measured, and looks at what that took."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

from torchduet.bench.duet.revision.imported import own_files, own_imports, refused_imports
from torchduet.bench.state.at_import import imported
from torchduet.suites.registry import load
from torchduet.suites.workload import SuiteError


def import_suites(sources: Sequence[str], threads: int) -> dict[str, Any]:
    """Import suites of the user: which files of the repository that took, and why they are not those of this side."""
    error = None
    try:
        for source in sources:
            imported(partial(load, source), source, threads)
    except SuiteError as problem:
        error = str(problem)
    return {"error": error, "refused": refused_imports(), "imported": own_imports(), "files": own_files()}
