"""The largest batch that fits: found to within a sixteenth, bounded by the host's memory and by time."""

from types import SimpleNamespace
from typing import Any

import pytest
import torch

from torchduet import Suite
from torchduet.bench.cases.case import Case
from torchduet.bench.passes import largest_batch as headroom
from torchduet.bench.passes.largest_batch import largest_batch, search


class Gpu:
    """Has room for so many samples of 1,000 bytes; each try takes a second."""

    def __init__(self, room: int) -> None:
        self.room, self.tried, self.time = room, list[int](), 0.0

    def fits(self, batch: int) -> int | None:
        self.tried.append(batch)
        self.time += 1.0
        return 1000 * batch if batch <= self.room else None

    def now(self) -> float:
        return self.time


@pytest.mark.parametrize("room", [32, 33, 63, 64, 1000, 123_456])
def test_it_is_found_to_within_a_sixteenth(room: int) -> None:
    gpu = Gpu(room)
    found = search(gpu.fits, 32, 10**9, now=gpu.now)
    assert found["limit"] == "memory"
    assert room * 15 / 16 - 1 <= found["batch"] <= room
    assert found["bytes"] == 1000 * found["batch"]
    assert len(gpu.tried) < 30


def test_the_hosts_memory_and_the_time_end_the_search() -> None:
    gpu = Gpu(10**9)
    found = search(gpu.fits, 32, 1000, now=gpu.now)
    assert (found["batch"], found["limit"]) == (1000, "host")
    assert max(gpu.tried) == 1000
    slow = Gpu(10**12)
    found = search(slow.fits, 1, 10**15, seconds=5.0, now=slow.now)
    assert (found["batch"], found["limit"]) == (2**4, "time")


def a_case(**changes: Any) -> Case:
    details = {"device": "cuda", "mode": "eager", "precision": "fp32"} | changes
    return Case("s", "s", "w", "", (("batch", 4),), "w", True, **details)


def test_a_step_is_tried_with_growing_inputs_until_the_gpu_refuses(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []

    def step(x: torch.Tensor) -> torch.Tensor:
        seen.append(len(x))
        if len(x) > 100:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return x + 1

    monkeypatch.setattr("gc.collect", lambda: 0)  # of this whole process, and not what is tested: seconds under load
    for name in ("empty_cache", "reset_peak_memory_stats", "synchronize"):
        monkeypatch.setattr(torch.cuda, name, lambda *_: None)
    monkeypatch.setattr(torch.cuda, "max_memory_reserved", lambda _: 1000 + 4 * seen[-1])
    monkeypatch.setattr(torch.cuda, "memory_reserved", lambda _: 1000)  # by the family's own tensors

    def inputs(device: torch.device, batch: int) -> tuple[torch.Tensor]:
        assert device.type == "cuda"
        return (torch.ones(batch),)

    workload = Suite("s").compare("w", {"w": step}, inputs=inputs, axes={"batch": [4]})
    found = largest_batch(workload, a_case())
    assert found is not None
    assert (found["limit"], found["bytes"]) == ("memory", 4 * found["batch"])
    assert 93 <= found["batch"] <= 100
    monkeypatch.setattr(headroom, "_free_host_bytes", lambda: 4 * 4 * 16)  # inputs of 16 samples in a quarter of it
    found = largest_batch(workload, a_case())
    assert found is not None
    assert (found["batch"], found["limit"]) == (16, "host")


def test_only_eager_cases_on_a_gpu_with_a_batch_have_one() -> None:
    workload: Any = SimpleNamespace(inputs=None)
    assert largest_batch(workload, a_case(device="cpu")) is None
    assert largest_batch(workload, a_case(mode="compile")) is None
    assert largest_batch(workload, Case("s", "s", "w", "", (("n", 4),), "w", True, "cuda", "eager", "fp32")) is None
