"""One side of a pair: a freshly forked process that prepares the cases of a family and times blocks on request.

It runs in the interpreter of its side. Each message from the controller is answered by one message.
"""

from __future__ import annotations

import contextlib
import gc
import os
import signal
import sys
import traceback
from collections.abc import Sequence
from dataclasses import astuple
from pathlib import Path

from torchduet.bench.cases.case import Case, Family, workload_of
from torchduet.bench.cases.exchange import CaseResult, Extras, PilotTask, Task
from torchduet.bench.duet.cores import free_children, keep, spread
from torchduet.bench.duet.handover import Turns
from torchduet.bench.duet.knobs.in_force import refused
from torchduet.bench.duet.order import COMPILER, restored
from torchduet.bench.duet.own_process import blocked_in_new_threads, computes_on, cpu, has_children
from torchduet.bench.duet.revision.importing import import_suites
from torchduet.bench.duet.stages import SideStages
from torchduet.bench.host import suspension
from torchduet.bench.host.child_processes import end_with_parent
from torchduet.bench.host.error_words import one_line
from torchduet.bench.received.channel import Channel, Message
from torchduet.bench.record.finite_check import check_record
from torchduet.bench.state.at_import import imported
from torchduet.bench.state.at_start import begin
from torchduet.bench.timing.alternation import undisturbed
from torchduet.bench.timing.failures import describe
from torchduet.bench.timing.pacing import LONG_CALL_SECONDS
from torchduet.bench.timing.timed_case import TimedCase, warm_up
from torchduet.bench.workers.process import isolate
from torchduet.suites.workload import COMPILED, SuiteError

WARM_UP_SECONDS = 0.05  # for a case, at most, in the first pair: its pace is set by it
LATER_WARM_UP_SECONDS = 0.02  # in later pairs: first calls, each placement and each block warm it up, too
MAX_WARM_UP_CALL_SECONDS = 0.02  # a longer call refills the caches by itself after the other process ran


def main(channel: Channel, peer: Channel, log: str) -> None:
    """The whole life of a worker.

    Args:
        channel: to the controller.
        peer: to the worker of the other side.
    """
    isolate(log)
    end_with_parent()  # the server; this process may be stopped, and would stay so for ever
    free_children()
    for connection in (channel, peer):
        os.register_at_fork(after_in_child=connection.close)  # a child that outlives this process must not hold them
    suspension.listen()
    try:
        _serve(channel, peer)
    except (BrokenPipeError, ConnectionError):
        pass  # the controller has ended, and the server is about to end this process
    except Exception as error:  # noqa: BLE001 - sent to the controller as the reason
        traceback.print_exc()
        with contextlib.suppress(OSError):
            channel.send({"fatal": one_line(error)})
    sys.stdout.flush()
    os._exit(0)


def _serve(channel: Channel, peer: Channel) -> None:
    if (order := channel.receive()) is None:
        return
    if order.get("do") == "pilots":
        from torchduet.bench.passes.pilots import measure_pilots  # workers of families do not import it

        channel.send({"pilots": measure_pilots(PilotTask(order["threads"], order["seconds"], (*order["devices"],)))})
        return
    if order.get("do") == "import":
        channel.send(import_suites(order["sources"], order["threads"]))
        return
    with blocked_in_new_threads(signal.SIGCONT):
        side = Timed(order)
        channel.send({"cases": side.prepare(), "seconds": side.seconds})
    with undisturbed():
        warm = {"cases": side.warm_up(), "compiler": COMPILER in sys.modules, "idle": side.idle}
        channel.send({**warm, "restores": side.restores()})
        while (message := channel.receive()) is not None:
            if message["do"] == "turns":
                side.keep_to(message["paces"])
                channel.send(Turns(message, peer, channel, side.block).take())
            else:
                channel.send(side.answer(message))


def _prepared(result: CaseResult) -> Message:
    check, notes = (None, []) if result.check is None else check_record(result.check)
    return {
        "error": result.error,
        "skip": result.skip,
        "clock": result.clock,
        "check": check,
        "first_call": result.first_call,
        "compile": result.compile,
        "notes": [*result.notes, *notes],
    }


