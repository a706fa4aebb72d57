"""The stages of a family before its timing: inputs, graph capture, check and first call of each case."""

from __future__ import annotations

import gc
import hashlib
import random
import shutil
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import Any

from torchduet.bench.cases.case import Case, workload_of
from torchduet.bench.cases.exchange import SEED, CaseResult, Task
from torchduet.bench.host.suspension import awake, moment, suspended
from torchduet.bench.record.schema import STARTING, FirstCallRecord
from torchduet.bench.state.entry import LastingChangeError
from torchduet.bench.state.own_state import SETUP, restored
from torchduet.bench.timing.callables import Prepared, prepare
from torchduet.bench.timing.checking.dense import CheckError
from torchduet.bench.timing.checking.family_checks import FamilyChecks
from torchduet.bench.timing.checking.poison import poison
from torchduet.bench.timing.checking.reference import Reference
from torchduet.bench.timing.checking.results import Results
from torchduet.bench.timing.checking.summary import differing, summary_of
from torchduet.bench.timing.clock import Clock
from torchduet.bench.timing.compile_watch import CompileWatch
from torchduet.bench.timing.compiling.record import compile_record, first_sizes
from torchduet.bench.timing.compiling.sizes import forget_dynamic_sizes, notes_of
from torchduet.bench.timing.cuda_graph import CaptureError, captured, skipped_graphs
from torchduet.bench.timing.device import Device
from torchduet.bench.timing.device_registry import device_of
from torchduet.bench.timing.dynamo import cold_cache, compile_into, load_without_headers
from torchduet.bench.timing.failures import describe, free_device_memory, lacking, limitation, unusable
from torchduet.bench.timing.family_inputs import FamilyInputs
from torchduet.bench.timing.precision import first_result, matmul_precision
from torchduet.bench.timing.timed_case import TimedCase
from torchduet.suites.workload import COMPILED, GRAPHED, Unavailable

SETTLING_CALLS = 5
UNCOMPILED = (
    "its author compiles it with torch.compile: that is undone, so that the mode alone decides; "
    "options of that torch.compile do not apply"
)
CALLS_COMPILED = (
    "it calls code that torch.compile has compiled: it is timed as it is, and left out of the answer for torch.compile"
)
NO_ORIGINAL = "the case that it is a copy of could not be timed"
Report = Callable[[str, float], None]


