"""How far the machine's speed moved: by the pilots around a family, and by its own times over its placements."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from statistics import median

from torchduet.bench.record.schema import PilotRecord

WINDOW = 3  # placements


def pilots_moved(pilots: Iterable[PilotRecord]) -> float | None:
    """Slowest over fastest, less one, of the kind that moved most; None for fewer than two pilots.

    Of ten and more, a tenth at either end is left out.
    """
    taken = [pilot["seconds"] for pilot in pilots]
    if len(taken) < 2:
        return None
    trimmed = len(taken) // 10
    ordered = (sorted(one[kind] for one in taken) for kind in taken[0])
    return max(times[-1 - trimmed] / times[trimmed] for times in ordered) - 1


def around(pilots: Sequence[PilotRecord], begun: float, ended: float) -> list[PilotRecord]:
    """The last pilots before ``begun``, the first after ``ended``, and those between (seconds into the run)."""
    before = [index for index, pilot in enumerate(pilots) if pilot["at"] <= begun]
    after = [index for index, pilot in enumerate(pilots) if pilot["at"] >= ended]
    first, last = before[-1] if before else 0, after[0] if after else len(pilots) - 1
    return list(pilots[first : last + 1])


def drift(cases: Iterable[Sequence[Sequence[float]]]) -> float | None:
    """How much slower a family's slowest stretch was than its fastest (0.35: 35 %).

    A placement's level is the median over cases of its log time, each case's own median taken off. Of
    three neighbouring levels the middle one counts: one placement may lie badly in memory, a machine that
    slows down stays so for longer.

    Args:
        cases: seconds per call per placement and round, of the cases timed together.
    """
    logs = []
    for blocks in cases:
        case = [math.log(median(rounds)) for rounds in blocks if rounds]
        if case:
            centre = median(case)
            logs.append([value - centre for value in case])
    shared = min((len(case) for case in logs), default=0)
    if shared < 2 * WINDOW:
        return None
    levels = [median(case[place] for case in logs) for place in range(shared)]
    smooth = [median(levels[place : place + WINDOW]) for place in range(shared - WINDOW + 1)]
    return math.exp(max(smooth) - min(smooth)) - 1
