"""Whether two files hold one and the same run, so that there is nothing to compare."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

from torchduet.reports.read.run_file import Run


def sameness(runs: Sequence[tuple[str, Run]]) -> str:
    """What two of these files have in common that only one run can have; empty if all are different runs.

    Args:
        runs: each with the path by which its user knows it.
    """
    for (first, one), (second, other) in combinations(runs, 2):
        began = one.about["started"]
        if not began or began != other.about["started"]:
            continue
        if one.about == other.about and one.records == other.records:
            return f"{second}: is the same run as {first}: their contents are the same"
        if one.commit == other.commit and one.about["machine"] == other.about["machine"]:
            return f"{second}: is the same run as {first}: both began at {began} on the same machine and commit"
    return ""
