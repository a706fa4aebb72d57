"""CUDA's branches that no other test reaches, on a GPU that is faked at torch's own interface."""

from __future__ import annotations

import random
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from tests.bench.gpu_model import OnTheHost, installed
from torchduet.bench.cases.case import Case
from torchduet.bench.cases.exchange import CaseResult, CeilingTask
from torchduet.bench.host import machine
from torchduet.bench.inputs import slabs
from torchduet.bench.inputs.placements import Placements
from torchduet.bench.passes import ceilings
from torchduet.bench.run.records import timing_record
from torchduet.bench.state.own_state import OwnState
from torchduet.bench.timing import failures
from torchduet.bench.timing.checking import changed
from torchduet.bench.timing.checking.changed import change_values
from torchduet.bench.timing.clock import CpuClock
from torchduet.bench.timing.device_cuda import CudaDevice
from torchduet.bench.timing.precision import autocast_factory
from torchduet.bench.timing.slowed.delay import PROBE_CYCLES, delay, seconds_per_cycle
from torchduet.bench.timing.timed_case import TimedCase

CASE = Case("s", "s", "w", "", (), "w", True, "cuda:1", "eager", "fp32")


class OnTheCpu:
    """The module torch, whose tensors for ``cuda`` are made on the CPU, at most so many elements of them."""

    def __init__(self, most: int = 4096) -> None:
        self.most = most

    def __getattr__(self, name: str) -> Any:
        found = getattr(torch, name)
        if name not in ("randn", "ones"):
            return found

        def made(*size: int, device: torch.device, **options: Any) -> torch.Tensor:
            assert str(device) in ("cpu", "cuda", "cuda:1")
            return found(*(min(one, self.most) for one in size), **options)  # type: ignore[no-any-return]

        return made


def test_a_gpus_ceilings_are_measured_per_precision_and_working_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ceilings, "torch", OnTheCpu(64))
    monkeypatch.setattr(CudaDevice, "clock", lambda _: CpuClock())
    (record,) = ceilings.measure_ceilings(CeilingTask(("cuda:1",), ("fp32", "tf32", "bf16"), 1, 0.02))
    assert record["device"] == "cuda:1"
    assert record["flops_per_second"].keys() == {"fp32", "tf32", "bf16"}
    assert record["bytes_per_second"].keys() == {str(size) for size in CudaDevice.working_sets}
    assert record["operator_seconds"] > 0


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """A device of 2 ns per cycle; what it is asked for, in order."""
    log: list[Any] = []

    class Event:
        def __init__(self, enable_timing: bool) -> None:
            assert enable_timing
            self.at = 0.0

        def record(self) -> None:
            self.at = sum(one for one in log if isinstance(one, int)) * 2e-6  # ms

        def synchronize(self) -> None: ...

        def elapsed_time(self, end: Event) -> float:
            return end.at - self.at

    @contextmanager
    def device(one: torch.device) -> Iterator[None]:
        log.append(str(one))
        yield

    monkeypatch.setattr(torch.cuda, "Event", Event)
    monkeypatch.setattr(torch.cuda, "device", device)
    monkeypatch.setattr(torch.cuda, "_sleep", log.append)
    return log


def test_a_slowed_copy_waits_on_its_own_device_for_as_long_as_calibrated(gpu: list[Any]) -> None:
    assert seconds_per_cycle(torch.device("cuda:1")) == pytest.approx(2e-9)
    assert PROBE_CYCLES in gpu
    wait = delay("cuda:1", 1e-3)
    gpu.clear()
    wait()
    assert gpu == ["cuda:1", 500_000]


def test_the_gpus_of_a_machine_are_described(monkeypatch: pytest.MonkeyPatch) -> None:
    def properties(index: int) -> Any:
        return SimpleNamespace(name=f"GPU {index}", major=9, minor=index, total_memory=2**37, uuid=f"uuid-{index}")

    monkeypatch.setattr(torch.version, "cuda", "13.0")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "get_device_properties", properties)
    monkeypatch.setattr("torch.utils._triton.has_triton", lambda: True)
    monkeypatch.setattr(machine, "no_triton_compiler", lambda _: "")
    found = machine.probe()
    assert [(gpu.name, gpu.capability, gpu.triton, gpu.uuid) for gpu in found.gpus] == [
        ("GPU 0", (9, 0), True, "uuid-0"),
        ("GPU 1", (9, 1), True, "uuid-1"),
    ]
    assert found.no_cuda == ""
    assert found.facts()["gpu"] == "GPU 0"
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert "nvidia-smi" in machine.probe().no_cuda


