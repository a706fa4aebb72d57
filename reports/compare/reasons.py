"""Says of each case of a comparison in a few words how it changed; of an unclear one why, and what to do."""

from __future__ import annotations

from torchduet.reports.compare.comparison import Change
from torchduet.reports.compare.verdicts import Finding
from torchduet.reports.text import units

DUET = "use a duet"
TODO = {
    "moved": DUET,
    "apart": DUET,
    "own": "longer --budget, or a duet",
    "many": "use a duet",
    "withheld": "close what else runs, or fewer --threads",
    "visits": "longer --budget",
    "placements": "longer --budget",
    "unguarded": "measure both again, with pilots",
    "families": "measure more cases, or use a duet",
}
SHORT = {
    "moved": "perhaps the machine",
    "apart": "two such runs differ as much",
    "own": "varies too much",
    "many": "by chance, among so many",
    "withheld": "no verdict in a run, for lack of free cores",
    "visits": "visited too seldom",
    "placements": "too few placements",
    "unguarded": "nothing shows how much the machine changed",
    "families": "too few cases to judge by",
}


def times_words(finding: Finding) -> str:
    """``takes 1.80 times as long``, ``is 1.25 times as fast``: the change, whatever the verdict."""
    if finding.ratio < 1:
        return f"takes {units.digits(1 / finding.ratio)} times as long"
    return f"is {units.digits(finding.ratio)} times as fast"


def in_words(change: Change) -> str:
    """``takes 1.80 times as long``; ``unchanged within ±5 %``; of an unclear case why, and what to do."""
    finding = change.time
    if finding is None:
        return change.why
    if change.verdict in ("slower", "faster"):
        return times_words(finding)
    if change.verdict == "same":
        return f"unchanged within ±{units.percent(change.threshold)}"
    return f"{SHORT[finding.cause]}: {TODO[finding.cause]}"


def ratio_of(finding: Finding | None) -> str:
    """``0.88× (0.84 to 0.91)``."""
    if finding is None:
        return ""
    interval = units.ratio_interval(finding.low, finding.high)
    return f"{units.ratio(finding.ratio)} ({interval})" if interval else units.ratio(finding.ratio)


def speedup_of(finding: Finding | None) -> str:
    """``0.89× slower``."""
    return f"{units.ratio(finding.ratio)} {finding.verdict}" if finding else ""
