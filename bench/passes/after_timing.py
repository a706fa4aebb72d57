"""The passes over a case after its timing, which they would disturb: operators, memory, energy, largest batch."""

from __future__ import annotations

import math
import traceback
from functools import partial
from statistics import median

from torchduet.bench.cases.exchange import CaseResult, Task
from torchduet.bench.host.suspension import moment, suspended
from torchduet.bench.passes.energy import EnergyCounter, counter_for, joules_per_call
from torchduet.bench.passes.largest_batch import largest_batch
from torchduet.bench.passes.operators_and_memory import count_operators, peak_memory
from torchduet.bench.record.schema import EnergyRecord
from torchduet.bench.timing.clock import DelayingClock
from torchduet.bench.timing.pacing import LONG_CALL_SECONDS
from torchduet.bench.timing.timed_case import TimedCase
from torchduet.suites.workload import IMPLIED, Workload

DELAYED_BLOCKS = 15
BUSY_SECONDS = 0.03  # between two readings of the energy counter: a reading takes a fraction of a millisecond
MAX_LAUNCH_SECONDS = 5e-3  # of a block; the delay kernel has to be longer


def measure_after_timing(run: TimedCase, result: CaseResult, workload: Workload, task: Task) -> None:
    """Run all passes that apply to a case that was timed. If one fails, its figures are missing from the result."""
    for measure in (_operators, _memory, _device_time, _energy, _headroom):
        try:
            measure(run, result, workload, task)
        except Exception:  # noqa: BLE001 - the timing stands; the worker's output says why this is missing
            traceback.print_exc()


def _operators(run: TimedCase, result: CaseResult, workload: Workload, task: Task) -> None:
    """Count the operators of eager cases whose cost is declared."""
    if result.case.mode == "eager" and _has_bounds(workload, task) and run.seconds < LONG_CALL_SECONDS:
        result.operators = count_operators(run.call)


def _has_bounds(workload: Workload, task: Task) -> bool:
    if workload.cost is None:
        return False
    cost = workload.cost(**dict(task.family.reference.size))
    return cost.flops is not None or cost.bytes is not None


def _memory(run: TimedCase, result: CaseResult, workload: Workload, task: Task) -> None:
    """Measure peak memory where an allocator counts it; where it takes a profiler, only if the workload asks for it."""
    del task
    if workload.memory or not run.device.host_memory:
        peak, result.reserved_bytes = run.measure_call(partial(peak_memory, device=result.case.device))
        if result.case.mode not in (*IMPLIED, "graph"):  # their memory was allocated when they were captured
            result.peak_bytes = peak


def _device_time(run: TimedCase, result: CaseResult, workload: Workload, task: Task) -> None:
    """Measure the device's work, without the gaps in which it waits for launches."""
    del workload, task
    clock = run.clock
    if not isinstance(clock, DelayingClock) or run.cold or run.restored or not run.placements:
        return
    launch = median(block.host for placement in run.placements for block in placement)
    if launch * run.calls > MAX_LAUNCH_SECONDS:
        return
    prepared = run.prepared
    with run.unmetered(), run.in_its_state():
        blocks = [
            block
            for _ in range(DELAYED_BLOCKS)
            if (block := clock.behind_delay(prepared.call, prepared.args, run.calls, launch)) is not None
        ]
    result.waits_for_device = len(blocks) < DELAYED_BLOCKS / 2
    if not result.waits_for_device:
        result.device_seconds = median(block.seconds for block in blocks)


def _energy(run: TimedCase, result: CaseResult, workload: Workload, task: Task) -> None:
    """Measure joules per call, with ``--energy``."""
    del workload
    if not task.energy:
        return
    if run.restored:
        result.energy = EnergyRecord(why="its inputs are put back or made anew before each call")
        return
    counter = counter_for(result.case.device, task.uuids)
    if not isinstance(counter, EnergyCounter):
        result.energy = EnergyRecord(why=counter)
        return
    started = moment()
    try:
        result.energy = _joules_per_call(run, counter)
    except OSError as error:  # the counter was lost during the measurement
        result.energy = EnergyRecord(why=str(error))
    if suspended(started):
        result.energy = EnergyRecord(why="the process or the machine was suspended during its measurement")


def _headroom(run: TimedCase, result: CaseResult, workload: Workload, task: Task) -> None:
    """Search for the largest batch that fits, with ``--headroom``."""
    del run
    if task.headroom:
        result.headroom = largest_batch(workload, result.case)


def _joules_per_call(run: TimedCase, counter: EnergyCounter) -> EnergyRecord:
    calls = max(run.calls, math.ceil(BUSY_SECONDS / max(run.seconds, 1e-9)))

    def call() -> int:
        for _ in range(calls):
            run.prepared.call(*run.prepared.args)
        run.clock.synchronize()
        return calls

    with run.unmetered(), run.in_its_state():
        return joules_per_call(call, counter)
