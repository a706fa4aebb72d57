"""The time per call that the harness itself adds, beside other timers in the same minute."""

from __future__ import annotations

import math
import timeit
from statistics import median

ROUNDS = 200
BLOCK_CALLS = 1000


def nothing() -> None:
    """The empty function whose cost is all overhead."""


def overhead() -> list[str]:
    """Own overhead beside ``timeit`` and ``torch.utils.benchmark``, interleaved in this process."""
    import torch
    import torch.utils.benchmark

    from torchduet.bench.timing.clock import CpuClock

    torch.set_num_threads(1)
    clock = CpuClock()
    x, y = torch.ones(1), torch.ones(1)
    add = torch.add
    plain = timeit.Timer("f()", globals={"f": nothing})
    theirs = torch.utils.benchmark.Timer("f(x, y)", globals={"f": add, "x": x, "y": y})
    ours_empty, timeit_empty, ours_add, theirs_add = [], [], [], []
    for _ in range(ROUNDS):
        ours_empty.append(clock.block(nothing, (), BLOCK_CALLS).seconds)
        timeit_empty.append(plain.timeit(BLOCK_CALLS) / BLOCK_CALLS)
        ours_add.append(clock.block(add, (x, y), BLOCK_CALLS).seconds)
        theirs_add.append(theirs.timeit(BLOCK_CALLS).median)
    empty, bare = median(ours_empty) * 1e9, median(timeit_empty) * 1e9
    ratio = math.exp(median(math.log(a / b) for a, b in zip(ours_add, theirs_add, strict=True)))
    return [
        f"{ROUNDS} rounds of blocks of {BLOCK_CALLS} calls, interleaved; medians per call",
        f"empty function      block {empty:8.1f} ns   timeit                {bare:8.1f} ns   "
        f"difference {empty - bare:+.1f} ns",
        f"torch.add, 1 value  block {median(ours_add) * 1e9:8.1f} ns   torch.utils.benchmark "
        f"{median(theirs_add) * 1e9:8.1f} ns   ratio {ratio:.4f}",
    ]
