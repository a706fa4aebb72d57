"""How much the machine's speed changed: by the pilots around a family, and by the family's own times."""

from __future__ import annotations

import math
from collections.abc import Container, Iterable, Sequence
from statistics import median

from torchduet.bench.record.devices import HOST, device_of_pilot
from torchduet.bench.record.schema import PilotRecord

WINDOW = 3  # placements


def pilots_change(pilots: Iterable[PilotRecord], devices: Container[str] = (HOST,)) -> float | None:
    """Slowest over fastest, less one, of the kind that changed most; None for fewer than two pilots.

    Of ten or more pilots, a tenth at either end is left out. A kind that one of the pilots lacks does not count.

    Args:
        devices: the kinds of pilots on these count.
    """
    seconds = [pilot["seconds"] for pilot in pilots]
    if len(seconds) < 2:
        return None
    trimmed = len(seconds) // 10
    kinds = [kind for kind in seconds[0] if device_of_pilot(kind) in devices and all(kind in of for of in seconds)]
    ordered = (sorted(of_kinds[kind] for of_kinds in seconds) for kind in kinds)
    return max((times[-1 - trimmed] / times[trimmed] - 1 for times in ordered), default=None)


def pilots_around(pilots: Sequence[PilotRecord], begun: float, ended: float) -> list[PilotRecord]:
    """The last pilot before ``begun``, the first after ``ended``, and those between (seconds into the run)."""
    before = [index for index, pilot in enumerate(pilots) if pilot["at"] <= begun]
    after = [index for index, pilot in enumerate(pilots) if pilot["at"] >= ended]
    first, last = before[-1] if before else 0, after[0] if after else len(pilots) - 1
    return list(pilots[first : last + 1])


def drift(cases: Iterable[Sequence[Sequence[float]]]) -> float | None:
    """How much slower a family was at its slowest than at its fastest (0.35: 35 %); None with too few placements.

    A placement's level is the median over cases of its log time, less each case's own median. The median of three
    neighbouring levels counts: a single placement may lie unluckily in memory, but a machine that slows down stays
    slow for longer.

    Args:
        cases: seconds per call per placement and round, of the cases timed together.
    """
    deviations = []
    for blocks in cases:
        logs = [math.log(median(rounds)) for rounds in blocks if rounds]
        if logs:
            centre = median(logs)
            deviations.append([value - centre for value in logs])
    placements = min((len(case) for case in deviations), default=0)
    if placements < 2 * WINDOW:
        return None
    levels = [median(case[placement] for case in deviations) for placement in range(placements)]
    smooth = [median(levels[start : start + WINDOW]) for start in range(placements - WINDOW + 1)]
    return math.exp(max(smooth) - min(smooth)) - 1
