"""What a fleet has measured, beside the files of its machines."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from torchduet.bench.fleet.kinds import Kind, listed
from torchduet.bench.fleet.queue import Queue


@dataclass
class Result:
    """What a fleet has measured, beside its files.

    Attributes:
        kinds: by name.
        unreached: kind's name → families that no machine has measured.
        failed: kind's name → families that were given up, with the reason.
        hints: lines for the terminal.
        stopped: why it ended early; empty if it did not.
    """

    kinds: Mapping[str, Kind]
    unreached: Mapping[str, Sequence[str]]
    failed: Mapping[str, Mapping[str, str]]
    hints: list[str] = field(default_factory=list)
    stopped: str = ""


def result_of(queue: Queue, kinds: Mapping[str, Kind], hints: Sequence[str], stopped: str) -> Result:
    """What is measured so far, and what is not."""
    over = {kind: {*queue.measured(kind), *queue.failed(kind)} for kind in kinds}
    left = {name: [family for family in kind.families if family not in over[name]] for name, kind in kinds.items()}
    return Result(
        kinds,
        unreached={kind: families for kind, families in left.items() if families},
        failed={kind: failed for kind in kinds if (failed := queue.failed(kind))},
        hints=list(dict.fromkeys(hints)),
        stopped=stopped,
    )


def words(result: Result) -> list[str]:
    """A line for each kind of machine that has families left, and for each family that was given up."""
    lines = []
    for kind, left in result.unreached.items():
        number = f"{len(left)} of {len(result.kinds[kind].families)} families"
        lines.append(f"{kind}: {number} are not measured: {listed(left, 5)}")
    for kind, failed in result.failed.items():
        lines += [f"{kind}: {name} has failed: {reason}" for name, reason in failed.items()]
    return lines
