"""Detects that two files hold the same run, so that there is nothing to compare."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

from torchduet.reports.read.run_file import Run


def sameness(runs: Sequence[tuple[str, Run]]) -> str:
    """Why two of these files hold the same run, in one line; empty if all are different runs.

    Args:
        runs: each with the path that the user gave.
    """
    for (first_path, first), (second_path, second) in combinations(runs, 2):
        began = first.about["started"]
        if not began or began != second.about["started"]:
            continue
        same = f"{second_path}: is the same run as {first_path}"
        if first.about == second.about and first.records == second.records:
            return f"{same}: their contents are the same"
        if first.commit == second.commit and first.about["machine"] == second.about["machine"]:
            return f"{same}: both began at {began} on the same machine and commit"
    return ""
