"""The pilots: three small fixed workloads whose times measure the machine's present speed, independent of its counters.

A shared machine may run at half speed for seconds without any load or steal time of its own; only a known amount of
work shows that. The pilots are the same in every run, so that their times differ only if the machine does. They are
timed in a separate worker; the noise monitor decides when. Those of a GPU are in ``gpu_pilots``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from statistics import median
from time import perf_counter

import torch

from torchduet.bench.cases.exchange import PilotTask
from torchduet.bench.timing.clock import Clock, CpuClock

SIDE = 128  # 3 · 128² float32 are 192 KiB: within the L2 of one core
COPIED = 2**22  # bytes read and as many written: beyond the L2. Beyond the L3, copies vary by factors on their own
OPERATORS = 100
BLOCK_SECONDS = 1e-3
MIN_BLOCKS, MAX_BLOCKS = 3, 25


def arithmetic() -> Callable[[], object]:
    """One matrix product of 128 × 128: 4 million operations on data in the cache."""
    x, y = (torch.full((SIDE, SIDE), value) for value in (0.5, 2.0))
    out = torch.empty(SIDE, SIDE)
    return lambda: torch.mm(x, y, out=out)


def memory() -> Callable[[], object]:
    """A copy of 4 MiB."""
    source = torch.ones(COPIED // 4)
    target = torch.zeros_like(source)
    return lambda: target.copy_(source)


def calls() -> Callable[[], object]:
    """A hundred operators on one value: the interpreter and PyTorch's dispatcher."""
    x = torch.zeros(1)

    def unit() -> None:
        for _ in range(OPERATORS):
            x.add_(1.0)

    return unit


PILOTS: dict[str, Callable[[], Callable[[], object]]] = {"arithmetic": arithmetic, "memory": memory, "calls": calls}


def measure_pilots(task: PilotTask) -> dict[str, float]:
    """Seconds per unit of each pilot, of the CPU (``memory``) or of the task's GPUs (``cuda:0 memory``)."""
    torch.set_num_threads(task.threads)
    if not task.devices:
        return median_seconds({name: make() for name, make in PILOTS.items()}, CpuClock(), task.seconds)
    from torchduet.bench.passes import gpu_pilots

    seconds: dict[str, float] = {}
    for device in task.devices:
        with gpu_pilots.warm(device) as (units, clock):
            times = median_seconds(units, clock, task.seconds)
        seconds |= {f"{device} {name}": value for name, value in times.items()}
    return seconds


def median_seconds(units: Mapping[str, Callable[[], object]], clock: Clock, seconds: float) -> dict[str, float]:
    """Seconds per unit of each: the median of short blocks, taken in turns for about ``seconds`` in total."""
    deadline = perf_counter() + seconds
    length: dict[str, int] = {}
    for name, unit in units.items():
        unit()
        length[name] = max(1, round(BLOCK_SECONDS / max(clock.block(unit, (), 1).seconds, 1e-9)))
    blocks: dict[str, list[float]] = {name: [] for name in units}
    for taken in range(MAX_BLOCKS):
        if taken >= MIN_BLOCKS and perf_counter() >= deadline:
            break
        for name, unit in units.items():
            block = clock.block(unit, (), length[name])
            blocks[name].append(block.seconds)
            # With more threads than free cores, a unit may take a hundred times as long as the first.
            length[name] = max(1, min(length[name], round(2 * BLOCK_SECONDS / max(block.seconds, 1e-9))))
    return {name: median(times) for name, times in blocks.items()}
