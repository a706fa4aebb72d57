"""Measures a family: first calls, warm-up, placements × rounds, and the passes after them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import torch

from torchduet.bench.host.counters import COUNTS_CONTEXT_SWITCHES, Gauge
from torchduet.bench.host.suspension import awake
from torchduet.bench.passes.after_timing import measure_after_timing
from torchduet.bench.passes.back_to_back import SUSTAINED_SECONDS
from torchduet.bench.passes.device_time import DeviceTimes
from torchduet.bench.record.schema import StopReason
from torchduet.bench.record.telemetry import Telemetry
from torchduet.bench.state.entry import LastingChangeError, put_back, read
from torchduet.bench.state.own_state import CALLS, Restored, differences, everything, restored
from torchduet.bench.timing.alternation import Alternation, align_blocks, next_placement, warm_cores
from torchduet.bench.timing.checking.reference import has_nan
from torchduet.bench.timing.checking.results import Results, observed
from torchduet.bench.timing.clock import DelayingClock
from torchduet.bench.timing.failures import describe, unusable
from torchduet.bench.timing.first_calls import NO_ORIGINAL
from torchduet.bench.timing.gpu.sm_clock import ReadsSmClock
from torchduet.bench.timing.pacing import (
    core_warm_up_seconds,
    groups,
)
from torchduet.bench.timing.stopping import Stopping
from torchduet.bench.timing.timed_case import TimedCase
from torchduet.bench.workers.affordable import Affordable
from torchduet.bench.workers.left_running import left_running
from torchduet.bench.workers.messages import STOP_REQUESTED
from torchduet.bench.workers.other_values import note_differences
from torchduet.bench.workers.remembered import Memory

SUSTAINED_SHARE = 0.15  # of the family's time, at most, for calls without pause


class Stages(Affordable):
    """All stages of a family, from its inputs to its results."""

    telemetry: Telemetry | None = None

    def warm_up(self) -> None:
        """Warm up every case and set its block length."""
        start = awake()
        warm = [run for run in self.runs if run.prepared.case.slowdown == 1 and self.warm(run)]
        self.decide()
        align_blocks(warm, self.comparisons(warm), self.reason)
        self.warm_slowed_copies(warm)
        self.seconds["warming"] += awake() - start

    def warm_slowed_copies(self, warm: Sequence[TimedCase]) -> None:
        """Set the extra work of the slowed copies, after the other cases are warm: on warm cores, or a warm device."""
        originals = {run.prepared.case: run for run in warm}
        slowed = [
            (run, originals.get(run.prepared.case.original)) for run in self.runs if run.prepared.case.slowdown > 1
        ]
        for run, original in slowed:
            if original is None:
                run.skip = NO_ORIGINAL
        for group in sorted(groups(warm), key=lambda group: group[0].idle_waiting):
            members = {id(run) for run in group}
            own = [(run, original) for run, original in slowed if original is not None and id(original) in members]
            if own and not group[0].idle_waiting:
                warm_cores(group, core_warm_up_seconds(warm, self.task.seconds), self.reason)
            for run, original in own:
                self.warm_slowed(run, original)

    def reason(self, run: TimedCase, error: Exception) -> str:
        """Why a case failed; the first after which this process or its device is unusable becomes ``broken``."""
        case = run.prepared.case
        if run.elsewhere:
            return self.reason_in_ranks(error)
        if self.broken is None and (isinstance(error, LastingChangeError) or unusable(case.device)):
            self.broken = case
        return describe(error, case.source)

    def warm_slowed(self, run: TimedCase, original: TimedCase) -> None:
        """Set a slowed copy's extra work from the present time of its original."""
        try:
            self.slow_down(run, original)
        except Exception as error:  # noqa: BLE001 - becomes this case's reason
            run.error = self.reason(run, error)

    def time(self) -> StopReason | None:
        """Take placements × rounds; returns the reason to stop, None where no case was left to time."""
        runs = self.timed()
        if not runs:
            return None

        before = read(everything())

        def move_inputs(group: Sequence[TimedCase]) -> None:
            self.put_back(before)
            self.move(runs, dict.fromkeys(run.prepared.case.device for run in group))
            next_placement(group)

        share = self.task.seconds
        plan = self.pace(runs, share)
        start = awake()
        gauge = Gauge(sessions=self.ranked.sessions())

        def report() -> None:
            gauge.sample()
            self.report("timing", min(1.0, (awake() - start) / share))

        def must_stop() -> bool:
            return STOP_REQUESTED.is_set() or self.broken is not None or bool(self.ranked.lost)

        stopping = Stopping(share, stop_requested=must_stop)
        device_times = DeviceTimes(self.rng)
        alternation = Alternation(move_inputs, stopping, plan, self.rng, self.reason, report, device_times.after_rounds)
        stop = alternation.time(runs)
        device_times.finish(self.results)
        self.telemetry = gauge.finish()
        timed = sum(run.context_switches.seconds for run in runs)
        self.seconds["timed"] += timed
        self.seconds["warming"] += awake() - start - timed
        return stop

    def put_back(self, before: Sequence[Any]) -> None:
        """Put back what is not compared after every block, if a case has changed it since its first calls.

        Args:
            before: every entry's value before the timing.
        """
        changed = differences(before, read(everything()))
        if changed:
            outcome = Restored(changed, put_back(changed))
            for run in self.runs:
                self.results[run.prepared.case].notes += outcome.note(f"while {self.family.name} was timed, a case")

    def move(self, runs: Sequence[TimedCase], devices: Iterable[str]) -> None:
        """Move the inputs on these devices to fresh memory; where that fails, the device's cases get the error."""
        for device in devices:
            try:
                if device in self.inputs.placements:
                    self.inputs.fresh(device)
            except Exception as error:  # noqa: BLE001 - out of memory, or a broken device: becomes its cases' reason
                for run in runs:
                    if run.prepared.case.device == device and run.error is None:
                        run.error = f"no room for fresh inputs: {self.reason(run, error)}"
        self.move_ranks()

    def has_time_to_sustain(self) -> bool:
        """Whether calls of each case on an accelerator may be repeated without pause: a second each.

        They may where that is a small part of the family's time, and as much is left of the run's.
        """
        cases = [run for run in self.runs if run.device.asynchronous and not run.prepared.case.copy_number]
        seconds = SUSTAINED_SECONDS * len(cases)
        return seconds <= min(SUSTAINED_SHARE * self.share, self.task.max_seconds - (awake() - self.started))

    def after(self) -> None:
        """Make the passes after the timing."""
        sustain = self.has_time_to_sustain()
        self.time_alone()
        for run in self.runs:
            if STOP_REQUESTED.is_set():
                return
            if run.error is None and run.placements and run.prepared.case.slowdown == 1:
                what = "measuring the energy of" if self.task.energy else "measuring memory and operators of"
                self.report(f"{what} {run.prepared.case.id}", 0.0)
                if not run.elsewhere:
                    measure_after_timing(
                        run, self.results[run.prepared.case], self.workload, self.task, sustain=sustain
                    )
        self.memory_of_ranks()

    def still_computes(self) -> None:
        """Turn a case whose result became NaN during its timing, is remembered, or comes later, into an error."""
        for run in self.runs:
            if run.error is None and run.placements and run.prepared.case.slowdown == 1:
                result = self.results[run.prepared.case]
                if run.elsewhere:
                    run.error = self.verified_in_ranks(run)
                    continue
                try:
                    with restored() as changed:
                        value = run.call()  # with fresh=True it has inputs of its own
                        tensors = observed(self.workload, run.prepared.inputs, value)
                    result.notes += changed.note(CALLS)
                except Exception as error:  # noqa: BLE001 - becomes this case's reason
                    run.error = f"after its timing, {self.reason(run, error)}"
                    continue
                if any(isinstance(part.value, torch.Tensor) and has_nan(part.value) for part in tensors.values()):
                    run.error = "its result turned NaN while it was being timed; keep its state bounded"
                    continue
                try:
                    run.error = left_running(run) or self.remembers(run, tensors)
                except Exception as error:  # noqa: BLE001 - becomes this case's reason
                    run.error = f"after its timing, with changed values, {self.reason(run, error)}"
        for device, placements in self.inputs.placements.items():
            there = [run for run in self.runs if run.prepared.case.device == device and not run.elsewhere]
            note_differences(self.workload, there, placements, [self.results[run.prepared.case] for run in there])

    def remembers(self, run: TimedCase, results: Results) -> str | None:
        """Whether the case's results are remembered instead of computed, in words; None where they are computed."""
        return Memory(self.workload, run, self.inputs.placements[run.prepared.case.device], results).reason()

    def finish(self) -> None:
        """Copy the blocks and errors of the timed cases to the results."""
        for run in self.runs:
            result = self.results[run.prepared.case]
            result.error, result.skip = run.error, run.skip
            result.notes += [note for note in run.prepared.own_state.notes if note not in result.notes]
            result.too_slow = run.too_slow
            result.calls, result.cold, result.idle_waiting = run.calls, run.cold, run.idle_waiting
            result.launch_hidden = run.launch_hidden
            result.blocks, result.left_out, result.pace = run.blocks, run.left_out, run.pace
            if COUNTS_CONTEXT_SWITCHES:
                result.disturbed = [sum(block.switches > 0 for block in placement) for placement in run.placements]
                result.context_switches = run.context_switches
            result.meters = run.prepared.context.meter.medians(len(run.placements))
            result.address_sets = self.inputs.address_sets(run)
            known = run.error is None and self.broken is None and not run.elsewhere
            if known and isinstance(run.clock, ReadsSmClock):
                result.sm_mhz = run.clock.sm_clock.read()
            if run.device.asynchronous:
                result.waiting_unknown |= run.elsewhere or not isinstance(run.clock, DelayingClock)
                result.host = [[block.host for block in placement] for placement in run.placements]
                result.wall = [[block.wall for block in placement] for placement in run.placements]
        self.finish_ranks()
