"""What only a real GPU can show; the same paths are tested with fakes elsewhere."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from statistics import median
from time import perf_counter, sleep
from typing import Any

import pytest
import torch

from torchduet import Suite
from torchduet.bench.cases.case import Case
from torchduet.bench.host.gpu_timeline import Timeline
from torchduet.bench.host.nvml import READINGS, devices
from torchduet.bench.inputs.placements import Placements
from torchduet.bench.passes.back_to_back import back_to_back
from torchduet.bench.passes.ceilings import matrix_product, memory_traffic
from torchduet.bench.passes.energy import WINDOW_SECONDS, EnergyCounter, counter_for, energy_record
from torchduet.bench.record.schema import KEY
from torchduet.bench.timing.callables import prepare
from torchduet.bench.timing.cuda_clock import CudaClock
from torchduet.bench.timing.gpu.sm_clock import MIN_SECONDS, SmClock
from torchduet.bench.timing.precision import matmul_precision
from torchduet.bench.timing.slowed.delay import seconds_per_cycle
from torchduet.bench.timing.slowed.delay import sleep as busy
from torchduet.bench.timing.timed_case import TimedCase

pytestmark = [
    pytest.mark.cuda,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU"),
]

ROOT = Path(__file__).parents[2]
WORKLOADS = Path(__file__).parent / "workloads" / "on_gpu.py"
DEVICE = "cuda:0"
SECOND = "cuda:1"
needs_two = pytest.mark.skipif(torch.cuda.device_count() < 2, reason="needs two CUDA GPUs")
CASES = (  # every mode and every precision; to compile all 24 takes a quarter of an hour
    *("eager-fp32", "eager-tf32", "eager-bf16", "eager-fp16"),
    *("graph-fp32", "graph-tf32", "graph-bf16"),
    *("compile-fp32", "compile-tf32", "compile-model-fp16", "reduce-overhead-bf16", "max-autotune-bf16"),
)
# The arguments of the runs below; that they select what is asserted is tested where there is no GPU, too.
BROKEN = ("--suite", str(WORKLOADS), "--budget", "40s")
EVERY_MODE = (
    *("--suite", "mlp", "-k", f"train_784_100_10 and batch4096 and ({' or '.join(CASES)})"),
    *("--device", "cuda", "--budget", "2m", "--precision", "fp32,tf32,bf16,fp16"),
    *("--mode", "eager,compile,compile-model,reduce-overhead,max-autotune,graph"),
)


def seconds(call: Callable[..., Any], *args: Any, calls: int = 20, blocks: int = 25) -> float:
    """Per call, by our clock: warm, the median of some blocks."""
    clock = CudaClock(DEVICE)
    for _ in range(3):
        clock.block(call, args, calls)
    return median(clock.block(call, args, calls).seconds for _ in range(blocks))


def pytest_bench(path: Path, *arguments: str) -> Any:
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "bench/", "--benchmark-json", str(path), *arguments],
        cwd=ROOT,
        env=os.environ | {"COLUMNS": "200"},
        capture_output=True,
        text=True,
        check=False,
        timeout=1500,
    )
    assert path.exists(), done.stdout + done.stderr
    return json.loads(path.read_text())


@pytest.mark.parametrize("name", [DEVICE, pytest.param(SECOND, marks=needs_two)])
def test_a_kernel_of_known_length_takes_as_long_by_events_as_by_the_wall_clock(name: str) -> None:
    device = torch.device(name)
    clock, cycles = CudaClock(name), round(20e-3 / seconds_per_cycle(device))
    walls, events = [], []
    for _ in range(9):  # in turns: the clock of an idle GPU is lower than that of a busy one
        torch.cuda.synchronize(device)
        start = perf_counter()
        busy(device, cycles)
        torch.cuda.synchronize(device)
        walls.append(perf_counter() - start)
        events.append(clock.block(busy, (device, cycles), 1).seconds)
    assert median(events) == pytest.approx(median(walls), rel=0.03)


def beside_triton(call: Callable[..., Any], *args: Any) -> float:
    """Our time relative to theirs, each with the L2 flushed before every call: the median of nine turns.

    In a turn both keep the GPU busy for about as long, so that a GPU at its power cap is slowed down alike.
    """
    testing = pytest.importorskip("triton.testing")
    clock, ratios = CudaClock(DEVICE), []
    launch = clock.cold(call, args, CudaClock.cold_calls).host
    for _ in range(9):
        theirs = testing.do_bench(lambda: call(*args), warmup=25, rep=100, return_mode="median") * 1e-3
        blocks = max(5, round(0.1 / (theirs * CudaClock.cold_calls)))
        ours = [clock.cold(call, args, CudaClock.cold_calls, launch_seconds=launch).seconds for _ in range(blocks)]
        ratios.append(median(ours) / theirs)
    return median(ratios)


@pytest.mark.parametrize(
    ("n", "within"),
    [(4096, 0.03), (8192, 0.08)],  # at 8192 a GPU reaches its power cap, and its clock changes by some percent
)
def test_times_of_products_agree_with_tritons(n: int, within: float) -> None:
    a, b = (torch.randn(n, n, device=DEVICE, dtype=torch.bfloat16) for _ in range(2))
    assert beside_triton(torch.mm, a, b) == pytest.approx(1.0, rel=within)


def test_the_time_of_a_copy_agrees_with_tritons() -> None:
    source = torch.empty(2**29, dtype=torch.uint8, device=DEVICE)
    assert beside_triton(torch.empty_like(source).copy_, source) == pytest.approx(1.0, rel=0.03)


def test_no_product_and_no_copy_is_above_the_ceilings() -> None:
    a, b = (torch.randn(8192, 8192, device=DEVICE, dtype=torch.bfloat16) for _ in range(2))
    assert matrix_product(DEVICE, "bf16", 0.3) >= 0.97 * 2 * 8192**3 / seconds(torch.mm, a, b, calls=5)
    source = torch.empty(2**29, dtype=torch.uint8, device=DEVICE)
    copied = seconds(torch.empty_like(source).copy_, source, calls=5)
    assert memory_traffic(DEVICE, 2**30, 0.3) >= 0.97 * 2 * 2**29 / copied


def test_tf32_does_not_leak_into_fp32() -> None:
    a, b = (torch.randn(1024, 1024, device=DEVICE) for _ in range(2))
    exact = (a.double() @ b.double()).float()

    def error() -> float:
        return float((a @ b - exact).norm() / exact.norm())

    with matmul_precision("tf32"):
        tf32 = error()
    with matmul_precision("fp32"):
        fp32 = error()
    assert fp32 < 2e-6
    assert tf32 > 20 * fp32
    with matmul_precision("bf16"):
        assert error() < 2e-6


def test_a_cold_l2_is_slower_than_a_hot_one() -> None:
    """Searches in sorted numbers: each step waits for the one before, so latencies count and not bandwidths.

    A load from memory takes about twice as long as one from the L2, on any GPU, while an H200 reads memory almost as
    fast as its L2. With some twenty loads in turn this exceeds what each kernel takes to begin.
    """
    size = torch.cuda.get_device_properties(DEVICE).L2_cache_size
    # Half of it: an H200's has two partitions, and the share of a tensor that stays is smaller, the larger it is.
    x = torch.arange(size // 2 // 4, dtype=torch.int32, device=DEVICE)
    sought = torch.randint(len(x), (64,), dtype=torch.int32, device=DEVICE)

    def search() -> torch.Tensor:
        return torch.searchsorted(x, sought)

    cold, single = CudaClock(DEVICE), CudaClock(DEVICE)
    launches = [clock.cold(search, (), 10).host for clock in (cold, single)]
    single._flush_buffer = torch.empty(1, device=DEVICE)  # the same events around each call, and nothing flushed
    pairs = [
        [
            clock.cold(search, (), 10, launch_seconds=launch).seconds
            for clock, launch in zip((cold, single), launches, strict=True)
        ]
        for _ in range(25)
    ]
    assert median(one / other for one, other in pairs) > 1.1


def test_the_devices_work_is_less_than_a_launch_bound_calls_time() -> None:
    clock = CudaClock(DEVICE)
    x = torch.ones(64, device=DEVICE)

    def launch_bound() -> torch.Tensor:
        return (
            x.view(8, 8).t().view_as(x.view(8, 8).t()).add_(1)
        )  # one kernel, and views that take the host's time only

    whole = [clock.block(launch_bound, (), 50) for _ in range(25)]
    launch = median(block.host for block in whole)
    alone = [
        block.seconds for _ in range(25) if (block := clock.behind_delay(launch_bound, (), 50, launch)) is not None
    ]
    assert len(alone) > 12
    assert median(alone) < 0.9 * median(block.seconds for block in whole)


def test_a_call_that_waits_for_the_device_is_told_from_its_work() -> None:
    clock = CudaClock(DEVICE)
    x = torch.ones(64, device=DEVICE)

    def waits() -> float:
        return float(x.sum())

    launch = median(clock.block(waits, (), 10).host for _ in range(25))
    assert [clock.behind_delay(waits, (), 10, launch) for _ in range(9)].count(None) > 4


def test_calls_of_inductors_graphs_do_not_slow_down_from_placement_to_placement() -> None:
    model = torch.nn.Sequential(*(torch.nn.Linear(64, 64) for _ in range(4))).to(DEVICE)
    x = torch.randn(8, 64, device=DEVICE)
    workload = Suite("s").compare("w", {"w": lambda model, x: model(x)}, inputs=lambda _: (model, x))
    case = Case("s", "s", "w", "", (), "w", True, DEVICE, "reduce-overhead", "fp32")
    placements = Placements((model, x), random.Random(0))
    run = TimedCase(prepare(workload, case, (model, x)), CudaClock(DEVICE), calls=20)
    hosts = []
    with torch.no_grad():
        for _ in range(60):
            placements.fresh()
            run.settle()
            hosts.append(median(run.block().host for _ in range(15)))
    assert median(hosts[-15:]) < 1.3 * median(hosts[5:20])


def test_nvml_finds_this_gpu_and_its_counters_have_periods() -> None:
    uuid = str(torch.cuda.get_device_properties(DEVICE).uuid)
    found, why = devices([uuid])
    assert found[0] is not None, why
    line = Timeline({DEVICE: found[0]})
    line.start()
    a = torch.randn(4096, 4096, device=DEVICE)
    until = perf_counter() + 6
    while perf_counter() < until:
        for _ in range(10):
            torch.mm(a, a)
        torch.cuda.synchronize()
        sleep(0.02)  # so that the power changes
    line.stop()
    (record,) = line.records()
    assert record["facts"]["name"] == torch.cuda.get_device_name(DEVICE)
    assert all(1e-3 < period < 2 for period in record["update_seconds"].values())
    assert record["update_seconds"] or record["missing"]


def test_energy_is_that_of_a_busy_gpu() -> None:
    uuid = str(torch.cuda.get_device_properties(DEVICE).uuid)
    counter = counter_for(DEVICE, {DEVICE: uuid})
    if not isinstance(counter, EnergyCounter):
        pytest.skip(counter)
    a = torch.randn(4096, 4096, device=DEVICE, dtype=torch.bfloat16)
    each = seconds(torch.mm, a, a)

    def some() -> int:
        for _ in range(100):
            torch.mm(a, a)
        torch.cuda.synchronize()
        return 100

    record = energy_record(back_to_back(some, counter.joules, WINDOW_SECONDS), counter.source)
    assert "why" not in record
    assert 50 < record["joules"] / each < 2000  # watts


def test_running_out_of_memory_and_a_broken_context_cost_their_own_cases_only(tmp_path: Path) -> None:
    document = pytest_bench(tmp_path / "run.json", *BROKEN)
    failed = {one["case"]["workload"]: one["reason"] for one in document[KEY]["failed"]}
    assert failed.keys() == {"memory", "out_of_bounds"}
    assert "out of memory" in failed["memory"]
    measured = [one["extra_info"][KEY]["case"] for one in document["benchmarks"] if KEY in one["extra_info"]]
    assert [(case["workload"], case["implementation"]) for case in measured] == [
        ("sound_before", "sound_before"),
        ("memory", "fits"),
        ("sound_after", "sound_after"),
    ]


def test_every_mode_and_precision_of_a_training_step_is_right(tmp_path: Path) -> None:
    """Five of the twelve cases compile with a cold cache: the budget leaves time to measure all, and skips none."""
    document = pytest_bench(tmp_path / "run.json", *EVERY_MODE)
    assert document[KEY]["failed"] == []
    records = [one["extra_info"][KEY] for one in document["benchmarks"]]
    assert {f"{record['case']['mode']}-{record['case']['precision']}" for record in records} == set(CASES)
    timings = {record["case"]["id"]: record["timing"] for record in records}
    assert all(("waits" in timing) == ("fp16" in name) for name, timing in timings.items())
    assert all("waits" in timing or "device_seconds" in timing for timing in timings.values())


@pytest.mark.parametrize("mib", [4, 381])
def test_eight_placements_lie_at_eight_addresses(mib: int) -> None:
    x, y = (torch.randn(mib * 2**18, device=DEVICE) for _ in range(2))
    values, views = x.cpu(), (y[5:], y.view(-1, 2**10).T)
    inputs = (x, y, *views)
    placements = Placements(inputs, random.Random(0))
    seen: list[tuple[int, ...]] = []
    before = torch.cuda.memory_allocated(DEVICE)
    for _ in range(8):
        placements.fresh()
        seen.append(tuple(tensor.untyped_storage().data_ptr() for tensor in inputs))
        assert x.storage_offset() == 0
        assert x.untyped_storage().nbytes() == x.nbytes
        x.mul_(2).add_(y)  # as a call does, with memory of its own
    assert [len(set(of)) for of in zip(*seen, strict=True)] == [8] * 4
    assert all(address % 512 == 0 for addresses in seen for address in addresses)
    assert {len(set(addresses)) for addresses in seen} == {2}  # the views share their memory
    assert torch.cuda.memory_allocated(DEVICE) - before < 100 * 2**20  # slack and ballast
    placements.restore()
    assert x.cpu().equal(values)
    assert not placements.changes()


@needs_two
def test_placements_and_blocks_of_a_second_gpu_are_there_while_the_first_is_current() -> None:
    x, y = (torch.randn(2**20, device=SECOND) for _ in range(2))
    expected, seen = x.cpu() + y.cpu(), set()
    placements, clock = Placements((x, y), random.Random(0)), CudaClock(SECOND)
    for _ in range(4):
        placements.fresh()
        seen.add(x.untyped_storage().data_ptr())
        assert {x.device, y.device} == {torch.device(SECOND)}
        assert torch.add(x, y).cpu().equal(expected)
        block = clock.block(torch.add, (x, y), 20)
        alone = clock.behind_delay(torch.add, (x, y), 20, block.host)
        assert block.seconds > 0
        assert alone is None or alone.seconds > 0
    assert len(seen) == 4
    assert torch.cuda.current_device() == 0
    placements.restore()
    assert (x + y).cpu().equal(expected)


def test_replayed_and_compiled_calls_read_inputs_that_have_moved_within_slabs() -> None:
    x, weight = torch.randn(64, 256, device=DEVICE), torch.randn(256, 256, device=DEVICE)
    suite = Suite("s")
    workload = suite.compare("w", {"w": lambda x, weight: (x @ weight).relu()}, inputs=lambda _: (x, weight))
    expected = (x @ weight).relu()
    for mode in ("graph", "reduce-overhead"):
        case = Case("s", "s", "w", "", (), "w", True, DEVICE, mode, "fp32")
        placements = Placements((x, weight), random.Random(0))
        run = TimedCase(prepare(workload, case, (x, weight)), CudaClock(DEVICE))
        for _ in range(4):
            placements.fresh()
            run.prepared.next_placement()
            run.settle()
            # Sums of 256 products of size 1 in another order, as other kernels add them up: 5e-5 apart at most.
            torch.testing.assert_close(run.call(), expected, rtol=1e-5, atol=1e-4)
        assert run.prepared.context.addresses.distinct(4) == 4


def test_an_lstms_weights_remain_one_block_for_cudnn() -> None:
    model = torch.nn.LSTM(32, 64, num_layers=2).to(DEVICE)
    x = torch.randn(5, 3, 32, device=DEVICE)
    placements = Placements((model, x), random.Random(0))
    with torch.no_grad():
        expected = model(x)[0].clone()
        for _ in range(3):
            placements.fresh()
            with warnings.catch_warnings():
                warnings.simplefilter("error")  # cuDNN's path warns of weights that are not one block
                torch.testing.assert_close(model(x)[0], expected)


def test_the_sm_clock_in_the_stream_is_the_one_that_nvml_reads() -> None:
    device = torch.device(DEVICE)
    (gpu,), why = devices([str(torch.cuda.get_device_properties(device).uuid)])
    assert gpu is not None, why
    matrix = torch.randn(4096, 4096, device=device)
    clock, read = SmClock(device), []
    for _ in range(60):  # long enough for the clocks to rise
        for _ in range(5):
            matrix @ matrix
        torch.cuda.synchronize(device)
        clock.after_block()
        sleep(MIN_SECONDS)
        read.append(gpu.read({"sm_mhz": READINGS["sm_mhz"]})["sm_mhz"])
    samples = clock.read()
    assert len(samples) >= 30, clock.late
    assert median(samples[-20:]) == pytest.approx(median(map(float, read[-20:])), rel=0.1)
