"""What is found out about a case after its timing, so that it does not disturb it: each in a pass of its own."""

from __future__ import annotations

import math
import traceback
from statistics import median

from torchduet.bench.cases.exchange import CaseResult, Task
from torchduet.bench.host.suspension import moment, suspended
from torchduet.bench.passes.energy import EnergyCounter, counter_for, joules_per_call
from torchduet.bench.passes.largest_batch import largest_batch
from torchduet.bench.passes.operators_and_memory import count_operators, peak_memory
from torchduet.bench.record.schema import EnergyRecord
from torchduet.bench.timing.clock import DelayingClock
from torchduet.bench.timing.pacing import LONG_CALL_SECONDS
from torchduet.bench.timing.precision import matmul_precision
from torchduet.bench.timing.timed_case import TimedCase
from torchduet.suites.workload import IMPLIED, Workload

DELAYED_BLOCKS = 15
BUSY_SECONDS = 0.03  # between two looks at the energy counter: looking takes a fraction of a millisecond
MAX_LAUNCH_SECONDS = 5e-3  # of a block; the device would have to wait for longer


def measure_after_timing(run: TimedCase, result: CaseResult, workload: Workload, task: Task) -> None:
    """All that apply to a case that was timed. What one of them cannot find out is missing from the result."""
    for find in (_operators, _memory, _device_time, _energy, _headroom):
        try:
            find(run, result, workload, task)
        except Exception:  # noqa: BLE001 - the timing stands; the worker's output says why this is missing
            traceback.print_exc()


def _operators(run: TimedCase, result: CaseResult, workload: Workload, task: Task) -> None:
    """Operators of eager cases whose cost is known."""
    if result.case.mode == "eager" and _has_bounds(workload, task) and run.seconds < LONG_CALL_SECONDS:
        result.operators = count_operators(run.call)


def _has_bounds(workload: Workload, task: Task) -> bool:
    if workload.cost is None:
        return False
    cost = workload.cost(**dict(task.family.reference.size))
    return cost.flops is not None or cost.bytes is not None


def _memory(run: TimedCase, result: CaseResult, workload: Workload, task: Task) -> None:
    """Of every case whose allocator counts it; where that takes a profiler, of workloads that ask for it."""
    del task
    if workload.memory or not run.device.host_memory:
        held, result.reserved_bytes = peak_memory(run.call, result.case.device)
        if result.case.mode not in (*IMPLIED, "graph"):  # their memory was taken when they were captured
            result.peak_bytes = held


def _device_time(run: TimedCase, result: CaseResult, workload: Workload, task: Task) -> None:
    """What the device works, without the gaps in which it waits for launches."""
    del workload, task
    clock = run.clock
    if not isinstance(clock, DelayingClock) or run.cold or not run.placements:
        return
    launch = median(block.host for placement in run.placements for block in placement)
    if launch * run.calls > MAX_LAUNCH_SECONDS:
        return
    prepared = run.prepared
    with run.unmetered(), matmul_precision(prepared.case.precision):
        blocks = [
            block
            for _ in range(DELAYED_BLOCKS)
            if (block := clock.behind_delay(prepared.call, prepared.args, run.calls, launch)) is not None
        ]
    result.waits = len(blocks) < DELAYED_BLOCKS / 2
    if not result.waits:
        result.device_seconds = median(block.seconds for block in blocks)


def _energy(run: TimedCase, result: CaseResult, workload: Workload, task: Task) -> None:
    """Joules per call, where ``--energy`` asks for them."""
    del workload
    if not task.energy:
        return
    counter = counter_for(result.case.device, task.uuids)
    if not isinstance(counter, EnergyCounter):
        result.energy = EnergyRecord(why=counter)
        return
    began = moment()
    try:
        result.energy = _measured(run, counter)
    except OSError as error:  # its counter was lost in the middle
        result.energy = EnergyRecord(why=str(error))
    if suspended(began):
        result.energy = EnergyRecord(why="it was stopped, or the machine suspended, while it was measured")


def _headroom(run: TimedCase, result: CaseResult, workload: Workload, task: Task) -> None:
    """The largest batch that fits, where ``--headroom`` asks for it."""
    del run
    if task.headroom:
        result.headroom = largest_batch(workload, result.case)


def _measured(run: TimedCase, counter: EnergyCounter) -> EnergyRecord:
    calls = max(run.calls, math.ceil(BUSY_SECONDS / max(run.seconds, 1e-9)))

    def some() -> int:
        for _ in range(calls):
            run.prepared.call(*run.prepared.args)
        run.clock.synchronize()
        return calls

    with run.unmetered(), matmul_precision(run.prepared.case.precision):
        return joules_per_call(some, counter)
