"""Measures the time per call that the harness adds, in alternation with other timers."""

from __future__ import annotations

import math
import timeit
from statistics import median

ROUNDS = 200
BLOCK_CALLS = 1000


def nothing() -> None:
    """The empty function: its time is all overhead."""


def overhead() -> list[str]:
    """The overhead of a block beside ``timeit`` and ``torch.utils.benchmark``, interleaved in this process."""
    import torch
    import torch.utils.benchmark

    from torchduet.bench.timing.clock import CpuClock

    torch.set_num_threads(1)
    clock = CpuClock()
    x, y = torch.ones(1), torch.ones(1)
    add = torch.add
    empty_timer = timeit.Timer("f()", globals={"f": nothing})
    add_timer = torch.utils.benchmark.Timer("f(x, y)", globals={"f": add, "x": x, "y": y})
    empty_blocks, empty_timeit, add_blocks, add_torch = [], [], [], []
    for _ in range(ROUNDS):
        empty_blocks.append(clock.block(nothing, (), BLOCK_CALLS).seconds)
        empty_timeit.append(empty_timer.timeit(BLOCK_CALLS) / BLOCK_CALLS)
        add_blocks.append(clock.block(add, (x, y), BLOCK_CALLS).seconds)
        add_torch.append(add_timer.timeit(BLOCK_CALLS).median)
    block, reference = median(empty_blocks) * 1e9, median(empty_timeit) * 1e9
    ratio = math.exp(median(math.log(a / b) for a, b in zip(add_blocks, add_torch, strict=True)))
    return [
        f"{ROUNDS} rounds of blocks of {BLOCK_CALLS} calls, interleaved; medians per call",
        f"empty function      block {block:8.1f} ns   timeit                {reference:8.1f} ns   "
        f"difference {block - reference:+.1f} ns",
        f"torch.add, 1 value  block {median(add_blocks) * 1e9:8.1f} ns   torch.utils.benchmark "
        f"{median(add_torch) * 1e9:8.1f} ns   ratio {ratio:.4f}",
    ]
