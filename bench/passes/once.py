"""Calls one case alone, prepared as for its timing, within a range that an external profiler can find."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from time import perf_counter
from typing import Any

from torchduet.bench.cases.case import Case, Family
from torchduet.bench.cases.exchange import Task
from torchduet.bench.state.at_start import begin
from torchduet.bench.timing.alternation import undisturbed
from torchduet.bench.timing.failures import describe
from torchduet.bench.timing.first_calls import FirstCalls, Report
from torchduet.bench.timing.timed_case import TimedCase, warm_up

WARM_UP_SECONDS = 0.05  # as before a profile by torch.profiler
READYING = "inputs"  # the range in which inputs are put back or made anew between two calls


class NotCalledError(Exception):
    """The case could not be called; the message is one line that says why."""


@dataclass(frozen=True)
class OnceTask:
    """One case to call, and how.

    Attributes:
        calls: within the range, after those of the warm-up; not used where ``seconds`` are given.
        threads: intra-op threads.
        folder: for files of the process; the caller removes it.
        compiled: folder for compiled code, which is kept; empty: below ``folder``.
        data: source of the images of the suite ``training``; None: scikit-learn's digits.
        cold: fill the cache with other data before each call.
        seconds: call for so long instead; 0: make ``calls``.
    """

    case: Case
    calls: int
    threads: int
    folder: str
    compiled: str = ""
    data: str | None = None
    cold: bool = False
    seconds: float = 0.0


@dataclass(frozen=True)
class Called:
    """How many calls were made within the range, and the mean seconds of one."""

    calls: int
    seconds: float


def call_once(job: OnceTask, report: Report) -> Called:
    """Prepare the case as its timing does, warm it up, and call it.

    Its result is not checked: this would add calls in float64 to what a profiler sees of the process.

    Raises:
        NotCalledError: the machine lacks something for it, or its own code raises.
    """
    begin(job.threads, job.folder, job.data)
    case = job.case
    task = Task(
        Family((case,), (case,)),
        seconds=0.0,
        threads=job.threads,
        folder=job.folder,
        compiled=job.compiled,
        paces={},  # as in a later visit: nothing is checked
        cold=job.cold,
    )
    stages = FirstCalls(task, lambda what, done: report(what.replace("checking", "making the first calls of"), done))
    stages.prepare_device(case.device, [case])
    result = stages.results[case]
    if why := result.error or result.skip:
        raise NotCalledError(why)
    (run,) = stages.runs
    try:
        with undisturbed():
            report(f"warming up {case.id}", 0.0)
            run.settle()
            warm_up(run, WARM_UP_SECONDS)
            stages.inputs.decide([run], stages.results)
            stages.inputs.fresh(case.device)
            run.settle()
            report(f"calling {case.id}", 0.0)
            return recorded_calls(run, job.calls, job.seconds)
    except Exception as error:
        raise NotCalledError(describe(error, case.source)) from error


def recorded_calls(run: TimedCase, calls: int, seconds: float = 0.0) -> Called:
    """Call a case that is warm, for a profiler to record: so often, or for so many seconds if these are given.

    The calls follow each other as in a block of the timing: without a synchronisation in between, unless inputs are
    readied before each call. Each has a range of its own, within the range that has the case's id as its name.
    """
    device = run.device
    numbers = itertools.count(1)

    def profiled_call(*args: Any) -> Any:
        with device.named_range(f"call {next(numbers)}"):
            return run.prepared.call(*args)

    made, total = 0, 0.0
    most = 1 if run.restored else run.clock.cold_calls if run.cold else run.calls if seconds else calls
    with run.unmetered(), run.in_its_state():
        run.ready()
        device.synchronize()
        with device.recorded(), device.named_range(run.prepared.case.id):
            end = perf_counter() + seconds
            while not made or (perf_counter() < end if seconds else made < calls):
                if made and run.restored:
                    with device.named_range(READYING):
                        run.ready()
                number = most if seconds else min(most, calls - made)
                total += number * _block(run, profiled_call, number)
                made += number
            device.synchronize()
    return Called(made, total / made)


def _block(run: TimedCase, call: Callable[..., Any], calls: int) -> float:
    """Make consecutive calls; returns the mean seconds of a call.

    A block of CUDA's clock would launch kernels of its own, which measure the SM clock, into what is recorded.
    """
    args = run.prepared.args
    if run.cold:
        return run.clock.cold(call, args, calls, None, run.launch_seconds).seconds
    start = perf_counter()
    for _ in range(calls):
        call(*args)
    run.clock.synchronize()
    return (perf_counter() - start) / calls
