"""One side of a pair: a freshly forked process that prepares a family's cases and times a block when told.

It runs in the side's own interpreter. Each message from the conductor is answered by one message.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import os
import random
import signal
import sys
import tempfile
import traceback
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch

from torchduet.bench.cases.case import Case, Family, workload_of
from torchduet.bench.cases.exchange import SEED, CaseResult, Extras, Task
from torchduet.bench.duet.cores import free_children, keep, spread
from torchduet.bench.duet.order import COMPILER, restored
from torchduet.bench.duet.protocol import Channel, Message
from torchduet.bench.host import suspension
from torchduet.bench.timing.alternation import undisturbed
from torchduet.bench.timing.dynamo import compile_into
from torchduet.bench.timing.failures import describe
from torchduet.bench.timing.pacing import LONG_CALL_SECONDS
from torchduet.bench.timing.placements import settle_allocator
from torchduet.bench.timing.timed_case import TimedCase, warm_up
from torchduet.bench.workers.family import Stages
from torchduet.bench.workers.process import isolate
from torchduet.suites.datasets import data
from torchduet.suites.workload import COMPILED, SuiteError

PR_SET_PDEATHSIG = 1  # <linux/prctl.h>
WARM_UP_SECONDS = 0.05
_libc = ctypes.CDLL(None)
LEAD_IN_SECONDS = 0.02  # a call of this length brings back by itself what the other process displaced


def main(channel: Channel, log: str) -> None:
    """The whole life of a worker."""
    isolate(log)
    _end_with_server()
    free_children()
    suspension.listen()
    try:
        _serve(channel)
    except (BrokenPipeError, ConnectionError):
        pass  # the conductor is gone, and the server is about to end this process
    except Exception as error:  # noqa: BLE001 - sent to the conductor as the reason
        traceback.print_exc()
        with contextlib.suppress(OSError):
            channel.send({"fatal": f"{type(error).__name__}: {error}".split("\n")[0]})
    sys.stdout.flush()
    os._exit(0)


def _end_with_server() -> None:
    """When the server is killed, so is this worker: it may be stopped and would stay so for ever."""
    if sys.platform == "linux":
        _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def _serve(channel: Channel) -> None:
    order = channel.receive()
    if order is None:
        return
    with _others_deaf_to(signal.SIGCONT):
        side = Timed(order)
        channel.send({"cases": side.prepare()})
    with undisturbed():
        channel.send({"cases": side.warm_up(), "compiler": COMPILER in sys.modules})
        while (message := channel.receive()) is not None:
            channel.send(side.answer(message))


@contextlib.contextmanager
def _others_deaf_to(number: signal.Signals) -> Iterator[None]:
    """Threads that are made meanwhile never handle this signal: the main thread does, before it goes on.

    Every turn begins with one. Met by another thread first it would be noticed in the middle of a block, as if the
    process had been stopped there.
    """
    signal.pthread_sigmask(signal.SIG_BLOCK, {number})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {number})


def _cpu() -> int | None:
    """The core that this thread has just run on; None where that is not known."""
    return _libc.sched_getcpu() if sys.platform == "linux" else None


class _SideStages(Stages):
    """A family's stages on one side. What a former pair has checked and compiled is not done again."""

    def __init__(self, task: Task, *, first: bool) -> None:
        super().__init__(task, lambda _what, _fraction: None)
        self.first = first

    def reference(self, inputs: Sequence[Any]) -> list[torch.Tensor]:
        return super().reference(inputs) if self.first else []

    def check(self, result: CaseResult, inputs: Sequence[Any], value: Any, reference: list[torch.Tensor]) -> None:
        if self.first:
            super().check(result, inputs, value, reference)

    def empty_cache(self, case: Case) -> None:
        """A cache for each case and side: cold in the first pair, warm in those after it."""
        folder = Path(self.task.folder) / f"inductor-{self.task.family.cases.index(case)}"
        folder.mkdir(exist_ok=True)
        compile_into(folder)


