"""Measures the machine's ceilings: the fastest matrix products, memory traffic and operators.

The bounds of the roofline model (Williams, Waterman & Patterson 2009, *Roofline: an insightful visual performance model
for multicore architectures*), with a third roof for the cost of an operator. A ceiling is the best block, not the
median: no result may lie above it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from time import perf_counter
from typing import Any

import torch

from torchduet.bench.cases.exchange import CeilingTask
from torchduet.bench.record.knobs import PURE_SUFFIX
from torchduet.bench.record.schema import CeilingRecord
from torchduet.bench.timing.clock import Clock, DelayingClock
from torchduet.bench.timing.device_registry import device_of
from torchduet.bench.timing.precision import AUTOCAST_DTYPE, matmul_precision

PATTERN_SECONDS = 0.03
PATTERNS = 36  # about how many are timed on a device
LONGEST_CALL = 0.1
BLOCK_SECONDS = 1e-3
MAX_HIDDEN_SECONDS = 1e-3  # of launching behind a delay kernel
SIZES = (256, 512, 1024, 2048, 4096, 8192)
CHAIN = 64
FLOAT = 4  # bytes of a float32


def best(
    clock: Clock, call: Callable[..., Any], args: Sequence[Any] = (), *, seconds: float, launched: bool = False
) -> float:
    """Seconds per call of the fastest block within about ``seconds``.

    Args:
        launched: with the gaps in which the device waits for launches; without them where the clock can hide them.
    """
    call(*args)
    fastest = clock.block(call, args, 1).wall
    calls = max(1, round(BLOCK_SECONDS / max(fastest, 1e-9)))
    deadline = perf_counter() + seconds
    while True:
        block = clock.block(call, args, calls, before=partial(call, *args) if clock.needs_lead_in else None)
        fastest = min(fastest, block.seconds)
        if not launched and isinstance(clock, DelayingClock):
            hidden = max(1, min(calls, int(MAX_HIDDEN_SECONDS / max(block.host, 1e-9))))
            delayed = clock.behind_delay(call, args, hidden, block.host)
            fastest = fastest if delayed is None else min(fastest, delayed.seconds)
            calls = max(1, round(BLOCK_SECONDS / max(fastest, 1e-9)))
        if perf_counter() >= deadline:
            return fastest


def matrix_product(device: str, precision: str, seconds: float = PATTERN_SECONDS) -> float:
    """Operations per second of the fastest square product, 2·n³ each; ``seconds`` for each size."""
    target = device_of(device)
    clock = target.clock()
    dtype = AUTOCAST_DTYPE.get(precision, torch.float32)
    fastest, predicted = 0.0, 0.0
    for n in SIZES:
        if n > target.largest_product or predicted > min(LONGEST_CALL, 4 * seconds):
            break
        x, y = (torch.randn(n, n, device=target.torch_device).to(dtype) for _ in range(2))
        out = torch.empty_like(x)

        def product(x: torch.Tensor = x, y: torch.Tensor = y, out: torch.Tensor = out) -> None:
            torch.mm(x, y, out=out)

        with matmul_precision(precision):
            seconds_per_product = best(clock, product, seconds=seconds)
        fastest = max(fastest, 2.0 * n**3 / seconds_per_product)
        predicted = 8 * seconds_per_product
    return fastest


def memory_traffic(device: str, working_set: int, seconds: float = PATTERN_SECONDS) -> float:
    """Bytes per second of the fastest of copying, adding, reading (one, two) and filling ``working_set`` bytes."""
    target = device_of(device)
    clock = target.clock()
    rates = []
    for operands, call in (
        (2, lambda source, target: target.copy_(source)),
        (3, lambda x, y, out: torch.add(x, y, out=out)),
        (1, torch.Tensor.amax),
        (2, torch.dot),
        (1, torch.Tensor.zero_),
    ):
        # One allocation, of which the operands are views: a view takes as long to make as a small set to read.
        parts = torch.ones(operands, working_set // FLOAT // operands, device=target.torch_device)
        rates.append(parts.numel() * FLOAT / best(clock, call, tuple(parts), seconds=seconds))
    return max(rates)


def operator(device: str, seconds: float = PATTERN_SECONDS) -> float:
    """Seconds of the cheapest operator: on one value, called from Python, or by autograd from C++."""
    target = device_of(device)
    clock = target.clock()
    x = torch.ones(1, device=target.torch_device)
    leaf = torch.ones(1, device=target.torch_device, requires_grad=True)
    y = leaf
    for _ in range(CHAIN):
        y = y.neg()

    def backward() -> None:
        torch.autograd.grad(y, leaf, retain_graph=True)

    return min(
        best(clock, x.neg_, seconds=seconds, launched=True),
        best(clock, backward, seconds=seconds, launched=True) / CHAIN,
    )


def measure_ceilings(task: CeilingTask) -> list[CeilingRecord]:
    """Every ceiling of the task, in this process; with little time, without the large working sets."""
    torch.set_num_threads(task.threads)
    seconds = task.seconds / PATTERNS / max(len(task.devices), 1)
    ceilings = []
    for device in task.devices:
        target = device_of(device)
        ceilings.append(
            CeilingRecord(
                device=device,
                flops_per_second={
                    precision: matrix_product(device, precision, seconds)
                    for precision in task.precisions
                    if {precision, f"{precision}{PURE_SUFFIX}"} & {*target.precisions}
                },
                bytes_per_second={
                    str(size): memory_traffic(device, size, seconds)
                    for size in target.working_sets
                    if size < target.long_working_set or seconds >= PATTERN_SECONDS / 2
                },
                operator_seconds=operator(device, seconds),
            )
        )
    return ceilings
