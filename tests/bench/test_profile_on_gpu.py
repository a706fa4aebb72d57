"""What a real GPU's profile says: traces of CUPTI, which the tests of the reader make up."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path
from time import perf_counter
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from torchduet.bench.cases.exchange import Extras
from torchduet.bench.passes import profiler
from torchduet.bench.timing.device_registry import device_of
from torchduet.reports.profile.categories import COPY, ELEMENTWISE, GEMM, LAUNCHING, PYTHON, REDUCTION, WAITING
from torchduet.reports.profile.device import Device
from torchduet.reports.profile.kernels import OTHER_KERNELS, SORTING
from torchduet.reports.profile.summary import Summary, summarise
from torchduet.reports.profile.trace import read

pytestmark = [
    pytest.mark.cuda,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU"),
]

DEVICE = "cuda:0"


def profiled(folder: Path, call: Callable[[], object]) -> Summary:
    """The summary of a call's profile, made as for a case."""
    device = device_of(DEVICE)
    for _ in range(3):
        call()
    device.synchronize()
    start = perf_counter()
    call()
    device.synchronize()
    run: Any = SimpleNamespace(
        ready=lambda: None,
        clock=device.clock(),
        prepared=SimpleNamespace(call=call, args=()),
        device=device,
        seconds=perf_counter() - start,
        unmetered=contextlib.nullcontext,
        in_its_state=contextlib.nullcontext,
    )
    record = profiler.profiled_calls(run, folder / "traces", Extras())
    return summarise(read(Path(record["trace"])), "case", DEVICE)


def on_gpu(summary: Summary) -> Device:
    assert summary.device is not None, "the trace has no activity of the GPU"
    return summary.device


def test_a_large_product_computes_and_the_host_waits(tmp_path: Path) -> None:
    a = torch.randn(8192, 8192, device=DEVICE)
    found = profiled(tmp_path, lambda: a @ a)
    device = on_gpu(found)
    assert device.parts[GEMM] > 0.9 * device.seconds
    assert found.share(WAITING) > 0.5 > 0.1 > found.share(PYTHON)
    assert sum(found.categories.values()) == pytest.approx(found.seconds, rel=0.02)
    assert sum(device.parts.values()) == pytest.approx(device.seconds)


def test_small_additions_leave_the_gpu_idle(tmp_path: Path) -> None:
    small = torch.ones(16, device=DEVICE)

    def additions() -> None:
        for _ in range(200):
            small.add(1)

    found = profiled(tmp_path, additions)
    assert on_gpu(found).launched == 200
    assert on_gpu(found).idle_share > 0.3
    assert found.share(LAUNCHING) > 0


def test_a_graph_that_was_captured_before_the_profile_shows_its_kernels(tmp_path: Path) -> None:
    x = torch.ones(2**20, device=DEVICE)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        for _ in range(20):
            x.add_(1)
    for name in ("first", "second"):  # the profiler detaches from the device in between
        device = on_gpu(profiled(tmp_path / name, graph.replay))
        assert (device.graphs, device.in_graphs) == (1, 20)
        assert device.parts[ELEMENTWISE] > 0


def test_reading_a_value_waits_for_what_was_launched_before(tmp_path: Path) -> None:
    a = torch.randn(4096, 4096, device=DEVICE)
    found = profiled(tmp_path, lambda: (a @ a).sum().item())
    assert found.share(WAITING) > 0.5


@pytest.mark.parametrize(
    ("kind", "call"),
    [
        (GEMM, lambda x: x @ x),
        (GEMM, lambda x: x @ x[0]),
        (GEMM, lambda x: torch.nn.functional.conv2d(x.view(1, 64, 128, 128), x[:64, :576].reshape(64, 64, 3, 3))),
        (REDUCTION, lambda x: x.softmax(-1)),
        (REDUCTION, lambda x: torch.nn.functional.layer_norm(x, (1024,))),
        (REDUCTION, lambda x: x.sum(0)),
        (ELEMENTWISE, torch.relu),
        (COPY, lambda x: x.index_select(0, torch.arange(512, device=DEVICE))),
        (COPY, lambda x: x.gather(1, torch.zeros(1024, 8, dtype=torch.int64, device=DEVICE))),
        (COPY, lambda x: torch.cat([x, x])),
        (SORTING, lambda x: x.sort(-1)),
    ],
)
def test_kernels_of_this_gpu_have_their_kind(tmp_path: Path, kind: str, call: Callable[[torch.Tensor], object]) -> None:
    x = torch.randn(1024, 1024, device=DEVICE)
    kernels = on_gpu(profiled(tmp_path, lambda: call(x))).kernels
    assert kind in {kernel.category for kernel in kernels}, [kernel.name for kernel in kernels]
    assert OTHER_KERNELS not in {kernel.category for kernel in kernels}, [kernel.name for kernel in kernels]
