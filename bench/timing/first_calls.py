"""A family's stages before its timing: inputs, graph capture, check and first call of each case."""

from __future__ import annotations

import gc
import random
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from time import perf_counter
from typing import Any

import torch

from torchduet.bench.cases.case import Case, workload_of
from torchduet.bench.cases.exchange import SEED, CaseResult, Task
from torchduet.bench.host.suspension import awake, moment, suspended
from torchduet.bench.record.schema import FirstCallRecord
from torchduet.bench.timing.callables import Prepared, in_float64, prepare
from torchduet.bench.timing.check import CheckError, check, observed, poison, reference_result
from torchduet.bench.timing.clock import Clock
from torchduet.bench.timing.conversions import converted
from torchduet.bench.timing.cuda_graph import CaptureError, skipped_graphs
from torchduet.bench.timing.device_registry import device_of
from torchduet.bench.timing.dynamo import CompileWatch, cold_cache
from torchduet.bench.timing.failures import describe, free_device_memory, unusable
from torchduet.bench.timing.placements import Placements
from torchduet.bench.timing.precision import matmul_precision
from torchduet.bench.timing.timed_case import TimedCase
from torchduet.suites.workload import COMPILED, IMPLIED, Unavailable

SETTLING_CALLS = 5
SCALING_CALLS = 10  # each halves the factor
NO_ORIGINAL = "what it is a copy of could not be timed"
Report = Callable[[str, float], None]


class FirstCalls:
    """One family's inputs, checks and first calls; what came of them is in ``results`` and ``runs``."""

    def __init__(self, task: Task, tell: Report) -> None:
        self.task, self.tell = task, tell
        self.begun = awake()
        self.family = task.family
        self.workload = workload_of(self.family.reference)
        self.rng = random.Random(f"{SEED} {self.family.name}")
        self.results = {case: CaseResult(case) for case in self.family.cases}
        self.seconds = dict.fromkeys(("compiling", "timed", "checking", "warming"), 0.0)
        self.placements: dict[str, Placements] = {}  # per device
        self.converted: dict[tuple[str, tuple[tuple[str, str], ...]], tuple[Any, ...]] = {}  # device and settings
        self.broken: Case | None = None  # after which nothing more can be measured in this process
        self.runs: list[TimedCase] = []

    def prepare_device(self, name: str, cases: Sequence[Case]) -> None:
        """Make the inputs on one device; check every case there and take its first call."""
        start = perf_counter()
        device = device_of(name)
        torch.manual_seed(SEED)
        stage = "its inputs could not be made: "
        try:
            context = device.context_bytes(self.task.uuids.get(name, ""))
            for case in cases:
                self.results[case].context_bytes = context
            inputs = self.workload.inputs(device.torch_device, **dict(self.family.reference.size))
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
        self.placements[name] = placements
        clock = device.clock()
        for case in (one for one in cases if one.slowdown == 1):
            result = self.results[case]
            try:
                prepared = self.first_call(result, inputs, placements, clock, reference)
            except Unavailable as reason:
                result.skip = str(reason)
                continue
            except CaptureError as error:
                result.error = str(error)
                self.broken = case
                return
            except Exception as error:  # noqa: BLE001 - becomes this case's reason
                result.error = describe(error, case.source)
                if unusable(name):
                    self.broken = case
                    return
                free_device_memory(error)
                del error
                gc.collect()  # what the failed call made, such as a loader's processes, ends now
                continue
            result.clock = clock.name
            self.runs.append(TimedCase(prepared, clock, cold=self.task.cold))
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
            self.runs.append(TimedCase(replace(whole, case=case), clock, cold=self.task.cold))

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
        compiled = case.mode in COMPILED
        placements.fresh()
        self.tell(f"{'compiling' if compiled else 'checking'} {case.id}", 0.0)
        if compiled:
            self.empty_cache(case)
        watch, began = CompileWatch(), moment()
        prepared = prepare(self.workload, case, self.inputs_under(case, inputs, placements))
        placements.add(prepared.args)
        graphed = case.mode in IMPLIED
        with matmul_precision(case.precision), skipped_graphs(graphed) as skips:
            before_it = self.capture(prepared, placements)
            poison(reference, case.device, prepared.graph.result if prepared.graph else None, prepared.inputs)
            start = perf_counter()
            value = self.called(prepared, placements)
            returned = perf_counter() - start
            clock.synchronize()
            seconds, calls = before_it + perf_counter() - start, 1
            checking = perf_counter()
            self.check(result, prepared.inputs, value, reference)
            self.seconds["checking"] += perf_counter() - checking
            while compiled and calls < SETTLING_CALLS:
                before, start = watch.compiled(), perf_counter()
                prepared.call(*prepared.args)
                clock.synchronize()
                recorded = graphed and calls == 1  # by the second call, of what the first compiled
                if watch.compiled() == before and not recorded:
                    break
                seconds, calls = seconds + perf_counter() - start, calls + 1
            if graphed:
                placements.restore()
                poison(reference, case.device, None, prepared.inputs)
                self.check(result, prepared.inputs, prepared.call(*prepared.args), reference)
        result.first_call = FirstCallRecord(seconds=seconds, calls=calls, returned=returned)
        if suspended(began):
            result.notes.append(
                "its first call's time is too long: it was stopped, or the machine suspended, meanwhile"
            )
        if prepared.setup_seconds is not None:
            result.first_call["setup"] = prepared.setup_seconds
        self.seconds["compiling" if compiled else "warming"] += seconds
        if compiled:
            result.compile = watch.record()
            if graphed:
                result.compile["graph_skips"] = list(dict.fromkeys(skips))
            if not result.compile["graphs"]:
                raise CheckError("torch.compile compiled nothing of it; leave this mode out of its modes=")
        return prepared

    def inputs_under(self, case: Case, inputs: Sequence[Any], placements: Placements) -> Sequence[Any]:
        """The family's inputs as the case's settings ask for; cases that ask for the same share the same tensors."""
        key = (case.device, case.turned)
        if key not in self.converted:
            self.converted[key] = converted(inputs, case)
            placements.add(self.converted[key])
        return self.converted[key]

    @staticmethod
    def called(prepared: Prepared, placements: Placements) -> Any:
        """The first result. A scaler that finds its first factors too large skips the step and tries smaller ones."""
        scaler = prepared.context.scaler
        for _ in range(SCALING_CALLS if scaler else 1):
            before = scaler.get_scale() if scaler else 0.0
            value = prepared.call(*prepared.args)
            if scaler is None or scaler.get_scale() >= before:
                break
            placements.restore()
        return value

    @staticmethod
    def capture(prepared: Prepared, placements: Placements) -> float:
        """Capture the graph of a case that has one, and undo what its calls did; the seconds it took."""
        if prepared.graph is None:
            return 0.0
        start = perf_counter()
        prepared.graph.capture()
        took = perf_counter() - start
        placements.restore()
        return took

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
