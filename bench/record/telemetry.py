"""What is kept of the machine while a family was timed: its counters, interruptions, the GPU's clocks. Plain data.

A family's noise follows from it only once the pilots after the family are known (``bench.noise``).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Telemetry:
    """What the counters say of the time between two readings; None: not known here.

    Attributes:
        seconds: how long it was.
        others: cores that other processes kept busy, of those that this process may use.
        steal: share of these cores' time that the hypervisor kept back.
        stopped: share of the time for which the container's quota of CPU time was used up.
        quota: cores that the container may use at once on average.
        swapped: pages read from and written to swap.
        throttled: how often a core or its package was slowed down for its temperature.
        slowest, fastest: Hz; of the fastest core at each look, the least and the greatest.
        governor: cpufreq's policy for the clocks.
        virtual: whether this is a virtual machine.
    """

    seconds: float
    others: float | None = None
    steal: float | None = None
    stopped: float | None = None
    quota: float | None = None
    swapped: int | None = None
    throttled: int | None = None
    slowest: float | None = None
    fastest: float | None = None
    governor: str | None = None
    virtual: bool | None = None


@dataclass(frozen=True, slots=True)
class Interrupted:
    """How often blocks were interrupted.

    Attributes:
        share: of the blocks; None: not counted here.
        rate: interruptions per second of blocks; None: not counted here.
        loaders: what was timed has DataLoader workers of its own.
        stood_still: seconds for which the process was stopped or the machine suspended in blocks, at the most.
        left_out: blocks that were therefore left out, and taken again.
        kept: blocks that counted all the same.
    """

    share: float | None
    rate: float | None
    loaders: bool
    stood_still: float = 0.0
    left_out: int = 0
    kept: int = 0


@dataclass(frozen=True, slots=True)
class Timed:
    """A family that was timed, from when to when (seconds into the run).

    Attributes:
        drift: how much slower its slowest stretch was than its fastest; None: not known.
        whole: interruptions of the family.
        each: case id → interruptions of that case.
        gpu: reason for lowered clocks → share of the looks at which it held.
        left_open: its verdicts are open in the records already.
    """

    begun: float
    ended: float
    telemetry: Telemetry
    drift: float | None
    whole: Interrupted
    each: Mapping[str, Interrupted]
    gpu: Mapping[str, float]
    left_open: bool = False
