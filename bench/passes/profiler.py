"""The profiling pass: calls cases that have been timed again under torch.profiler, in a separate worker."""

from __future__ import annotations

import contextlib
import gc
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median
from time import perf_counter

import torch
from torch.profiler import profile, record_function, schedule, tensorboard_trace_handler

from torchduet.bench.cases.exchange import Extras, Profiled, ProfileTask
from torchduet.bench.host.counters import COUNTS_CONTEXT_SWITCHES, context_switches
from torchduet.bench.passes.profiler_loaders import loaders_observed
from torchduet.bench.passes.profiler_python import available, sample
from torchduet.bench.record.schema import PROFILED_CALL, ProfileRecord
from torchduet.bench.timing.alternation import undisturbed
from torchduet.bench.timing.failures import describe
from torchduet.bench.timing.first_calls import FirstCalls, Report
from torchduet.bench.timing.timed_case import TimedCase, warm_up

# Steps before those that count. The profiler attaches to the device (CUPTI) and allocates its first buffers before the
# first step of the warm-up; neither slows down a step that counts.
WAIT, WARM_UP = 1, 2
ACTIVE_SECONDS = 0.25
MIN_STEPS, MAX_STEPS = 3, 100
LONG_SECONDS = 0.5  # of a call, such as a whole training: one fills a trace, with only one before it
WARM_UP_SECONDS = 0.05  # of each case, without the profiler
PLAIN_SECONDS = 0.1  # before the profile, and again after it
MIN_BLOCKS, MAX_BLOCKS = 2, 50
WORKER = "torchduet"  # in place of the host's name, which a trace would disclose and TensorBoard's plugin shows


@dataclass(frozen=True)
class Counts:
    """How often a case is called for its profile.

    Attributes:
        plain: blocks, or calls on an accelerator, before the profile and again after it.
        wait: calls before the profiler attaches.
        warm_up: calls that are recorded and thrown away.
        active: calls in the trace.
    """

    plain: int
    wait: int
    warm_up: int
    active: int


Profile = Callable[[TimedCase, Path, Extras], ProfileRecord]


def counts_for(plain: int, call_seconds: float) -> Counts:
    """How often a case is called, from the number of blocks before and after, and the seconds of one call."""
    long = call_seconds >= LONG_SECONDS
    steps = max(1 if long else MIN_STEPS, min(MAX_STEPS, round(ACTIVE_SECONDS / max(call_seconds, 1e-9))))
    return Counts(plain, 0 if long else WAIT, 1 if long else WARM_UP, steps)


def profiles_of(stages: FirstCalls, job: ProfileTask, report: Report, profile: Profile) -> Profiled:
    """Prepare the cases of a task as for their timing, and profile each; one that raises has an error instead.

    Args:
        profile: profiles one case.
    """
    for device in dict.fromkeys(case.device for case in job.folders):
        if stages.broken is None:
            stages.prepare_device(device, [case for case in job.folders if case.device == device])
    profiles = Profiled(errors={case: result.error or result.skip or "" for case, result in stages.results.items()})
    for run in stages.runs:
        case = run.prepared.case
        report(f"profiling {case.id}", 0.0)
        try:
            with whole_files(Path(job.folders[case])) as folder:
                profiles.records[case] = profile(run, folder, job.extras)
        except Exception as error:  # noqa: BLE001 - becomes this case's reason
            profiles.errors[case] = describe(error, case.source)
    profiles.errors = {case: why for case, why in profiles.errors.items() if why and case in job.folders}
    return profiles


@contextlib.contextmanager
def whole_files(folder: Path) -> Iterator[Path]:
    """A folder in which an error leaves no file that was not there before, such as half a trace on a full disk."""
    present = set(folder.iterdir()) if folder.is_dir() else set()
    try:
        yield folder
    except BaseException:
        with contextlib.suppress(OSError):
            for path in {*folder.iterdir()} - present:
                path.unlink()
            folder.rmdir()  # unless it has traces of an earlier run
        raise


def name_fused_kernels() -> None:
    """Let the C++ kernels that inductor generates from now on appear in traces under their names (Linux)."""
    from torch._inductor import config

    if sys.platform == "linux":
        config.cpp.enable_kernel_profile = True


def profiled(run: TimedCase, folder: Path, extras: Extras) -> ProfileRecord:
    """Call under the profiler, and before and after without it: the difference is the profiler's overhead."""
    with undisturbed():
        run.settle()  # other cases' first calls have moved the inputs since
        warm_up(run, WARM_UP_SECONDS)
        return profiled_calls(run, folder, extras)


