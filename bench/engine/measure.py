"""A family's stages in order: inputs, check and first call, warm-up, placements × rounds."""

from __future__ import annotations

import gc
import random
import tempfile
import traceback
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

import torch

from bench.engine.case import Case, workload_of
from bench.engine.check import CheckError, check, has_nan, observed, reference_result
from bench.engine.clock import Clock, clock_for
from bench.engine.compile import CompileWatch, cold_cache
from bench.engine.errors import describe, free_device_memory
from bench.engine.estimate import MIN_PLACEMENTS
from bench.engine.inputs import Placements, settle_allocator
from bench.engine.pace import (
    LONG_CALL_SECONDS,
    OVERDRAFT,
    leave_out_too_slow,
    rounds_per_placement,
    set_repeats,
    stretch,
    too_slow,
)
from bench.engine.passes import count_operators, peak_memory
from bench.engine.precision import matmul_precision
from bench.engine.prepare import Prepared, in_float64, prepare
from bench.engine.rounds import align_blocks, alternate, undisturbed
from bench.engine.run import Run, slow_down, warm_up
from bench.engine.schema import FirstCallRecord
from bench.engine.stopping import Stopping
from bench.engine.task import SEED, CaseResult, FamilyResult, Task
from bench.engine.telemetry import COUNTS_INTERRUPTIONS, Gauge, Telemetry
from suites import data
from suites.workload import Unavailable

SETTLING_CALLS = 5
HOPELESS_SECONDS = 1.0  # a first call beyond this and twice the family's share is not repeated
WARM_UP_SHARE = 0.15
NO_ORIGINAL = "what it is a copy of could not be timed"
Tell = Callable[[str, float], None]