class Timed:
    """The cases of one family in this process, from the order of the controller."""

    def __init__(self, order: Message) -> None:
        self.cases = [restored(values) for values in order["cases"]]
        self.results = {case: CaseResult(case) for case in self.cases}
        self._first = order["first"]
        self.idle = True  # between its calls no thread computes, and there are no child processes
        self._runs: dict[int, TimedCase] = {}
        self._unsettled: set[int] = set()  # cases that the last placement has left out
        self._stages: SideStages | None = None
        self.seconds: dict[str, float] = {}  # by stage
        begin(order["threads"], order["folder"], order["data"])
        if order["profiled"] and any(case.mode in COMPILED for case in self.cases):
            from torchduet.bench.passes.profiler import name_fused_kernels

            name_fused_kernels()
        try:
            source = self.cases[0].source
            notes = imported(self._skip_missing_workloads, source, order["threads"])
            for result in self.results.values():
                result.notes += notes
        except SuiteError as error:
            for result in self.results.values():
                result.error = str(error)
        runnable = [case for case in self.cases if self._is_open(case)]
        if runnable:
            family = Family(cases=tuple(self.cases), reported=tuple(runnable))
            task = Task(family, 0.0, order["threads"], order["folder"])
            self._stages = SideStages(task, str(order["seed"]), self.results, first=self._first)
            self.seconds = self._stages.seconds

    def _is_open(self, case: Case) -> bool:
        return self.results[case].error is None and self.results[case].skip is None

    def _skip_missing_workloads(self) -> None:
        for case in self.cases:
            try:
                workload = workload_of(case)
            except LookupError:
                self.results[case].skip = f"there is no workload {case.suite}.{case.workload} there"
                continue
            if case.implementation not in workload.implementations:
                self.results[case].skip = f"{case.suite}.{case.workload} has no {case.implementation!r} there"
            elif set(workload.axes) != {axis for axis, _ in case.size}:
                self.results[case].skip = f"{case.suite}.{case.workload} has other sizes there"

    def prepare(self) -> list[Message]:
        """Inputs, first calls and checks; returns the result of each case."""
        runnable = [case for case in self.cases if self._is_open(case)]
        if self._stages is not None:
            self._stages.ranked.start()
        for device in dict.fromkeys(case.device for case in runnable):
            assert self._stages is not None
            self._stages.prepare_device(device, [case for case in runnable if case.device == device])
            if (broken := self._stages.broken) is not None:
                self._leave_out_others(broken)
                break
        if (why := refused()) is not None:
            for result in self.results.values():
                result.error = why
        return list(map(_prepared, self.results.values()))

    def _leave_out_others(self, broken: Case) -> None:
        """Give every case the reason why this process can measure none of them."""
        assert self._stages is not None
        for result in self.results.values():
            if result.error is None and result.skip is None:
                result.error = f"it cannot be timed beside {broken.id}: {self.results[broken].error}"
        self._stages.runs.clear()

    def warm_up(self) -> list[Message]:
        """Warm every case up; returns the seconds per call of each, or the error.

        It also finds out whether this side is ``idle`` between its calls.
        """
        results: list[Message] = [{"seconds": 0.0, "warm_up_calls": 0, "error": None} for _ in self.cases]
        seconds = WARM_UP_SECONDS if self._first else LATER_WARM_UP_SECONDS
        for run in self._stages.runs if self._stages else ():
            case = run.prepared.case
            index = self.cases.index(case)
            self._runs[index] = run
            first = self.results[case].first_call
            try:
                if first is not None and case.mode not in COMPILED and first["seconds"] >= LONG_CALL_SECONDS:
                    run.seconds = first["seconds"]
                    self.idle = False  # not found out, and stopping takes little beside such a call
                else:
                    if run.prepared.graph is not None:
                        run.settle()
                    warm_up(run, seconds)
                    run.call()
                    self.idle = self.idle and not computes_on()
                # The other process ran before each block, and its data are in the caches.
                run.warm_up_calls = max(run.warm_up_calls, 1) if run.seconds < MAX_WARM_UP_CALL_SECONDS else 0
            except Exception as error:  # noqa: BLE001 - becomes this case's reason
                results[index]["error"] = describe(error, case.source)
            results[index] |= {"seconds": run.seconds, "warm_up_calls": run.warm_up_calls}
        if self._stages:
            self._stages.decide()
        self.idle = self.idle and not has_children()
        return results

    def restores(self) -> bool | None:
        """Whether inputs are put back before every call; None where no call changes any."""
        return None if self._stages is None else self._stages.restores()

    def answer(self, message: Message) -> Message:
        """Answer a request: ``fresh`` inputs, a ``profile``, peak ``memory``, ``restore``, or the check ``finite``."""
        if message["do"] == "restore":  # inputs before each call, as the other side does
            assert self._stages is not None
            self._stages.agree(active=message["active"])
            return {}
        if message["do"] == "fresh":
            return self._fresh(message["cases"], message["cores"])
        if message["do"] == "profile":
            return self._profile(message["case"], message["folder"], Extras(**message["extras"]))
        if message["do"] == "memory":
            from torchduet.bench.duet.memory import peaks  # other pairs do not import the profiler

            return {"peaks": peaks(self._runs)}
        return self._finite()

    def keep_to(self, paces: Sequence[tuple[int, int, int]]) -> None:
        """Time the blocks of these cases as the other side does: (case, calls per block, untimed calls before it)."""
        for index, calls, warm_up_calls in paces:
            run = self._runs[index]
            run.calls, run.warm_up_calls = min(calls, run.max_calls), warm_up_calls

    def block(self, index: int) -> Message:
        """Time a block of a case: its seconds per call, the core, seconds for which it was suspended; or the error."""
        run = self._runs[index]
        try:
            block = run.block()
            run.context_switches.add(block.switches, block.wall * run.calls)
            return {"seconds": block.seconds, "cpu": cpu(), "paused": block.paused}
        except Exception as error:  # noqa: BLE001 - becomes this case's reason
            return {"error": describe(error, run.prepared.case.source)}

    def _fresh(self, indices: Sequence[int], cores: Sequence[int]) -> Message:
        """Move the inputs to fresh memory, call each case once and pin threads to these cores; the errors by case."""
        assert self._stages is not None
        if cores:
            keep(0, cores)
        errors: dict[str, str] = {}
        for device in self._stages.inputs.placements:
            try:
                self._stages.inputs.fresh(device)
            except Exception as error:  # noqa: BLE001 - out of memory: becomes the reason of every case
                reason = f"no room for fresh inputs: {describe(error, self.cases[0].source)}"
                return {"errors": {str(index): reason for index in indices}}
        self._stages.move_ranks()
        gc.collect()
        self._unsettled = set(self._runs)
        for index in indices:
            run = self._runs[index]
            run.prepared.next_placement()
            run.placements.append([])
            self._unsettled.discard(index)
            try:
                run.settle()
            except Exception as error:  # noqa: BLE001 - becomes this case's reason
                errors[str(index)] = describe(error, run.prepared.case.source)
        if cores:
            spread(cores)  # every thread has been started by now
        return {"errors": errors}

    def _profile(self, index: int, folder: str, extras: Extras) -> Message:
        """Call a case again under torch.profiler; returns its record, or the error."""
        from torchduet.bench.workers.profiling import profile  # processes that only time do not import it

        run = self._runs[index]
        try:
            return {"profile": profile(run, Path(folder), extras)}
        except Exception as error:  # noqa: BLE001 - becomes this case's reason
            return {"error": describe(error, run.prepared.case.source)}

    def _finite(self) -> Message:
        """Check which results became NaN while they were timed; returns errors, context switches and places by case."""
        assert self._stages is not None
        for run in map(self._runs.__getitem__, self._unsettled):  # not in the last placement: their inputs have moved
            if run.error is None and run.placements:
                try:
                    run.settle()
                except Exception as error:  # noqa: BLE001 - becomes this case's reason
                    run.error = describe(error, run.prepared.case.source)
        self._stages.still_computes()
        return {
            "errors": {str(index): run.error for index, run in self._runs.items() if run.error},
            "switches": {str(index): astuple(run.context_switches) for index, run in self._runs.items()},
            "address_sets": self._stages.address_sets(self._runs),
        }
