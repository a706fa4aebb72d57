"""The passes over a case after its timing, which they would disturb: operators, memory, energy, largest batch."""

from __future__ import annotations

import math
import traceback
from collections.abc import Callable
from functools import partial
from time import perf_counter

from torchduet.bench.cases.exchange import CaseResult, Task
from torchduet.bench.host.suspension import moment, suspended
from torchduet.bench.passes.back_to_back import SUSTAINED_SECONDS, Joules, Megahertz, Window, back_to_back, sm_clock
from torchduet.bench.passes.device_time import MAX_LAUNCH_SECONDS, delayable, launch_seconds
from torchduet.bench.passes.energy import WINDOW_SECONDS, EnergyCounter, counter_for, energy_record
from torchduet.bench.passes.largest_batch import largest_batch
from torchduet.bench.passes.operators_and_memory import count_operators, peak_memory, whole_peak
from torchduet.bench.record.schema import EnergyRecord
from torchduet.bench.timing.pacing import LONG_CALL_SECONDS
from torchduet.bench.timing.timed_case import TimedCase
from torchduet.suites.workload import GRAPHED, Workload

BUSY_SECONDS = 0.03  # between two readings of the energy counter: a reading takes a fraction of a millisecond
WAITING_TEST_DELAY = 2e-3
WAITING_TESTS = 3
MAX_WAITING_TEST_SECONDS = 0.02  # of a call: the times of longer ones differ by as much as the delay


def measure_after_timing(
    run: TimedCase, result: CaseResult, workload: Workload, task: Task, *, sustain: bool = False
) -> None:
    """Run all passes that apply to a case that was timed. If one fails, its figures are missing from the result.

    Args:
        sustain: whether there is time to measure calls on an accelerator without pause for a second.
    """
    for measure in (
        _operators,
        _memory,
        _waiting,
        partial(_energy_and_sustained, sustain=sustain),
        _headroom,
    ):
        try:
            measure(run, result, workload, task)
        except Exception:  # noqa: BLE001 - the timing stands; the worker's output says why this is missing
            traceback.print_exc()


def _operators(run: TimedCase, result: CaseResult, workload: Workload, task: Task) -> None:
    """Count the operators of eager cases whose cost is declared."""
    if result.case.mode == "eager" and _has_bounds(workload, task) and run.seconds < LONG_CALL_SECONDS:
        result.operators = run.measure_call(count_operators)


def _has_bounds(workload: Workload, task: Task) -> bool:
    cost = workload.cost_at(dict(task.family.reference.size))
    return cost is not None and (cost.flops is not None or cost.bytes is not None)


def _memory(run: TimedCase, result: CaseResult, workload: Workload, task: Task) -> None:
    """Measure peak memory where an allocator counts it; where it takes a profiler, only if the workload asks for it."""
    del task
    if workload.memory or not run.device.host_memory:
        whole = workload.ranks is not None  # as in each of its ranks
        peak, result.reserved_bytes = (
            whole_peak(run) if whole else run.measure_call(partial(peak_memory, device=result.case.device))
        )
        if result.case.mode not in (*GRAPHED, "graph"):  # their memory was allocated when they were captured
            result.peak_bytes = peak


def _waiting(run: TimedCase, result: CaseResult, workload: Workload, task: Task) -> None:
    """Find out whether a call waits for the device, if it launches for too long to be timed behind a delay.

    A call that waits takes longer by as much as the device is kept waiting before it; one that only launches does not.
    """
    del workload, task
    if not delayable(run) or not run.placements or (launch := launch_seconds(run)) <= MAX_LAUNCH_SECONDS:
        return
    if launch > MAX_WAITING_TEST_SECONDS or not run.device.has_delay_kernel:
        result.waiting_unknown = True
        return
    delay = run.device.delay(WAITING_TEST_DELAY)
    with run.unmetered(), run.in_its_state():
        plain, delayed = (
            min(_launching(run, before) for _ in range(WAITING_TESTS)) for before in (lambda: None, delay)
        )
    result.waits_for_device = delayed - plain > WAITING_TEST_DELAY / 2


def _launching(run: TimedCase, before: Callable[[], None]) -> float:
    """Seconds until a call returns that begins on an idle device, or behind what ``before`` launches."""
    run.clock.synchronize()
    before()
    start = perf_counter()
    run.prepared.call(*run.prepared.args)
    seconds = perf_counter() - start
    run.clock.synchronize()
    return seconds


def _energy_and_sustained(
    run: TimedCase, result: CaseResult, workload: Workload, task: Task, *, sustain: bool = False
) -> None:
    """Measure joules per call, with ``--energy``, and the time of calls without pause, on an accelerator."""
    del workload
    on_accelerator = run.device.asynchronous and not result.case.copy_number
    if not (task.energy or (sustain and on_accelerator)):
        return
    if run.restored:
        if task.energy:
            result.energy = EnergyRecord(why="its inputs are put back or made anew before each call")
        return
    counter = counter_for(result.case.device, task.uuids)
    if task.energy and not isinstance(counter, EnergyCounter):
        result.energy = EnergyRecord(why=counter)
    energy = task.energy and result.energy is None
    sustained = on_accelerator and (energy or sustain)
    if not (energy or sustained):
        return
    clock = sm_clock(task.uuids.get(result.case.device, "")) if sustained else None
    joules, source = (counter.joules, counter.source) if isinstance(counter, EnergyCounter) else (None, "")
    started = moment()
    try:
        window = _back_to_back(run, joules, WINDOW_SECONDS if energy else SUSTAINED_SECONDS, clock)
    except OSError as error:  # the counter was lost during the measurement
        if energy:
            result.energy = EnergyRecord(why=str(error))
        return
    if suspended(started):
        if energy:
            result.energy = EnergyRecord(why="the process or the machine was suspended during its measurement")
        return
    if energy:
        result.energy = energy_record(window, source)
    if sustained:
        result.sustained = window.record()


def _headroom(run: TimedCase, result: CaseResult, workload: Workload, task: Task) -> None:
    """Search for the largest batch that fits, with ``--headroom``."""
    del run
    if task.headroom:
        result.headroom = largest_batch(workload, result.case)


def _back_to_back(run: TimedCase, joules: Joules | None, seconds: float, clock: Megahertz | None) -> Window:
    calls = max(run.calls, math.ceil(BUSY_SECONDS / max(run.seconds, 1e-9)))

    def call() -> int:
        for _ in range(calls):
            run.prepared.call(*run.prepared.args)
        run.clock.synchronize()
        return calls

    with run.unmetered(), run.in_its_state():
        return back_to_back(call, joules, seconds, clock)