class Stages:
    """One family's measurement, from inputs to blocks."""

    def __init__(self, task: Task, tell: Tell) -> None:
        self.task, self.tell = task, tell
        self.family = task.family
        self.workload = workload_of(self.family.reference)
        self.rng = random.Random(f"{SEED} {self.family.name}")
        self.results = {case: CaseResult(case) for case in self.family.cases}
        self.seconds = dict.fromkeys(("compiling", "timed", "checking", "warming"), 0.0)
        self.placements: list[Placements] = []
        self.runs: list[Run] = []
        self.telemetry: Telemetry | None = None

    def prepare_device(self, device: str, cases: Sequence[Case]) -> None:
        """Make the inputs on one device; check every case there and take its first call."""
        start = perf_counter()
        torch.manual_seed(SEED)
        stage = "its inputs could not be made: "
        try:
            inputs = self.workload.inputs(torch.device(device), **dict(self.family.reference.size))
            if not isinstance(inputs, tuple | list):
                raise CheckError(f"inputs= returned {type(inputs).__name__}; return a tuple, of one: (x,)")
            inputs = tuple(inputs)
            placements = Placements(inputs, self.rng)
            stage = "in float64 on the CPU, for the check, "
            reference = self.reference(inputs)
        except Unavailable as reason:
            for case in cases:
                self.results[case].skip = str(reason)
            return
        except Exception as error:  # noqa: BLE001 - becomes the reason of this device's cases
            for case in cases:
                self.results[case].error = stage + describe(error, case.source)
            return
        finally:
            self.seconds["checking"] += perf_counter() - start
        self.placements.append(placements)
        clock = clock_for(device)
        for case in (one for one in cases if one.slowdown == 1):
            result = self.results[case]
            try:
                prepared = self.first_call(result, inputs, placements, clock, reference)
            except Unavailable as reason:
                result.skip = str(reason)
                continue
            except Exception as error:  # noqa: BLE001 - becomes this case's reason
                result.error = describe(error, case.source)
                free_device_memory(error)
                del error
                gc.collect()  # what the failed call made, such as a loader's processes, ends now
                continue
            result.clock = clock.name
            self.runs.append(Run(prepared, clock))
        self.slowed(cases, clock)

    def slowed(self, cases: Sequence[Case], clock: Clock) -> None:
        """Add the copies that are slowed down: the same calls, so that nothing is compiled or checked anew."""
        originals = {run.prepared.case: run.prepared for run in self.runs}
        for case in (one for one in cases if one.slowdown > 1):
            whole = originals.get(case.original)
            if whole is None:
                self.results[case].skip = NO_ORIGINAL
                continue
            self.results[case].clock = clock.name
            self.runs.append(Run(replace(whole, case=case), clock))

    def first_call(
        self,
        result: CaseResult,
        inputs: Sequence[Any],
        placements: Placements,
        clock: Clock,
        reference: list[torch.Tensor],
    ) -> Prepared:
        """Check the first result, and time the calls until nothing more is compiled."""
        case = result.case
        compiled = case.mode != "eager"
        placements.fresh()
        self.tell(f"{'compiling' if compiled else 'checking'} {case.id}", 0.0)
        if compiled:
            self.empty_cache(case)
        watch = CompileWatch()
        prepared = prepare(self.workload, case, inputs)
        placements.add(prepared.args)
        with matmul_precision(case.precision):
            start = perf_counter()
            value = prepared.call(*prepared.args)
            returned = perf_counter() - start
            clock.synchronize()
            seconds, calls = perf_counter() - start, 1
            checking = perf_counter()
            self.check(result, inputs, value, reference)
            self.seconds["checking"] += perf_counter() - checking
            while compiled and calls < SETTLING_CALLS:
                before, start = watch.compiled(), perf_counter()
                prepared.call(*prepared.args)
                clock.synchronize()
                if watch.compiled() == before:
                    break
                seconds, calls = seconds + perf_counter() - start, calls + 1
        result.first_call = FirstCallRecord(seconds=seconds, calls=calls, returned=returned)
        if prepared.setup_seconds is not None:
            result.first_call["setup"] = prepared.setup_seconds
        self.seconds["compiling" if compiled else "warming"] += seconds
        if compiled:
            result.compile = watch.record()
            if not result.compile["graphs"]:
                raise CheckError("torch.compile compiled nothing of it; leave this mode out of its modes=")
        return prepared

    def reference(self, inputs: Sequence[Any]) -> list[torch.Tensor]:
        """What the results are checked against: in float64 on the CPU."""
        return reference_result(self.workload, inputs, in_float64(self.workload))

    def check(self, result: CaseResult, inputs: Sequence[Any], value: Any, reference: list[torch.Tensor]) -> None:
        """Hold a first call's value against the reference."""
        tensors = observed(self.workload, inputs, value)
        result.check = check(self.workload, result.case.precision, tensors, reference)

    def empty_cache(self, case: Case) -> None:
        """Before a case is compiled: nothing compiled earlier is found."""
        del case
        cold_cache(Path(self.task.folder))

    def warm_up(self) -> None:
        """Warm every run up and set its block length."""
        start = perf_counter()
        share = self.task.seconds * WARM_UP_SHARE / max(len(self.runs), 1)
        warm: list[Run] = []
        for run in (one for one in self.runs if one.prepared.case.slowdown == 1):
            case = run.prepared.case
            first = self.results[case].first_call
            most = max(HOPELESS_SECONDS, OVERDRAFT * self.task.seconds)
            if first is not None and case.mode == "eager" and first["seconds"] > most:
                run.seconds = first["seconds"]
                run.skip = too_slow(run.seconds, MIN_PLACEMENTS * run.seconds, self.task.seconds)
                continue
            self.tell(f"warming up {case.id}", 0.0)
            try:
                warm_up(run, share)
                warm.append(run)
            except Exception as error:  # noqa: BLE001 - becomes this case's reason
                run.error = describe(error, case.source)
        align_blocks(warm, self.comparisons(warm), self.reason)
        originals = {run.prepared.case: run for run in warm}
        for run in (one for one in self.runs if one.prepared.case.slowdown > 1):
            self.warm_slowed(run, originals.get(run.prepared.case.original))
        self.seconds["warming"] += perf_counter() - start

    @staticmethod
    def reason(run: Run, error: Exception) -> str:
        """Why a run failed."""
        return describe(error, run.prepared.case.source)

    def comparisons(self, runs: Sequence[Run]) -> list[tuple[int, int]]:
        """Indices into ``runs``: (what a case is held against, the case)."""
        index = {run.prepared.case: position for position, run in enumerate(runs)}
        return [
            (index[other], index[case])
            for case in index
            for _, other in self.family.comparisons(case)
            if other in index
        ]

    def warm_slowed(self, run: Run, whole: Run | None) -> None:
        """Set a slowed copy's extra work by what the case itself takes now."""
        if whole is None:
            run.skip = NO_ORIGINAL
            return
        try:
            slow_down(run, whole)
        except Exception as error:  # noqa: BLE001 - becomes this case's reason
            run.error = describe(error, run.prepared.case.source)

    def time(self) -> str:
        """Placements × rounds; returns why they stopped."""
        runs = leave_out_too_slow(
            [run for run in self.runs if run.error is None and run.skip is None], self.task.seconds
        )
        if not runs:
            return "failed"

        def fresh() -> None:
            for placements in self.placements:
                placements.fresh()
            for context in {id(run.prepared.context): run.prepared.context for run in runs}.values():
                context.next_placement()

        set_repeats(runs)
        rounds = rounds_per_placement(runs, self.task.seconds)
        stretch(runs, rounds, self.task.seconds)
        start = perf_counter()
        gauge = Gauge()

        def told(_: int) -> None:
            gauge.sample()
            self.tell("timing", min(1.0, (perf_counter() - start) / self.task.seconds))

        stop = alternate(
            runs,
            self.comparisons(runs),
            fresh,
            Stopping(self.task.seconds),
            rounds,
            self.rng,
            self.reason,
            told,
        )
        self.telemetry = gauge.finish()
        timed = sum(block.wall * run.calls for run in runs for placement in run.placements for block in placement)
        self.seconds["timed"] += timed
        self.seconds["warming"] += perf_counter() - start - timed
        return stop

    def after(self) -> None:
        """The passes after the timing: operators of eager cases whose cost is known, and peak memory."""
        for run in self.runs:
            case, result = run.prepared.case, self.results[run.prepared.case]
            if run.error is not None or not run.placements or case.slowdown > 1:
                continue
            try:
                if case.mode == "eager" and self.has_bounds() and run.seconds < LONG_CALL_SECONDS:
                    result.operators = count_operators(run.call)
                if self.workload.memory:
                    result.peak_bytes = peak_memory(run.call, case.device)
            except Exception:  # noqa: BLE001 - the timing stands; the worker's output says why this is missing
                traceback.print_exc()

    def has_bounds(self) -> bool:
        """Whether the operations or bytes of a call are known."""
        if self.workload.cost is None:
            return False
        cost = self.workload.cost(**dict(self.family.reference.size))
        return cost.flops is not None or cost.bytes is not None

    def still_finite(self) -> None:
        """A result that turned NaN while it was timed must not stand as a measurement."""
        for run in self.runs:
            if run.error is None and run.placements and run.prepared.case.slowdown == 1:
                try:
                    tensors = observed(self.workload, run.prepared.inputs, run.call())
                except Exception as error:  # noqa: BLE001 - becomes this case's reason
                    run.error = f"after its timing, {describe(error, run.prepared.case.source)}"
                    continue
                if any(has_nan(tensor) for tensor in tensors):
                    run.error = "its result turned NaN while it was being timed; keep its state bounded"

    def finish(self) -> None:
        """Copy the runs' blocks and errors to the results."""
        for run in self.runs:
            result = self.results[run.prepared.case]
            result.error, result.skip = run.error, run.skip
            result.too_slow = run.seconds if run.skip else None
            result.calls = run.calls
            result.blocks = run.blocks
            if COUNTS_INTERRUPTIONS:
                result.disturbed = [sum(block.switches > 0 for block in placement) for placement in run.placements]
                result.interruptions = run.interruptions
            meter = run.prepared.context.meter
            result.meters = {
                name: (unit, [median(noted[name]) for noted in meter.placements if name in noted])
                for name, unit in meter.units.items()
            }
            if run.clock.name != "perf_counter":
                result.host = [[block.host for block in placement] for placement in run.placements]
                result.wall = [[block.wall for block in placement] for placement in run.placements]


def measure(task: Task, tell: Tell) -> FamilyResult:
    """Measure one family in this process.

    ``tell(what, fraction)`` reports progress. An error in a case's own code ends in its result.
    """
    torch.set_num_threads(task.threads)
    tempfile.tempdir = task.folder  # what workloads write goes where the conductor removes it
    data.use(task.data)
    settle_allocator()
    stages = Stages(task, tell)
    devices = dict.fromkeys(case.device for case in task.family.cases)
    for device in devices:
        stages.prepare_device(device, [case for case in task.family.cases if case.device == device])
    stop = "checked"
    if not task.check_only:
        # The stance is set before warm-up: a case that recompiles then has not settled.
        with undisturbed():
            stages.warm_up()
            stop = stages.time()
            stages.after()
        stages.still_finite()
    stages.finish()
    return FamilyResult(list(stages.results.values()), stop, stages.seconds, stages.telemetry)