class FirstCalls:
    """Inputs, checks and first calls of one family; fills ``results`` (all cases) and ``runs`` (cases to be timed)."""

    timed_case: type[TimedCase] = TimedCase

    def __init__(self, task: Task, report: Report, seed: str = "") -> None:
        self.task, self.report = task, report
        self.started = awake()
        self.family = task.family
        self.workload = workload_of(self.family.reference)
        self.rng = random.Random(f"{SEED} {seed or self.family.name}")
        self.results = {case: CaseResult(case) for case in self.family.cases}
        self.seconds = dict.fromkeys((STARTING, "compiling", "timed", "checking", "warming"), 0.0)
        self.inputs = FamilyInputs(self.family, self.workload, self.rng)
        self.checks = FamilyChecks(self.family, self.workload, self.inputs)
        self.checks.enabled = task.paces is None
        self.broken: Case | None = None  # the case after which this process can measure nothing more
        self.runs: list[TimedCase] = []
        self.took: dict[Case, float] = {}  # seconds of each first call, with its check

    def start(self, device: Device, cases: Sequence[Case]) -> bool:
        """Start a device in this process, and record what it takes; whether it could be started.

        An accelerator takes seconds (driver, context, libraries), whose stage of its own is held against no case.
        """
        began, context = awake(), None
        try:
            if device.asynchronous:
                self.report(f"{STARTING} {device.name}", 0.0)
            context = device.context_bytes(self.task.uuids.get(device.name, ""))
            device.start(compiles=any(case.mode in COMPILED for case in cases))
        except Exception as error:  # noqa: BLE001 - becomes the reason of this device's cases
            for case in cases:
                self.results[case].error = f"{device.name} could not be started: {describe(error, case.source)}"
            return False
        finally:
            if device.asynchronous:
                self.seconds[STARTING] += awake() - began
                self.report(f"making the inputs on {device.name}", 0.0)
        for case in cases:
            self.results[case].context_bytes = context
        return True

    def prepare_device(self, name: str, cases: Sequence[Case]) -> None:
        """Make the inputs on one device; take the first call of every case there, and check it."""
        device = device_of(name)
        here = [case for case in cases if not self.workload.in_ranks(case.implementation)]
        if here and self.start(device, here):
            with device.current():
                self._prepare(device, here)
        if len(here) < len(cases) and self.broken is None:
            self.prepare_ranks([case for case in cases if case not in here])

    def prepare_ranks(self, cases: Sequence[Case]) -> None:
        """Take the first calls of cases that run in several processes; without any, they are skipped."""
        for case in cases:
            self.results[case].skip = "it runs in a process group, which this way of measuring does not start"

    def _prepare(self, device: Device, cases: Sequence[Case]) -> None:
        opened = self.open(device, cases)
        clock = device.clock()
        for case in [case for case in cases if case.slowdown == 1] if opened else ():
            if (why := self.unaffordable(case)) is not None:
                self.results[case].skip = why
                continue
            began = awake()
            self.take(case, device, clock, *opened)
            self.took[case] = awake() - began
            if self.broken is not None:
                return
        if opened:
            self.add_slowed_copies(cases, clock)

    def unaffordable(self, case: Case) -> str | None:
        """Why there is no time for the first call of a case; None where there is."""

    def open(self, device: Device, cases: Sequence[Case]) -> tuple[Sequence[Any], Reference] | tuple[()]:
        """The inputs on a device, and the reference; nothing where they cannot be made, which the results then say."""
        name = device.name
        start, stage = perf_counter(), "its inputs could not be made: "
        try:
            with restored() as changed:
                inputs = self.inputs.make(name)
            for case in cases:
                self.results[case].notes += changed.note("inputs=")
            if self.inputs.uncompiled:
                for case in cases:
                    self.results[case].notes.append(UNCOMPILED)
            stage = ""
            self.inputs.hold(name, inputs)
            stage = f"in float64 on {self.checks.float64_device or 'the CPU'}, for the check, "
            with restored():  # a case of this function is named below
                reference = self.checks.reference(name, inputs)
            self.inputs.after_reference()
            return inputs, reference
        except Unavailable as reason:
            for case in cases:
                self.results[case].skip = str(reason)
        except Exception as error:  # noqa: BLE001 - becomes the reason of this device's cases
            for case in cases:
                self.results[case].error = stage + describe(error, case.source)
        finally:
            self.seconds["checking"] += perf_counter() - start
        return ()

    def take(self, case: Case, device: Device, clock: Clock, inputs: Sequence[Any], reference: Reference) -> None:
        """Take the first call of a case, and check it; a case that can be timed becomes one of the runs."""
        result = self.results[case]
        try:
            prepared = self.first_call(result, inputs, clock, reference)
        except Unavailable as reason:
            result.skip = str(reason)
        except (CaptureError, LastingChangeError) as error:
            result.error = str(error)
            self.broken = case
        except Exception as error:  # noqa: BLE001 - becomes this case's reason
            result.skip = (limitation(error) if case.mode in COMPILED else None) or lacking(error, case.precision)
            if result.skip is None:
                result.error = describe(error, case.source)
            if unusable(device.name):
                self.broken = case
                return
            free_device_memory(error)
            del error
            gc.collect()  # releases what the failed call made, such as a loader's processes
        else:
            result.clock = clock.name
            self.runs.append(self.inputs.ready(self.timed_case(prepared, clock, cold=self.task.cold)))

    def add_slowed_copies(self, cases: Sequence[Case], clock: Clock) -> None:
        """Add the slowed copies: they make the same calls, so that nothing is compiled or checked again."""
        originals = {run.prepared.case: run.prepared for run in self.runs}
        for case in [case for case in cases if case.slowdown > 1]:
            original = originals.get(case.original)
            if original is None:
                self.results[case].skip = NO_ORIGINAL
                continue
            self.results[case].clock = clock.name
            run = TimedCase(replace(original, case=case), clock, cold=self.task.cold)
            self.runs.append(self.inputs.ready(run))

    def first_call(
        self,
        result: CaseResult,
        inputs: Sequence[Any],
        clock: Clock,
        reference: Reference,
    ) -> Prepared:
        """Check the first result, and time the calls until none compiles anything."""
        case = result.case
        compiled = case.mode in COMPILED
        own_inputs, placements = self.inputs.of(case, inputs), self.inputs.placements[case.device]
        self.report(f"{'compiling' if compiled else 'checking'} {case.id}", 0.0)
        if compiled:
            self.empty_cache(case)
            forget_dynamic_sizes(own_inputs)
        watch, started = CompileWatch(), moment()
        with restored() as changed:
            prepared = prepare(self.workload, case, own_inputs)
        prepared.own_state.adopt(changed.changed)
        if prepared.compiled_already and UNCOMPILED not in result.notes:
            result.notes.append(UNCOMPILED)
        result.notes += changed.note(SETUP, "in force around its own calls only")
        self.inputs.add(prepared)
        self.checks.refuse_without_effect(prepared, reference)
        watched = self.inputs.watch(case, own_inputs)
        graphed = case.mode in GRAPHED
        in_its_state = prepared.own_state.entered(thorough=True)
        with matmul_precision(case.precision), in_its_state, skipped_graphs(graphed) as skips:
            capture_seconds = captured(prepared.graph, placements.restore)
            poison(reference, case.device, prepared.graph.result if prepared.graph else None, prepared.inputs)
            start = perf_counter()
            with watch.entries(), first_sizes(prepared, clock.synchronize) as sizes:
                scaler, again = prepared.context.scaler, partial(prepared.call, *prepared.args)
                value = first_result(again, scaler, placements.restore, self.agreed)
            returned = perf_counter() - start
            clock.synchronize()
            seconds, calls = capture_seconds + perf_counter() - start, 1
            check_start = perf_counter()
            values = self.checks.observed(result, prepared, value)
            del value
            self.summarize(result, values)
            self.inputs.note_changes(prepared, watched, result)
            self.checks.check(result, prepared, values, reference)
            self.seconds["checking"] += perf_counter() - check_start
            deeper = self.agreed(not compiled and bool(watch.entered or watch.compiled()))
            while (compiled or deeper) and calls < SETTLING_CALLS:
                before, start = watch.compiled(), perf_counter()
                prepared.call(*prepared.args)
                clock.synchronize()
                recorded = graphed and calls == 1  # the second call records a graph of what the first compiled
                if not self.agreed(watch.compiled() != before or recorded):
                    break
                seconds, calls = seconds + perf_counter() - start, calls + 1
            entered = prepared.sizes.entered(prepared.args) if prepared.sizes and compiled else []
            if graphed:
                placements.restore()
                poison(reference, case.device, None, prepared.inputs)
                values = self.checks.observed(result, prepared, prepared.call(*prepared.args))
                self.checks.check(result, prepared, values, reference)
        result.notes += prepared.own_state.notes
        result.first_call = FirstCallRecord(seconds=seconds, calls=calls, returned=returned)
        if suspended(started):
            result.notes.append(
                "the time of its first call is too long: the process or the machine was suspended during it"
            )
        if prepared.setup_seconds is not None:
            result.first_call["setup"] = prepared.setup_seconds
        self.seconds["compiling" if compiled else "warming"] += seconds
        if compiled:
            result.compile = compile_record(watch, skips if graphed else None, sizes, entered)
            result.notes += notes_of(result.compile.get("sizes"))
        elif deeper:
            result.compile = watch.record(cold=False)
            result.notes.append(CALLS_COMPILED)
        return prepared

    def agreed(self, value: bool) -> bool:
        """Whether a condition holds in any of the processes that make the same calls."""
        return value

    def summarize(self, result: CaseResult, values: Results) -> None:
        """Keep a summary of the first result, if the task asks for it, and compare it with the one that it expects.

        Raises:
            CheckError: it is another result.
        """
        if self.task.expected is None or not (self.workload.check and self.workload.deterministic):
            return
        result.summary = summary_of(values)
        expected = self.task.expected.get(result.case)
        if expected and (what := differing(result.summary, expected)):
            raise CheckError(f"its result is another one in a fresh process: {what}")

    def empty_cache(self, case: Case) -> None:
        """Start an empty compile cache before a case is compiled; a later visit reads what the first has compiled."""
        if not self.task.compiled:
            cold_cache(Path(self.task.folder))
            return
        folder = Path(self.task.compiled) / hashlib.sha256(case.id.encode()).hexdigest()[:16]
        if self.task.paces is None:
            shutil.rmtree(folder, ignore_errors=True)
        else:
            load_without_headers()
        folder.mkdir(exist_ok=True)
        compile_into(folder)