def profiled_calls(run: TimedCase, folder: Path, extras: Extras, counts: Counts | None = None) -> ProfileRecord:
    """Call a case that is warm under the profiler.

    Args:
        counts: how often; None: by what a call takes.
    """
    folder.mkdir(parents=True, exist_ok=True)
    annotation = _annotation()
    with loaders_observed() as loaders:
        plain = plain_calls(run, counts)
        counts = counts or counts_for(len(plain), median(plain))
        steps = counts.active
        times: list[float] = []
        interrupted = 0
        present = set(folder.iterdir())
        delivered = loaders.batches
        with (
            run.unmetered(),
            run.in_its_state(),
            profile(
                activities=run.device.profiler_activities(),
                schedule=schedule(wait=counts.wait, warmup=counts.warm_up, active=steps, repeat=1),
                on_trace_ready=tensorboard_trace_handler(str(folder), worker_name=WORKER, use_gzip=True),
                record_shapes=True,
                profile_memory=True,
                with_stack=extras.stacks,
                with_flops=extras.flops,
            ) as profiler,
        ):
            for _ in range(counts.wait + counts.warm_up + steps):
                ready(run)
                before = context_switches()
                start = perf_counter()
                with annotation(PROFILED_CALL):
                    run.prepared.call(*run.prepared.args)
                    run.clock.synchronize()
                times.append(perf_counter() - start)
                interrupted += context_switches() > before
                profiler.step()
        delivered = loaders.batches - delivered
        plain += plain_calls(run, counts)
    gc.collect()
    (trace,) = set(folder.iterdir()) - present
    _repair(trace)
    plain_seconds = median(plain)
    record = ProfileRecord(
        trace=str(trace),
        calls=steps,
        seconds=median(times[-steps:]),
        plain_seconds=plain_seconds,
        stacks=extras.stacks,
    )
    if COUNTS_CONTEXT_SWITCHES:
        record["interrupted"] = interrupted / len(times)
    if delivered:
        record["batches"] = delivered / len(times)
    if extras.python and available():
        with run.unmetered(), run.in_its_state():
            call = run.call if run.restored else partial(run.prepared.call, *run.prepared.args)
            record["python"] = sample(call, plain_seconds, folder)
            run.clock.synchronize()
    return record


def _annotation() -> Callable[[str], contextlib.AbstractContextManager[None]]:
    """The context manager that names a call in a trace.

    The public ``record_function`` takes 13 µs by itself, and an addition of 3 µs within it appeared to take 32. With
    the private class that PyTorch's own compiler uses, it appeared to take 6 (2-core VM, torch 2.13).
    """
    return getattr(torch._C._profiler, "_RecordFunctionFast", record_function)


def plain_calls(run: TimedCase, counts: Counts | None = None) -> list[float]:
    """Seconds per call without the profiler: of timed blocks; on an accelerator of single calls, as in the profile.

    Args:
        counts: how often; None: by what a call takes.
    """
    if not run.device.asynchronous:
        number = counts.plain if counts else repetitions(run.seconds * run.calls)
        return [run.block().seconds for _ in range(number)]
    times = []
    with run.unmetered(), run.in_its_state():
        for _ in range(counts.plain if counts else repetitions(run.seconds)):
            ready(run)
            start = perf_counter()
            run.prepared.call(*run.prepared.args)
            run.clock.synchronize()
            times.append(perf_counter() - start)
    return times


def ready(run: TimedCase) -> None:
    """Ready the inputs of a call, and wait until they are: an accelerator would copy them within the call."""
    run.ready()
    run.clock.synchronize()


def repetitions(seconds: float) -> int:
    """The number of blocks, or calls, of ``seconds`` that are timed without the profiler."""
    min_blocks = 1 if seconds >= LONG_SECONDS else MIN_BLOCKS
    return max(min_blocks, min(MAX_BLOCKS, round(PLAIN_SECONDS / max(seconds, 1e-9))))


def _repair(trace: Path) -> None:
    """Make the trace valid JSON, where what that needs is installed: a side of a duet may lack it."""
    try:
        from torchduet.bench.record.trace_repair import repair_file
    except ModuleNotFoundError as error:
        print(f"{trace.name} is left as PyTorch wrote it, without {error.name}; reports repair what they read")
        return
    repair_file(trace)
