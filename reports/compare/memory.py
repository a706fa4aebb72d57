"""Says in words in which cases of a comparison the peak memory of a call has changed."""

from __future__ import annotations

from torchduet.bench.record.duets.peak_memory import LEAST_BYTES, THRESHOLD
from torchduet.reports.compare.comparison import Change, Comparison
from torchduet.reports.text import units


def peaks(change: Change) -> tuple[int, int] | None:
    """The most bytes that a call held beyond its inputs, in the base and in the new run; None unless both say."""
    if change.memory is None or change.base is None or change.new is None:
        return None
    return change.base["peak_bytes"], change.new["peak_bytes"]


def words(change: Change) -> str:
    """``1.20 MiB → 2.40 MiB``; empty where the peak has not changed."""
    both = peaks(change)
    if both is None or change.memory == "same":
        return ""
    base, new = map(units.size, both)
    return f"{base} → {new}"


def added(change: Change) -> int | None:
    """By how many bytes the peak has grown; None where it has not changed."""
    both = peaks(change)
    return None if both is None or change.memory == "same" else both[1] - both[0]


def grown(comparison: Comparison) -> list[Change]:
    """The cases that need more memory than in the base, the one with the most additional bytes first."""
    more = [change for change in comparison.changes if change.memory == "more"]
    return sorted(more, key=lambda change: -(added(change) or 0))


def need_more(comparison: Comparison) -> str:
    """``2 cases need more memory``, for a headline; empty where none does."""
    number = len(grown(comparison))
    return f"{_need(number)} more memory" if number else ""


def sentence(comparison: Comparison) -> str:
    """How many cases need more and less memory, and from which change on they count; empty where none does."""
    less = sum(change.memory == "less" for change in comparison.changes)
    counts = list(filter(None, (need_more(comparison), f"{_need(less)} less memory" if less else "")))
    if not counts:
        return ""
    return (
        f"{' and '.join(counts)}: the peak of a call differs by more than {units.percent(THRESHOLD)}, and by "
        f"{LEAST_BYTES // 1024} KiB or more."
    )


def unknown(comparison: Comparison) -> bool:
    """Whether no case has its peak memory in both runs."""
    return all(change.memory is None for change in comparison.changes)


def _need(number: int) -> str:
    return "1 case needs" if number == 1 else f"{number} cases need"
