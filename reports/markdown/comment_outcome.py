"""The cases of a duet sorted by what became of them, for a comment."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torchduet.bench.record.duets.gate import has_too_few_pairs, is_blind, judged, memory_of
from torchduet.bench.record.duets.words import ordered
from torchduet.bench.record.schema import Record

CHANGED = ("more", "less")  # of peak memory


@dataclass(frozen=True)
class Outcome:
    """The cases of a duet, without controls: each is in one of the first six.

    Attributes:
        more_memory, less_memory: neither slower nor faster, but their peak memory has changed.
        unclear: the interval does not decide.
        too_few: there are too few pairs for an interval.
        controls: cases that import none of the changed files.
    """

    slower: tuple[Record, ...]
    faster: tuple[Record, ...]
    more_memory: tuple[Record, ...]
    less_memory: tuple[Record, ...]
    same: tuple[Record, ...]
    unclear: tuple[Record, ...]
    too_few: tuple[Record, ...]
    controls: tuple[Record, ...]

    @property
    def moved(self) -> tuple[Record, ...]:
        """Slower first, then faster, then those whose memory alone has changed."""
        return (*self.slower, *self.faster, *self.more_memory, *self.less_memory)

    @property
    def rest(self) -> tuple[Record, ...]:
        """Those that did not move."""
        return (*self.same, *self.unclear, *self.too_few)

    @property
    def open(self) -> tuple[Record, ...]:
        """Those without a verdict that did not move otherwise, the largest effect first."""
        return tuple(ordered((*self.unclear, *self.too_few)))

    @property
    def judged(self) -> int:
        """How many cases there are, without controls."""
        return len(self.moved) + len(self.rest)

    @property
    def no_verdict(self) -> bool:
        """Whether nothing can be said of the time of any case, as for the exit code."""
        return is_blind((*self.moved, *self.rest))

    @property
    def moved_controls(self) -> tuple[Record, ...]:
        """Controls that are slower or faster, or whose memory has changed."""
        return tuple(record for record in self.controls if _moved(record))


def outcome_of(records: Sequence[Record]) -> Outcome:
    """The records of a duet by verdict, within it the largest effect first."""
    rows = ordered(records)
    cases = judged(rows)
    calm = [record for record in cases if record["against"]["verdict"] in ("same", "unclear")]
    still = [record for record in calm if not _moved(record)]
    unclear = [record for record in still if record["against"]["verdict"] == "unclear"]
    return Outcome(
        slower=_of(cases, "slower"),
        faster=_of(cases, "faster"),
        more_memory=tuple(record for record in calm if memory_of(record["against"]) == "more"),
        less_memory=tuple(record for record in calm if memory_of(record["against"]) == "less"),
        same=_of(still, "same"),
        unclear=tuple(record for record in unclear if not has_too_few_pairs(record["against"])),
        too_few=tuple(record for record in unclear if has_too_few_pairs(record["against"])),
        controls=tuple(record for record in rows if record["against"].get("control")),
    )


def _of(records: Sequence[Record], verdict: str) -> tuple[Record, ...]:
    return tuple(record for record in records if record["against"]["verdict"] == verdict)


def _moved(record: Record) -> bool:
    against = record["against"]
    return against["verdict"] in ("slower", "faster") or memory_of(against) in CHANGED
