"""The pilots of a GPU: three small fixed workloads whose times measure its present speed, as those of the CPU do.

They run in a worker of their own, which ends before the next one starts: no context stays on the GPU, and a GPU that
allows one process at a time (compute mode EXCLUSIVE_PROCESS) has its pilots, too. A context takes some hundred MiB of
its memory meanwhile, and a part of a second to make.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from time import perf_counter

import torch

from torchduet.bench.timing.clock import Clock
from torchduet.bench.timing.device_registry import device_of
from torchduet.bench.timing.precision import matmul_precision

SIDE = 2048  # 17 billion operations: tens of microseconds on tensor cores, 2 ms on a small GPU in fp32
MIN_COPIED, L2_SIZES = 2**26, 2  # bytes read and as many written: at least, and as a multiple of the L2
KERNELS = 100
WARM_UP_SECONDS = 0.05  # of products, before anything is timed: an idle GPU lowers its clocks

Unit = Callable[[], object]


def arithmetic(device: torch.device) -> Unit:
    """One matrix product of 2048 × 2048, in bf16 where the GPU has it, else in fp32."""
    has_bf16 = torch.cuda.get_device_capability(device) >= (8, 0)
    dtype = torch.bfloat16 if has_bf16 or torch.version.hip else torch.float32
    x, y = (torch.full((SIDE, SIDE), value, device=device, dtype=dtype) for value in (0.5, 2.0))
    out = torch.empty_like(x)
    return lambda: torch.mm(x, y, out=out)


def memory(device: torch.device) -> Unit:
    """A copy of twice as much as the L2 holds, of 64 MiB or more."""
    cached = getattr(torch.cuda.get_device_properties(device), "L2_cache_size", 0)
    source = torch.ones(max(MIN_COPIED, L2_SIZES * cached) // 4, device=device)
    target = torch.zeros_like(source)
    return lambda: target.copy_(source)


def launch(device: torch.device) -> Unit:
    """A hundred kernels on one value, each launched by an operator."""
    x = torch.zeros(1, device=device)

    def unit() -> None:
        for _ in range(KERNELS):
            x.add_(1.0)

    return unit


PILOTS: Mapping[str, Callable[[torch.device], Unit]] = {"arithmetic": arithmetic, "memory": memory, "launch": launch}


@contextlib.contextmanager
def warm(name: str) -> Iterator[tuple[dict[str, Unit], Clock]]:
    """The pilots of a GPU that has been busy for a while, with its clock; fp32 is strictly fp32 meanwhile."""
    device = device_of(name)
    clock = device.clock()
    with matmul_precision("fp32"):
        units = {kind: make(device.torch_device) for kind, make in PILOTS.items()}
        units["arithmetic"]()
        began = perf_counter()
        while perf_counter() - began < WARM_UP_SECONDS:
            clock.block(units["arithmetic"], (), 1)
        yield units, clock
