"""What becomes of a GPU during a run, with fakes at torch's and NVML's own interfaces."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pynvml
import pytest
import torch

from tests.bench.nvml_fake import WHOLE, Nvml, error
from torchduet.bench.cases.case import Case, Family, cases_of
from torchduet.bench.cases.exchange import CaseResult, FamilyResult, Task
from torchduet.bench.host.gpu_throttling import Gpus
from torchduet.bench.host.gpu_timeline import Timeline
from torchduet.bench.host.nvml import Device
from torchduet.bench.passes import after_timing, back_to_back
from torchduet.bench.passes.energy import GpuCounter
from torchduet.bench.timing import first_calls
from torchduet.bench.timing.failures import unusable
from torchduet.bench.workers import family
from torchduet.bench.workers.visit import measure
from torchduet.suites.registry import load

STICKY = "CUDA error: an illegal memory access was encountered"
FILE = f"""
import os
import torch
from torchduet import Suite

suite = Suite("gpu", "A GPU to which one function does something")
calls = []

def fine(x):
    if hasattr(torch, "ruined"):  # no state that is put back after a call
        raise RuntimeError("{STICKY}")
    return x + 1

def ruins(x):
    calls.append(1)
    if len(calls) >= int(os.environ["AT"]):
        torch.ruined = True
    return fine(x)

def too_large(x):
    raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 200.00 GiB")

def also(x):
    return fine(x)

made = dict(inputs=lambda device: (torch.ones(8, device=device),), modes=["eager"])
suite.compare("ruined", {{"fine": fine, "ruins": ruins, "also": also}}, **made)
suite.compare("full", {{"fine": fine, "too_large": too_large, "also": also}}, **made)
"""


def measured(tmp_path: Path, name: str) -> tuple[list[Case], FamilyResult]:
    """A family's cases, and what came out for it in this process."""
    path = tmp_path / "gpu.py"
    path.write_text(FILE)
    (suite,) = load(str(path))
    found = [case for case, _ in cases_of(str(path), suite, tier="quick", devices=["cpu"]) if case.workload == name]
    return found, measure(Task(Family(tuple(found), tuple(found)), 0.3, 1, str(tmp_path)), lambda *_: None)


@pytest.mark.parametrize("at", [1, 20, 400], ids=["in its first call", "in its warm-up", "while it is timed"])
def test_an_error_that_stays_is_blamed_on_the_case_that_made_it(
    at: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AT", str(at))
    monkeypatch.delattr(torch, "ruined", raising=False)
    for module in (family, first_calls):
        monkeypatch.setattr(module, "unusable", lambda _: hasattr(torch, "ruined"))
    cases, result = measured(tmp_path, "ruined")
    monkeypatch.delattr(torch, "ruined")
    assert result.broken == cases[1]  # the conductor measures the others anew, in another worker
    (its_own,) = [one for one in result.results if one.case == cases[1]]
    assert its_own.error is not None
    assert STICKY in its_own.error


def test_a_gpu_is_unusable_when_waiting_for_it_raises(monkeypatch: pytest.MonkeyPatch) -> None:
    def raises(_: str) -> None:
        raise RuntimeError(STICKY)

    assert not unusable("cuda:0")  # which this process has not used
    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: True)
    monkeypatch.setattr(torch.cuda, "synchronize", lambda _: None)
    assert not unusable("cuda:0")
    monkeypatch.setattr(torch.cuda, "synchronize", raises)
    assert unusable("cuda:0")
    assert not unusable("cpu")


def test_out_of_the_gpus_memory_costs_one_case_and_its_neighbours_get_what_it_held(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    emptied: list[bool] = []
    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: True)
    monkeypatch.setattr(torch.cuda, "empty_cache", lambda: emptied.append(True))
    monkeypatch.delattr(torch, "ruined", raising=False)
    cases, result = measured(tmp_path, "full")
    found = {one.case: one for one in result.results}
    assert found[cases[1]].error == "out of memory: CUDA out of memory. Tried to allocate 200.00 GiB"
    assert [found[case].error for case in (cases[0], cases[2])] == [None, None]
    assert all(found[case].blocks for case in (cases[0], cases[2]))
    assert emptied == [True]


class Lost:
    """A GPU that falls off the bus after so many readings."""

    def __init__(self, after: int) -> None:
        self.left = after

    def __call__(self, _: Any) -> int:
        self.left -= 1
        if self.left < 0:
            raise error(pynvml.NVML_ERROR_GPU_IS_LOST)
        return 300_000 + self.left


def test_a_gpu_that_nvml_loses_in_the_middle_keeps_its_samples_and_the_run_goes_on() -> None:
    nvml = Nvml(nvmlDeviceGetPowerUsage=Lost(3))
    line = Timeline({"cuda:0": Device(nvml, WHOLE, WHOLE)})
    for at in range(6):
        line.sample(float(at))
    (record,) = line.records()
    assert record["samples"]["power_w"] == [300.002, 300.001, 300.0, None, None, None]
    assert record["lost"].startswith("the GPU was lost")
    watched = Gpus(["aaaa"], Nvml(nvmlDeviceGetCurrentClocksEventReasons=error(pynvml.NVML_ERROR_GPU_IS_LOST)))
    for _ in range(3):
        watched.sample()
    assert watched.shares() == {}


def test_energy_that_was_lost_in_the_middle_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    device = Device(Nvml(nvmlDeviceGetTotalEnergyConsumption=Lost(5)), WHOLE, WHOLE)
    monkeypatch.setattr(after_timing, "counter_for", lambda *_: GpuCounter(device))
    monkeypatch.setattr(back_to_back, "PATIENCE_SECONDS", 0.0)
    case = Case("s", "s", "w", "", (), "w", True, "cuda", "eager", "fp32")
    result = CaseResult(case)

    def measured(_: object, joules: Any, seconds: float, clock: Any) -> Any:
        return back_to_back.back_to_back(lambda: 1, joules, seconds, clock)

    monkeypatch.setattr(after_timing, "_back_to_back", measured)
    after_timing._energy_and_sustained(
        SimpleNamespace(restored=False, device=SimpleNamespace(asynchronous=True)),  # type: ignore[arg-type]
        result,
        SimpleNamespace(),  # type: ignore[arg-type]
        Task(Family((case,), (case,)), 1.0, 1, energy=True),
    )
    assert result.energy is not None
    assert result.energy["why"].startswith("the GPU was lost")
