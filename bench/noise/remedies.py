"""What would help against noise, in words."""

from __future__ import annotations

import math
from typing import NamedTuple

SLACK = 0.25  # cores: load by others that does not disturb the threads, though the sum exceeds the cores


class Remedy(NamedTuple):
    """What would help, and against what; of several remedies against the same thing, a run names the first."""

    against: str
    words: str


QUIETER_MACHINE = Remedy("the host", "a quieter hour, a longer --budget, or a machine without other tenants")
STEADY_CLOCKS = Remedy(
    "clocks", "steady clocks (cpupower frequency-set -g performance, no turbo), or a longer --budget"
)
NO_SUSPENSION = Remedy("suspension", "a run that is not suspended (Ctrl-Z, cpulimit), on a machine that is not either")
IDLE_GPU = Remedy(
    "the GPU's load", "end what else computes on the GPU, or choose another one (--device, CUDA_VISIBLE_DEVICES)"
)
STEADY_GPU_CLOCKS = Remedy("gpu", "fixed GPU clocks (nvidia-smi -lgc), or a longer --budget")
GPU_CLOCKS = {
    "power cap": "fixed GPU clocks below the power cap (nvidia-smi -lgc)",
    "temperature": "better cooling of the GPU, or fixed clocks (nvidia-smi -lgc)",
}


FEWER_RANKS = "use fewer --ranks"


def make_room(threads: int, cores: int, others: float | None, *, ranks: bool = False) -> Remedy:
    """As many threads as there are free cores, or fewer other processes.

    Args:
        ranks: the threads are those of several processes.
        others: cores that other processes keep busy; None: not known.
    """
    free = math.floor(cores - (others or 0.0) + SLACK)
    if free >= threads or threads == 1:
        return Remedy("load", "close what else is running")
    conjunction = "or" if free >= 1 else "and"
    fewer = FEWER_RANKS if ranks else f"use --threads {max(free, 1)}"
    return Remedy("load", f"{fewer}, {conjunction} close what else is running")


def one_thread_fewer(threads: int, *, ranks: bool = False) -> Remedy:
    """For a run with as many threads as cores, or a case with as many ranks."""
    fewer = FEWER_RANKS if ranks else f"use --threads {threads - 1}"
    return Remedy("load", f"{fewer}, which leaves a core to other processes")
