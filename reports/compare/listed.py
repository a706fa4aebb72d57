"""Chooses the cases of a comparison that are listed, each group under its heading."""

from __future__ import annotations

from torchduet.reports.compare import memory
from torchduet.reports.compare.comparison import Change, Comparison
from torchduet.reports.compare.matrix import MOVED

TITLES = {
    "failed": "Failed in the new run",
    "missing": "Missing from the new run",
    "new": "New",
    "speed-up alone": "Only the speed-up is shown to have changed, through the case or its reference",
    "memory alone": "Need more memory, and no change of their time is shown",
}


def moved(comparison: Comparison) -> dict[str, list[Change]]:
    """The cases that changed, by what shows it: slower, faster, only the speed-up, only the peak memory.

    A group without a case is left out.
    """
    groups = {verdict: comparison.of(verdict) for verdict in MOVED}
    groups["speed-up alone"] = speedups_moved(comparison)
    named = {change.case["id"] for group in groups.values() for change in group}
    groups["memory alone"] = [change for change in memory.grown(comparison) if change.case["id"] not in named]
    return {name: group for name, group in groups.items() if group}


def still(comparison: Comparison) -> dict[str, list[Change]]:
    """The cases that nothing shows to have changed, unclear first; a verdict without a case is left out."""
    listed = {change.case["id"] for group in moved(comparison).values() for change in group}
    groups = {
        verdict: [change for change in comparison.of(verdict) if change.case["id"] not in listed]
        for verdict in ("unclear", "same")
    }
    return {verdict: group for verdict, group in groups.items() if group}


def speedups_moved(comparison: Comparison) -> list[Change]:
    """Cases whose speed-up is shown to have changed though their time is not."""
    return [
        change
        for change in comparison.changes
        if change.speedup and change.speedup.verdict in MOVED and change.verdict != change.speedup.verdict
    ]


def title_of(group: str) -> str:
    """The heading over the cases of a group or a verdict."""
    return TITLES.get(group, group.capitalize())


def ordered(comparison: Comparison) -> list[Change]:
    """The cases that both runs measured: slower, faster, unclear, same; of each, the largest shift first."""
    return [change for verdict in ("slower", "faster", "unclear", "same") for change in comparison.of(verdict)]
