"""The machine's counters, context switches and GPU clocks while a family was timed. Plain data.

How a family's noise follows from them is left to ``bench.noise``: the pilots after the family are needed, too.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Telemetry:
    """What the counters say of the time between two readings; None: not known here.

    Attributes:
        seconds: the length of that time.
        others: cores that other processes kept busy, of those that this process may use.
        steal: share of these cores' time that the hypervisor kept back.
        stopped: share of the time for which the container was throttled, as its quota of CPU time was used up.
        quota: cores that the container may use at once on average.
        swapped: pages read from and written to swap.
        throttled: how often a core or its package was slowed down for its temperature.
        slowest, fastest: Hz; the least and the greatest of the samples, each of which is that of the fastest core.
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
class BlockSwitches:
    """How often context switches fell into blocks, and how many blocks were left out.

    Attributes:
        share: of the blocks with a context switch; None: not counted here.
        rate: context switches per second of blocks; None: not counted here.
        loaders: what was timed has DataLoader workers of its own.
        stood_still: seconds for which the process or the machine was suspended during blocks, at most.
        left_out: blocks that were therefore left out, and taken again.
        kept: blocks that counted nevertheless.
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
        drift: how much slower it was at its slowest than at its fastest (0.35: 35 %); None: not known.
        whole: context switches of the family.
        each: case id → context switches of that case.
        gpu: reason for lowered clocks → share of the samples in which it held.
        left_open: its verdicts are withheld in the records already.
        devices: case id → ``cuda:0``, of its cases on accelerators.
        threads: of all its processes together, where cases run in several at once; None: those of the run.
        used_by_others: ``cuda:0`` → share of the time in which other processes computed on it meanwhile, where the
            driver counts that by process.
    """

    begun: float
    ended: float
    telemetry: Telemetry
    drift: float | None
    whole: BlockSwitches
    each: Mapping[str, BlockSwitches]
    gpu: Mapping[str, float]
    left_open: bool = False
    devices: Mapping[str, str] = field(default_factory=dict)
    used_by_others: Mapping[str, float] = field(default_factory=dict)
    threads: int | None = None
