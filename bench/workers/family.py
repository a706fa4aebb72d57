"""A family's measurement: its preparation, warm-up, placements × rounds, and the passes after them."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Sequence
from statistics import median

import torch

from torchduet.bench.cases.exchange import FamilyResult, Task
from torchduet.bench.host.counters import COUNTS_CONTEXT_SWITCHES, Gauge
from torchduet.bench.host.suspension import awake
from torchduet.bench.passes.after_timing import measure_after_timing
from torchduet.bench.record.schema import StopReason
from torchduet.bench.record.statistics import MIN_PLACEMENTS
from torchduet.bench.record.telemetry import Telemetry
from torchduet.bench.timing.alternation import Alternation, align_blocks, undisturbed, warm_cores
from torchduet.bench.timing.check import has_nan, observed
from torchduet.bench.timing.clock import DelayingClock
from torchduet.bench.timing.failures import describe, unusable
from torchduet.bench.timing.first_calls import NO_ORIGINAL, FirstCalls, Report
from torchduet.bench.timing.pacing import OVERDRAFT, core_warm_up_seconds, leave_out_too_slow, set_pace, too_slow
from torchduet.bench.timing.placements import settle_allocator
from torchduet.bench.timing.stopping import INTERRUPTED, Stopping
from torchduet.bench.timing.timed_case import TimedCase, slow_down, warm_up
from torchduet.bench.workers.messages import ASKED_TO_STOP
from torchduet.suites.datasets import data
from torchduet.suites.workload import COMPILED

HOPELESS_SECONDS = 1.0  # a first call beyond this and twice the family's share is not repeated
WARM_UP_SHARE = 0.15
LONE_SECONDS = 2.0  # for a case that is compared with none


class Stages(FirstCalls):
    """One family's measurement, from inputs to blocks."""

    telemetry: Telemetry | None = None

    def warm_up(self) -> None:
        """Warm every run up and set its block length."""
        start = awake()
        share = self.task.seconds * WARM_UP_SHARE / max(len(self.runs), 1)
        warm: list[TimedCase] = []
        for run in (one for one in self.runs if one.prepared.case.slowdown == 1):
            case = run.prepared.case
            first = self.results[case].first_call
            most = max(HOPELESS_SECONDS, OVERDRAFT * self.task.seconds)
            if first is not None and case.mode not in COMPILED and first["seconds"] > most:
                run.seconds = first["seconds"]
                run.skip = too_slow(run.seconds, MIN_PLACEMENTS * run.seconds, self.task.seconds)
                continue
            self.tell(f"warming up {case.id}", 0.0)
            try:
                if run.prepared.graph is not None:
                    run.settle()  # other cases' first calls have moved the inputs since
                warm_up(run, share)
                warm.append(run)
            except Exception as error:  # noqa: BLE001 - becomes this case's reason
                run.error = self.reason(run, error)
        align_blocks(warm, self.comparisons(warm), self.reason)
        originals = {run.prepared.case: run for run in warm}
        slowed = [
            (run, originals.get(run.prepared.case.original)) for run in self.runs if run.prepared.case.slowdown > 1
        ]
        if slowed:  # on cores that are awake; the copies of what rests after the others
            warm_cores(
                [run for run in warm if not run.rests], core_warm_up_seconds(warm, self.task.seconds), self.reason
            )
        for run, whole in sorted(slowed, key=lambda pair: pair[1] is not None and pair[1].rests):
            self.warm_slowed(run, whole)
        self.seconds["warming"] += awake() - start

    def reason(self, run: TimedCase, error: Exception) -> str:
        """Why a run failed; of a GPU that can be used no more the first one that did is to blame."""
        case = run.prepared.case
        if self.broken is None and unusable(case.device):
            self.broken = case
        return describe(error, case.source)

    def comparisons(self, runs: Sequence[TimedCase]) -> list[tuple[int, int]]:
        """Indices into ``runs``: (what a case is held against, the case)."""
        index = {run.prepared.case: position for position, run in enumerate(runs)}
        return [
            (index[other], index[case])
            for case in index
            for _, other in self.family.comparisons(case)
            if other in index
        ]

    def warm_slowed(self, run: TimedCase, whole: TimedCase | None) -> None:
        """Set a slowed copy's extra work by what the case itself takes now."""
        if whole is None:
            run.skip = NO_ORIGINAL
            return
        try:
            slow_down(run, whole)
        except Exception as error:  # noqa: BLE001 - becomes this case's reason
            run.error = self.reason(run, error)

    def time(self) -> StopReason | None:
        """Placements × rounds; returns why they stopped, None where nothing was left to time."""
        runs = leave_out_too_slow(
            [run for run in self.runs if run.error is None and run.skip is None],
            self.task.seconds,
            max(0.0, self.task.most - (awake() - self.begun)),
        )
        if not runs:
            return None

        def fresh(some: Sequence[TimedCase]) -> None:
            self.move(runs, dict.fromkeys(run.prepared.case.device for run in some))
            next_placement(some)

        comparisons = self.comparisons(runs)
        # Where nothing is left to compare more time settles nothing.
        share = self.task.seconds if comparisons else min(self.task.seconds, LONE_SECONDS * len(runs))
        plan = set_pace(runs, share)
        start = awake()
        gauge = Gauge()

        def told() -> None:
            gauge.sample()
            self.tell("timing", min(1.0, (awake() - start) / share))

        stopping = Stopping(share, asked=ASKED_TO_STOP.is_set)
        alternation = Alternation(fresh, stopping, plan, self.rng, self.reason, told)
        stop = alternation.time(runs, comparisons)
        self.telemetry = gauge.finish()
        timed = sum(run.interruptions.seconds for run in runs)
        self.seconds["timed"] += timed
        self.seconds["warming"] += awake() - start - timed
        return stop

    def move(self, runs: Sequence[TimedCase], devices: Iterable[str]) -> None:
        """Move the inputs on these devices to fresh memory; where that fails it costs the runs of that device."""
        for device in devices:
            try:
                self.placements[device].fresh()
            except Exception as error:  # noqa: BLE001 - out of memory, or a broken device: becomes its cases' reason
                for run in (one for one in runs if one.prepared.case.device == device and one.error is None):
                    run.error = f"no room for fresh inputs: {self.reason(run, error)}"

    def after(self) -> None:
        """The passes after the timing."""
        for run in self.runs:
            if ASKED_TO_STOP.is_set():
                return
            if run.error is None and run.placements and run.prepared.case.slowdown == 1:
                what = "measuring the energy of" if self.task.energy else "looking once more at"
                self.tell(f"{what} {run.prepared.case.id}", 0.0)
                measure_after_timing(run, self.results[run.prepared.case], self.workload, self.task)

    def still_finite(self) -> None:
        """A result that turned NaN while it was timed must not stand as a measurement."""
        for run in self.runs:
            if run.error is None and run.placements and run.prepared.case.slowdown == 1:
                try:
                    tensors = observed(self.workload, run.prepared.inputs, run.call())
                except Exception as error:  # noqa: BLE001 - becomes this case's reason
                    run.error = f"after its timing, {self.reason(run, error)}"
                    continue
                if any(has_nan(tensor) for tensor in tensors):
                    run.error = "its result turned NaN while it was being timed; keep its state bounded"

    def finish(self) -> None:
        """Copy the runs' blocks and errors to the results."""
        for run in self.runs:
            result = self.results[run.prepared.case]
            result.error, result.skip = run.error, run.skip
            result.too_slow = run.seconds if run.skip else None
            result.calls, result.cold, result.rests = run.calls, run.cold, run.rests
            result.blocks, result.left_out = run.blocks, run.left_out
            if COUNTS_CONTEXT_SWITCHES:
                result.disturbed = [sum(block.switches > 0 for block in placement) for placement in run.placements]
                result.interruptions = run.interruptions
            meter = run.prepared.context.meter
            result.meters = {
                name: (
                    unit,
                    [median(noted[name]) for noted in meter.placements[: len(run.placements)] if name in noted],
                )
                for name, unit in meter.units.items()
            }
            if run.device.asynchronous:
                result.waits_unknown = not isinstance(run.clock, DelayingClock)
                result.host = [[block.host for block in placement] for placement in run.placements]
                result.wall = [[block.wall for block in placement] for placement in run.placements]


def next_placement(runs: Sequence[TimedCase]) -> None:
    """Another placement of these begins; a slowed copy shares its original's context, whose seed goes on once."""
    for context in {id(run.prepared.context): run.prepared.context for run in runs}.values():
        context.next_placement()


def measure(task: Task, tell: Report) -> FamilyResult:
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
        if stages.broken is not None:
            return FamilyResult(list(stages.results.values()), None, stages.seconds, broken=stages.broken)
    stop = None
    if not task.check_only:
        # The stance is set before warm-up: a case that recompiles then has not settled.
        with undisturbed():
            stages.warm_up()
            stop = None if stages.broken else stages.time()
            if stop != INTERRUPTED and not stages.broken:
                stages.after()
        if not stages.broken:
            stages.still_finite()
    stages.finish()
    results = list(stages.results.values())
    return FamilyResult(results, stop, stages.seconds, stages.telemetry, broken=stages.broken)
