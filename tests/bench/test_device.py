"""Devices: each kind has an object, and one that nobody here has heard of is measured all the way to the report."""

import ast
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from importlib.metadata import EntryPoint
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from tests.bench.test_machine import CPU_ONLY, HOPPER, with_gpus
from tests.bench.workloads.pretended_device import PretendedDevice
from torchduet import Suite, SuiteError
from torchduet.bench.cases.case import Case
from torchduet.bench.cases.option_values import parse_devices
from torchduet.bench.host import machine
from torchduet.bench.host.machine import Accelerator, Machine
from torchduet.bench.inputs.reference import to_reference
from torchduet.bench.passes.energy import counter_for
from torchduet.bench.passes.largest_batch import largest_batch
from torchduet.bench.passes.operators_and_memory import peak_memory
from torchduet.bench.plan.availability import Obstacle, unavailable
from torchduet.bench.plan.options import OptionError
from torchduet.bench.plan.preflight import check_devices
from torchduet.bench.state.own_state import OwnState
from torchduet.bench.timing import device_registry
from torchduet.bench.timing.checking.compare import relative_error
from torchduet.bench.timing.clock import CpuClock, DelayingClock, SynchronizedClock
from torchduet.bench.timing.cuda_clock import CudaClock
from torchduet.bench.timing.device import CpuDevice
from torchduet.bench.timing.device_accelerator import AcceleratorDevice, MpsDevice, XpuDevice
from torchduet.bench.timing.device_cuda import CudaDevice
from torchduet.bench.timing.device_registry import accelerators, device_of
from torchduet.bench.timing.slowed.copies import slow_down
from torchduet.bench.timing.stopping import MIN_VISIT_PLACEMENTS
from torchduet.bench.timing.timed_case import TimedCase
from torchduet.suites.workload import COMPILED

ROOT = Path(__file__).parents[2]
WORKLOADS = Path(__file__).parent / "workloads"
SMALL = str(WORKLOADS / "small.py")
CASE = Case("s", "s", "w", "", (), "w", True, "cpu", "eager", "fp32")
# Where a device's name may be compared with one: what devices are, and what names mean.
ABOUT_DEVICES = (
    *("bench/timing/device", "bench/timing/cuda_", "bench/record/devices.py", "suites/devices.py"),
    "bench/host/gpus/variables.py",  # of the environment, which NVIDIA's libraries read
    "bench/duet/knobs/gpu.py",  # what only CUDA heeds
)


@pytest.fixture
def elsewhere(tmp_path: Path) -> dict[str, str]:
    """The environment of a machine with a package that registers a kind of device."""
    shutil.copy(WORKLOADS / "pretended_device.py", tmp_path)
    installed = tmp_path / "pretended-1.0.dist-info"
    installed.mkdir()
    (installed / "METADATA").write_text("Metadata-Version: 2.1\nName: pretended\nVersion: 1.0\n")
    (installed / "entry_points.txt").write_text("[torchduet.devices]\npretend = pretended_device:PretendedDevice\n")
    path = os.pathsep.join([str(tmp_path), *filter(None, [os.environ.get("PYTHONPATH")])])
    return os.environ | {"PYTHONPATH": path, "COLUMNS": "200"}