def test_after_running_out_of_memory_the_allocator_gives_back_what_it_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    emptied: list[bool] = []
    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: True)
    monkeypatch.setattr(torch.cuda, "empty_cache", lambda: emptied.append(True))
    failures.free_device_memory(ValueError("no"))
    assert emptied == []
    failures.free_device_memory(torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20 GiB"))
    assert emptied == [True]
    said = failures.describe(torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20 GiB"), "x.py")
    assert said == "out of memory: CUDA out of memory. Tried to allocate 20 GiB"


def test_autocast_is_the_devices_own() -> None:
    factory: Any = autocast_factory("fp16", "cuda:1")  # entering it without a GPU only warns
    assert (factory.func, factory.args, factory.keywords) == (torch.autocast, ("cuda",), {"dtype": torch.float16})


def test_a_record_from_a_gpu_says_what_host_and_device_took() -> None:
    result = CaseResult(CASE, clock="cuda_events", blocks=[[1e-4] * 3] * 8, device_seconds=2e-5)
    result.host, result.wall = [[9.5e-5] * 3] * 8, [[1.1e-4] * 3] * 8
    timing = timing_record(result, "precise")
    assert timing["launch_bound"]
    assert (timing["host_seconds"], timing["wall_seconds"], timing["device_seconds"]) == (9.5e-5, 1.1e-4, 2e-5)
    assert "cache" not in timing


def test_a_cold_call_is_never_launch_bound_as_its_launch_is_hidden() -> None:
    result = CaseResult(CASE, clock="cuda_events", blocks=[[2e-5] * 3] * 8, cold=True, launch_hidden=True)
    result.host, result.wall = [[9.5e-5] * 3] * 8, [[9.5e-5] * 3] * 8
    timing = timing_record(result, "precise")
    assert timing["cache"] == "cold"
    assert "launch_bound" not in timing


def test_pinned_memory_stays_pinned_when_it_moves(monkeypatch: pytest.MonkeyPatch) -> None:
    pinned: list[int] = []
    monkeypatch.setattr(torch.UntypedStorage, "is_pinned", lambda *_: True)
    monkeypatch.setattr(torch.UntypedStorage, "pin_memory", lambda self, *_: pinned.append(self.nbytes()) or self)
    x = torch.ones(10)
    Placements((x,), random.Random(0)).fresh()
    assert pinned == [40, 40]
    assert x.tolist() == [1.0] * 10


class Operators(TorchDispatchMode):
    """Counts what the dispatcher is given."""

    def __init__(self) -> None:
        super().__init__()
        self.names: list[str] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.names.append(str(func))
        return func(*args, **(kwargs or {}))


def test_the_calls_of_a_memory_ceiling_make_no_views(monkeypatch: pytest.MonkeyPatch) -> None:
    counted = Operators()

    def best(clock: Any, call: Any, args: Any, *, seconds: float) -> float:
        del clock, seconds
        with counted:
            call(*args)
        return 1.0

    monkeypatch.setattr(ceilings, "best", best)
    assert ceilings.memory_traffic("cpu", 2**16) == 2**16
    assert [name.split(".")[1] for name in counted.names] == ["copy_", "add", "amax", "dot", "zero_"]


def test_a_gpu_is_started_before_any_case_would_pay_for_its_libraries(monkeypatch: pytest.MonkeyPatch) -> None:
    used = Operators()
    driver = SimpleNamespace(active=SimpleNamespace(utils="loaded"))
    monkeypatch.setitem(sys.modules, "triton", SimpleNamespace())
    monkeypatch.setitem(sys.modules, "triton.runtime", SimpleNamespace(driver=driver))
    monkeypatch.setattr(torch.backends.cudnn, "is_available", lambda: True)
    gpu = installed(monkeypatch)
    with OnTheHost(), used:
        CudaDevice("cuda:1").start(compiles=True)
    names = [name.split(".")[1] for name in used.names]
    assert {"mm", "addmm", "convolution"} <= set(names)
    assert gpu.log == ["synchronize"]


def test_a_triton_that_cannot_be_loaded_is_left_to_the_compiled_cases(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "triton", None)
    installed(monkeypatch)
    with OnTheHost():
        CudaDevice("cuda:1").start(compiles=True)
    assert "Triton's driver cannot be loaded" in capsys.readouterr().out


def test_a_part_of_a_slab_on_another_device_than_the_current_one_is_a_storage(monkeypatch: pytest.MonkeyPatch) -> None:
    """``Tensor.__dlpack__`` refuses tensors of such a device."""
    monkeypatch.setattr(torch.cuda, "current_device", lambda: 0)
    slab = torch.arange(64, dtype=torch.uint8)
    monkeypatch.setattr(torch.Tensor, "__dlpack__", refuse)
    storage = slabs.part_of(slab, 16, 32)
    assert bytes(storage) == bytes(range(16, 48))  # type: ignore[call-overload]


def refuse(*_: object, **__: object) -> None:
    raise BufferError("Can't export tensors on a different CUDA device index")


def test_calls_run_on_their_own_device_also_where_their_code_names_none(monkeypatch: pytest.MonkeyPatch) -> None:
    current: list[str] = []

    @contextmanager
    def device(one: torch.device) -> Iterator[None]:
        current.append(str(one))
        yield
        current.pop()

    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: True)
    monkeypatch.setattr(torch.cuda, "device", device)
    seen: list[list[str]] = []
    context = SimpleNamespace(meter=SimpleNamespace(paused=False))
    prepared: Any = SimpleNamespace(
        case=CASE, call=lambda: seen.append([*current]), args=(), context=context, own_state=OwnState()
    )
    run = TimedCase(prepared, CpuClock(), seconds=1.0)
    run.block()
    run.call()
    assert seen == [["cuda:1"]] * 2
    assert current == []


def test_random_factors_are_drawn_where_the_values_are(monkeypatch: pytest.MonkeyPatch) -> None:
    """Drawn on the CPU, those of a product of 8192 took seconds per case."""
    drawn: list[tuple[int, object]] = []
    rand = torch.rand

    def recorded(shape: torch.Size, *, device: object, **options: Any) -> torch.Tensor:
        drawn.append((shape.numel(), device))
        return rand(shape, device=device, **options)

    monkeypatch.setattr(torch, "rand", recorded)
    monkeypatch.setattr(changed, "PART", 60)
    x, y = torch.ones(100), torch.ones(10, dtype=torch.complex64)
    assert change_values((x, y), 7, common=False, numbers=False)[0]
    assert drawn == [(60, x.device), (40, x.device), (10, y.device)]
    assert 1 < x.unique().numel() <= 100
    assert bool(((x >= changed.LEAST) & (x <= changed.MOST)).all())
