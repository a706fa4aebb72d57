"""What would help against noise, in words."""

from __future__ import annotations

import math
from typing import NamedTuple

SLACK = 0.25  # cores: load by others that fits beside the threads although their sum says otherwise


class Remedy(NamedTuple):
    """What would help, and against what: of several against one thing, a run names the first."""

    against: str
    words: str


ELSEWHERE = Remedy("the host", "a quieter hour, a longer --budget, or a machine without other tenants")
STEADY_CLOCKS = Remedy(
    "clocks", "steady clocks (cpupower frequency-set -g performance, no turbo), or a longer --budget"
)
UNSTOPPED = Remedy("stops", "a run that is not stopped (Ctrl-Z, cpulimit), on a machine that is not suspended")
GPU_CLOCKS = {
    "power cap": "fixed GPU clocks below the power cap (nvidia-smi -lgc)",
    "temperature": "better cooling of the GPU, or fixed clocks (nvidia-smi -lgc)",
}


def room(threads: int, cores: int, others: float | None) -> Remedy:
    """How to make room: as many threads as there are cores free, or fewer neighbours.

    Args:
        others: cores that these keep busy, if that is known.
    """
    free = math.floor(cores - (others or 0.0) + SLACK)
    if free >= threads or threads == 1:
        return Remedy("load", "close what else is running")
    also = "or" if free >= 1 else "and"
    return Remedy("load", f"use --threads {max(free, 1)}, {also} close what else is running")


def one_less(threads: int) -> Remedy:
    """Where there are as many threads as cores."""
    return Remedy("load", f"use --threads {threads - 1}, which leaves a core to others")