def started(environment: Any, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", *arguments],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def test_a_third_device_is_measured_through_to_the_report(elsewhere: dict[str, str], tmp_path: Path) -> None:
    path, page = tmp_path / "run.json", tmp_path / "run.html"
    done = started(
        elsewhere,
        *("pytest", "bench/", "--suite", SMALL, "--device", "cpu,pretend,pretend:1", "-k", "add"),
        *("--budget", "12s", "--threads", "1", "--benchmark-json", str(path)),
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Pretended 0, Pretended 1" in done.stdout
    run = json.loads(path.read_text())
    records = {
        one["extra_info"]["torchduet"]["case"]["id"]: one["extra_info"]["torchduet"] for one in run["benchmarks"]
    }
    assert {record["case"]["device"] for record in records.values()} == {"cpu", "pretend", "pretend:1"}
    reference = records["small.add[n=1000] cpu eager fp32"]
    assert reference["case"]["reference"]
    assert reference["timing"]["clock"] == "perf_counter"
    assert "host_seconds" not in reference["timing"]
    record = records["small.add[n=1000] pretend:1 eager fp32"]
    assert record["timing"]["clock"] == "perf_counter_synchronized"
    assert "launch_bound" not in record["timing"]  # nothing tells such a call from one that waits for the device
    assert 0 < record["timing"]["host_seconds"] <= record["timing"]["wall_seconds"]
    assert len(record["timing"]["blocks"]) >= MIN_VISIT_PLACEMENTS
    assert record["check"]["relative_error"] <= record["check"]["tolerance"]
    assert [(one["knob"], one["baseline"]) for one in record["speedups"]] == [
        ("reference", "cpu eager fp32"),
        ("device", "cpu"),
    ]
    assert {one["device"] for one in run["torchduet"]["ceilings"]} == {"cpu", "pretend", "pretend:1"}
    assert run["torchduet"]["machine"]["accelerator"] == "Pretended 0, Pretended 1"  # both are measured
    assert run["torchduet"]["machine"]["gpu"] is None
    assert "gpus" not in run["torchduet"]
    rendered = started(elsewhere, "torchduet", "render", str(path), "-o", str(page), "--markdown", "-")
    assert rendered.returncode == 0, rendered.stderr
    assert "Pretended 0" in rendered.stdout
    text = page.read_text()
    assert "small.add[n=1000] pretend:1 eager fp32" in text
    assert "Pretended 0" in text


SIZED = """
import torch
from torchduet import Axis, Cost, Suite

suite = Suite("sized")
suite.compare(
    "add",
    {"add": lambda x: x + x, "twice": lambda x: 2 * x},
    inputs=lambda device, n: (torch.randn(n, device="cpu"),),
    axes={"n": Axis(quick=[1000], on={"accelerator": [3000, 4000]})},
    modes=["eager"],
    cost=lambda n: Cost(flops=1e12 if n == 4000 else 1.0),
)
"""


def test_a_device_with_sizes_of_its_own_is_the_reference_there_and_computes_float64_where_that_takes_long(
    elsewhere: dict[str, str], tmp_path: Path
) -> None:
    path, page, suite = tmp_path / "run.json", tmp_path / "run.html", tmp_path / "sized.py"
    suite.write_text(SIZED)
    done = started(
        elsewhere,
        *("pytest", "bench/", "--suite", str(suite), "--device", "cpu,pretend"),
        *("--budget", "10s", "--threads", "1", "--benchmark-json", str(path)),
    )
    assert done.returncode == 0, done.stdout + done.stderr
    run = json.loads(path.read_text())
    records = [each["extra_info"]["torchduet"] for each in run["benchmarks"]]
    checks = {record["case"]["id"]: record["check"].get("float64_on") for record in records}
    assert checks == {
        "sized.add[n=1000] add cpu eager fp32": None,
        "sized.add[n=1000] twice cpu eager fp32": None,
        "sized.add[n=1000] add pretend eager fp32": None,
        "sized.add[n=1000] twice pretend eager fp32": None,
        "sized.add[n=3000] add pretend eager fp32": None,
        "sized.add[n=3000] twice pretend eager fp32": None,
        "sized.add[n=4000] add pretend eager fp32": "pretend",
        "sized.add[n=4000] twice pretend eager fp32": "pretend",
    }
    references = {record["case"]["family"]: record["case"]["id"] for record in records if record["case"]["reference"]}
    assert references["sized.add[n=1000]"] == "sized.add[n=1000] add cpu eager fp32"
    assert references["sized.add[n=4000]"] == "sized.add[n=4000] add pretend eager fp32"
    rendered = started(elsewhere, "torchduet", "render", str(path), "-o", str(page))
    assert rendered.returncode == 0, rendered.stderr
    assert "of float64 on pretend" in page.read_text()


@pytest.mark.parametrize(
    ("device", "line"),
    [
        ("xpu", "--device xpu: PyTorch finds no xpu device here; it needs an Intel GPU with its driver"),
        ("cpu,abacus", "--device abacus: PyTorch finds no abacus device here; use cpu, cuda, xpu, mps"),
    ],
)
@pytest.mark.skipif(torch.accelerator.is_available(), reason="needs a machine without an accelerator")
def test_a_device_that_is_not_here_is_said_in_one_line(device: str, line: str) -> None:
    done = started(os.environ, "pytest", "bench/", "--suite", SMALL, "--device", device)
    assert done.returncode == 4
    (said,) = done.stderr.strip().splitlines()
    assert said.startswith(f"ERROR: {line}")
    assert "Traceback" not in done.stdout + done.stderr


def test_what_is_asked_for_beside_a_device_that_is_here_is_skipped_with_the_reason() -> None:
    here = replace(CPU_ONLY, no_accelerator=(("xpu", "PyTorch finds no xpu device here; get one"),))
    check_devices(["cpu", "xpu"], here, selecting_only=False)
    assert unavailable(here, replace(CASE, device="xpu")) == Obstacle(
        "device", "PyTorch finds no xpu device here; get one"
    )
    check_devices(["xpu"], here, selecting_only=True)
    with pytest.raises(OptionError, match="--device xpu: PyTorch finds no xpu device here; get one"):
        check_devices(["xpu", "cuda"], here, selecting_only=False)
    with pytest.raises(OptionError, match="--device abacus: PyTorch finds no abacus device here; use cpu, cuda, xpu"):
        check_devices(["cpu", "abacus"], here, selecting_only=True)
    assert parse_devices("xpu:1,mps") == ("xpu:1", "mps")


def test_each_kind_has_its_class_and_its_clock() -> None:
    assert isinstance(device_of("cpu"), CpuDevice)
    assert isinstance(device_of("cpu").clock(), CpuClock)
    assert isinstance(device_of("cuda:1"), CudaDevice)
    assert isinstance(device_of("xpu:1"), XpuDevice)
    assert isinstance(device_of("mps"), MpsDevice)
    assert isinstance(device_of("xpu").clock(), SynchronizedClock)
    assert device_of("xpu:1") is device_of("xpu:1")
    assert isinstance(CudaClock.__new__(CudaClock), DelayingClock)
    assert not isinstance(CpuClock(), DelayingClock)
    with pytest.raises(LookupError, match="abacus: PyTorch has no abacus device here"):
        device_of("abacus")


@pytest.fixture
def registered(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A package registers ``pretend``."""

    def entry_points(group: str) -> list[EntryPoint]:
        value = "tests.bench.workloads.pretended_device:PretendedDevice"
        return [EntryPoint("pretend", value, group)] if group == device_registry.GROUP else []

    monkeypatch.setattr(device_registry, "entry_points", entry_points)
    device_registry._registered.cache_clear()
    yield
    device_registry._registered.cache_clear()
    device_of.cache_clear()


@pytest.mark.usefixtures("registered")
def test_a_registered_kind_is_found_and_planned_for() -> None:
    assert isinstance(device_of("pretend:1"), PretendedDevice)
    found, missing = accelerators()
    here = replace(CPU_ONLY, accelerators=found, no_accelerator=missing)
    assert [one.device for one in found] == ["pretend:0", "pretend:1"]
    assert [kind for kind, _ in missing] == ["xpu", "mps"]
    assert here.devices() == ["cpu", "pretend"]
    assert here.kinds() == ["cpu", "cuda", "pretend", "xpu", "mps"]
    assert unavailable(here, replace(CASE, device="pretend:1", mode="compile", precision="bf16")) is None
    assert unavailable(here, replace(CASE, device="pretend", precision="fp16")) == Obstacle(
        "precision", "this one has no fp16"
    )
    assert unavailable(here, replace(CASE, device="pretend", mode="graph")) == Obstacle("mode", "it has no graphs")
    absent = unavailable(here, replace(CASE, device="pretend:2"))
    assert absent == Obstacle("device", "pretend:2 does not exist: this machine has 2 PRETEND GPUs")
    assert here.gpus_of(["cpu", "pretend", "pretend:1"]) == {}
    assert counter_for("pretend", {}) == "no energy counter of pretend can be read"


@pytest.mark.usefixtures("registered")
def test_a_slowed_copy_on_a_device_without_a_kernel_that_waits_lets_the_host_wait_after_its_calls() -> None:
    case = replace(CASE, device="pretend")
    context = SimpleNamespace(meter=SimpleNamespace(paused=False))
    prepared: Any = SimpleNamespace(
        case=case, call=lambda: sum(range(2000)), args=(), context=context, own_state=OwnState()
    )
    device = device_of("pretend")
    assert isinstance(device, PretendedDevice)
    original = TimedCase(prepared, device.clock(), calls=5)
    original.seconds = min(original.block().seconds for _ in range(5))
    copy = TimedCase(
        SimpleNamespace(**{**vars(prepared), "case": replace(case, copy_number=1, slowdown=1.5)}), original.clock
    )  # type: ignore[arg-type]
    slow_down(copy, original)
    assert copy.extra_work is not None
    before = device.waited
    copy.extra_work()
    assert device.waited == before + 1  # what was launched is finished before the host begins


@pytest.mark.usefixtures("registered")
def test_what_a_devices_allocator_does_not_say_is_not_known() -> None:
    assert peak_memory(lambda: torch.ones(1000), "pretend") == (None, None)
    peak, _ = peak_memory(lambda: torch.ones(1000), "cpu")
    assert peak is not None
    assert peak >= 4000
    workload: Any = SimpleNamespace(inputs=None)
    assert largest_batch(workload, replace(CASE, device="pretend", size=(("batch", 4),))) is None


class FakeBackend(SimpleNamespace):
    """What ``torch.xpu`` or ``torch.mps`` would be."""


@pytest.fixture
def current(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """A PyTorch whose accelerator is an XPU, as torch.accelerator reports it; what is asked of it, in order."""
    log: list[str] = []
    properties = SimpleNamespace(name="Arc", total_memory=2**34, last_level_cache_size=8 << 20)
    backend = FakeBackend(get_device_properties=lambda _: properties, is_initialized=lambda: True)
    monkeypatch.setattr(torch.accelerator, "current_accelerator", lambda **_: torch.device("xpu"))
    monkeypatch.setattr(torch.accelerator, "device_count", lambda: 2)
    monkeypatch.setattr(torch.accelerator, "synchronize", lambda device: log.append(f"synchronize {device}"))
    monkeypatch.setattr(torch.accelerator, "empty_cache", lambda: log.append("empty cache"))
    monkeypatch.setattr(torch.accelerator, "reset_peak_memory_stats", lambda device: log.append(f"reset {device}"))
    monkeypatch.setattr(torch.accelerator, "memory_allocated", lambda _: 1000)
    monkeypatch.setattr(torch.accelerator, "memory_reserved", lambda _: 2**20)
    monkeypatch.setattr(torch.accelerator, "max_memory_allocated", lambda _: 5000)
    monkeypatch.setattr(torch.accelerator, "max_memory_reserved", lambda _: 3 * 2**20)
    monkeypatch.setattr(torch, "get_device_module", lambda _: backend)
    monkeypatch.setattr("torch.utils._triton.has_triton", lambda: False)
    device_registry._registered.cache_clear()
    yield log
    device_registry._registered.cache_clear()


def test_torch_accelerator_says_what_an_xpu_is_and_holds(current: list[str]) -> None:
    found, missing = accelerators()
    assert [(one.device, one.name, one.memory_bytes) for one in found] == [
        ("xpu:0", "Arc", 2**34),
        ("xpu:1", "Arc", 2**34),
    ]
    assert [kind for kind, _ in missing] == ["mps"]
    lacks = dict(found[0].lacks)
    assert lacks.keys() == {"tf32", *COMPILED, "graph"}
    assert lacks["compile"] == "torch.compile on xpu needs a Triton that supports it"
    assert peak_memory(lambda: current.append("call"), "xpu:1") == (4000, 2 * 2**20)
    assert current == ["synchronize xpu:1", "empty cache", "reset xpu:1", "call", "synchronize xpu:1"]
    current.clear()
    for kind, device in device_registry.kinds().items():
        device.give_back_memory(kind)
    assert current == ["empty cache"]


def test_an_accelerator_is_unusable_when_waiting_for_it_raises(
    current: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def raises(_: torch.device) -> None:
        raise RuntimeError("device lost")

    assert not device_of("xpu").unusable()
    assert current == ["synchronize xpu"]
    monkeypatch.setattr(torch.accelerator, "synchronize", raises)
    assert device_of("xpu").unusable()


def test_a_kind_that_nothing_is_registered_for_is_measured_by_what_torch_accelerator_offers(
    current: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.accelerator, "current_accelerator", lambda **_: torch.device("hpu"))
    try:
        assert type(device_of("hpu:1")) is AcceleratorDevice
        assert [one.device for one in accelerators()[0]] == ["hpu:0", "hpu:1"]
    finally:
        device_of.cache_clear()
    assert current == []


def test_an_allocator_that_torch_accelerator_does_not_know_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    def raises(_: torch.device) -> int:
        raise RuntimeError("Allocator for mps is not a DeviceAllocator.")

    monkeypatch.setattr(torch.accelerator, "max_memory_reserved", raises)
    assert device_of("mps").allocator() is None


def test_the_wall_clock_waits_before_and_after_a_block_and_around_each_cold_call() -> None:
    log: list[str] = []
    clock = SynchronizedClock(lambda: log.append("wait"), torch.device("cpu"), lambda: 1000)
    block = clock.block(lambda: log.append("call"), (), 2, lambda: log.append("after"))
    assert log == ["wait", "call", "call", "after", "wait"]
    assert 0 < block.host <= block.wall == block.seconds
    log.clear()
    block = clock.cold(lambda: log.append("call"), (), 2, lambda: log.append("after"))
    assert log == ["wait", "call", "wait", "wait", "call", "after", "wait"]
    assert 0 < block.host <= block.wall == block.seconds


class NoFloat64(torch.Tensor):
    """A tensor of a device without float64, to which it can only be widened once it has left it."""

    @classmethod
    def __torch_function__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is torch.Tensor.to and isinstance(args[0], cls):
            assert args[1:] == ("cpu",), f"moved by to{args[1:]}"
            return args[0].as_subclass(torch.Tensor)
        return super().__torch_function__(func, types, args, kwargs)


def test_nothing_is_widened_to_float64_before_it_has_left_the_device() -> None:
    result = torch.ones(3).as_subclass(NoFloat64)
    assert relative_error(result, torch.ones(3, dtype=torch.float64)) == 0
    (x,) = to_reference((torch.nn.Linear(2, 2),))
    assert x.weight.dtype == torch.float64


def test_amds_gpus_are_called_cuda_and_have_no_tf32(monkeypatch: pytest.MonkeyPatch) -> None:
    properties = SimpleNamespace(name="AMD Instinct MI300X", major=9, minor=4, total_memory=2**37)
    monkeypatch.setattr(torch.version, "hip", "6.4")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda _: properties)
    monkeypatch.setattr("torch.utils._triton.has_triton", lambda: True)
    monkeypatch.setattr(machine, "no_triton_compiler", lambda _: "")
    found = machine.probe()
    assert found.devices() == ["cpu", "cuda"]
    assert found.facts()["hip"] == "6.4"
    assert found.facts()["cuda"] is None
    assert unavailable(found, replace(CASE, device="cuda", mode="compile", precision="bf16")) is None
    assert unavailable(found, replace(CASE, device="cuda", mode="graph", precision="fp16")) is None
    obstacle = unavailable(found, replace(CASE, device="cuda", precision="tf32"))
    assert obstacle is not None
    assert "this one is AMD's" in obstacle.why


def test_facts_of_a_machine_without_other_accelerators_are_what_they_were() -> None:
    more = Accelerator("xpu:0", "Arc", 2**34, survives_fork=False)
    added = replace(CPU_ONLY, accelerators=(more,)).facts().keys() - CPU_ONLY.facts().keys()
    assert added == {"accelerator", "accelerators", "accelerator_memory_bytes"}
    assert with_gpus(HOPPER).facts().keys() == CPU_ONLY.facts().keys()
    assert Machine.not_after_a_fork(replace(CPU_ONLY, accelerators=(more,))) == ["xpu"]


def test_a_workload_may_name_any_kind_that_pytorch_has() -> None:
    suite = Suite("s")
    suite.compare("w", {"w": abs}, inputs=lambda device: (device,), devices=["xpu", "accelerator"])
    with pytest.raises(SuiteError, match="devices has abacus; use cpu, accelerator, or a kind of device"):
        suite.compare("v", {"v": abs}, inputs=lambda device: (device,), devices=["abacus"])


def compared(path: Path) -> Iterator[int]:
    """The lines in which something is compared with ``"cpu"`` or ``"cuda"``, or asked whether it is CUDA's."""
    names = ("cpu", "cuda")
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Compare):
            operands = [node.left, *node.comparators]
            operands += [one for some in operands for one in getattr(some, "elts", ())]
            if any(isinstance(one, ast.Constant) and one.value in names for one in operands):
                yield node.lineno
        elif isinstance(node, ast.Attribute) and node.attr in ("is_cuda", "is_cpu"):
            yield node.lineno
        elif isinstance(node, ast.Call) and getattr(node.func, "attr", "") == "startswith":
            begins = [one.value for one in node.args if isinstance(one, ast.Constant)]
            if any(str(one).startswith("cuda") for one in begins):  # lines of /proc/stat begin with "cpu"
                yield node.lineno


def test_no_device_is_told_by_its_name_outside_the_device_modules() -> None:
    found = [
        f"{path.relative_to(ROOT)}:{line}"
        for folder in ("bench", "suites", "reports", "torchduet")
        for path in (ROOT / folder).rglob("*.py")
        if not str(path.relative_to(ROOT)).startswith(ABOUT_DEVICES)
        for line in compared(path)
    ]
    assert found == []