class Timed:
    """The cases of one family in this process, from the conductor's order."""

    def __init__(self, order: Message) -> None:
        self.cases = [restored(one) for one in order["cases"]]
        self.results = {case: CaseResult(case) for case in self.cases}
        self._runs: dict[int, TimedCase] = {}
        self._stages: _SideStages | None = None
        torch.set_num_threads(order["threads"])
        tempfile.tempdir = order["folder"]
        data.use(order["data"])
        settle_allocator()
        if order["profiled"] and any(case.mode in COMPILED for case in self.cases):
            from torchduet.bench.passes.profiler import name_fused_kernels

            name_fused_kernels()
        try:
            self._leave_out_what_is_not_here()
        except SuiteError as error:
            for result in self.results.values():
                result.error = str(error)
        here = [case for case in self.cases if self._is_open(case)]
        if here:
            family = Family(cases=tuple(self.cases), reported=tuple(here))
            task = Task(family, 0.0, order["threads"], order["folder"])
            self._stages = _SideStages(task, first=order["first"])
            self._stages.results = self.results
            self._stages.rng = random.Random(f"{SEED} {order['seed']}")

    def _is_open(self, case: Case) -> bool:
        return self.results[case].error is None and self.results[case].skip is None

    def _leave_out_what_is_not_here(self) -> None:
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
        """Inputs, first calls and checks; what came of each case."""
        here = [case for case in self.cases if self._is_open(case)]
        for device in dict.fromkeys(case.device for case in here):
            assert self._stages is not None
            self._stages.prepare_device(device, [case for case in here if case.device == device])
        return [
            {
                "error": result.error,
                "skip": result.skip,
                "clock": result.clock,
                "check": result.check,
                "first_call": result.first_call,
                "compile": result.compile,
            }
            for result in self.results.values()
        ]

    def warm_up(self) -> list[Message]:
        """Of each case the seconds per call, or the error."""
        found: list[Message] = [{"seconds": 0.0, "error": None} for _ in self.cases]
        for run in self._stages.runs if self._stages else ():
            case = run.prepared.case
            place = self.cases.index(case)
            self._runs[place] = run
            first = self.results[case].first_call
            try:
                if first is not None and case.mode not in COMPILED and first["seconds"] >= LONG_CALL_SECONDS:
                    run.seconds = first["seconds"]
                else:
                    if run.prepared.graph is not None:
                        run.settle()
                    warm_up(run, WARM_UP_SECONDS)
                # Before each block the other process ran: its data are in the caches.
                run.warm_up_calls = max(run.warm_up_calls, 1) if run.seconds < LEAD_IN_SECONDS else 0
            except Exception as error:  # noqa: BLE001 - becomes this case's reason
                found[place]["error"] = describe(error, case.source)
            found[place]["seconds"] = run.seconds
        return found

    def answer(self, message: Message) -> Message:
        """Do what is asked for: ``fresh`` inputs, a ``block``, a ``profile``, or the last look (``finite``)."""
        if message["do"] == "block":
            return self._block(message["case"], message["calls"])
        if message["do"] == "fresh":
            return self._fresh(message["cases"], message["cores"])
        if message["do"] == "profile":
            return self._profile(message["case"], message["folder"], Extras(**message["extras"]))
        return self._finite()

    def _block(self, place: int, calls: int) -> Message:
        run = self._runs[place]
        run.calls = calls
        try:
            block = run.block()
            return {"seconds": block.seconds, "cpu": _cpu(), "paused": block.paused}
        except Exception as error:  # noqa: BLE001 - becomes this case's reason
            return {"error": describe(error, run.prepared.case.source)}

    def _fresh(self, places: Sequence[int], cores: Sequence[int]) -> Message:
        """Move the inputs to fresh memory, call each case once and keep threads to these cores; the errors by case."""
        assert self._stages is not None
        if cores:
            keep(0, cores)
        errors: dict[str, str] = {}
        for placements in self._stages.placements.values():
            try:
                placements.fresh()
            except Exception as error:  # noqa: BLE001 - out of memory: becomes the reason of every case
                reason = f"no room for fresh inputs: {describe(error, self.cases[0].source)}"
                return {"errors": {str(place): reason for place in places}}
        gc.collect()
        for place in places:
            run = self._runs[place]
            run.prepared.context.next_placement()
            run.placements.append([])
            try:
                run.settle()
            except Exception as error:  # noqa: BLE001 - becomes this case's reason
                errors[str(place)] = describe(error, run.prepared.case.source)
        if cores:
            spread(cores)  # now that every thread has been started
        return {"errors": errors}

    def _profile(self, place: int, folder: str, extras: Extras) -> Message:
        """Call a case again under torch.profiler; its record, or the error."""
        from torchduet.bench.passes.profiler import profiled  # here, so that processes that only time do not have it

        run = self._runs[place]
        try:
            return {"profile": profiled(run, Path(folder), extras)}
        except Exception as error:  # noqa: BLE001 - becomes this case's reason
            return {"error": describe(error, run.prepared.case.source)}

    def _finite(self) -> Message:
        """Which results turned NaN while they were timed."""
        assert self._stages is not None
        self._stages.still_finite()
        return {"errors": {str(place): run.error for place, run in self._runs.items() if run.error}}
