"""The profiling pass: cases that have been timed are called again under torch.profiler, in a worker of their own."""

from __future__ import annotations

import gc
import sys
import tempfile
from functools import partial
from pathlib import Path
from statistics import median
from time import perf_counter

import torch
from torch.profiler import ProfilerActivity, profile, record_function, schedule, tensorboard_trace_handler

from bench.engine.errors import describe
from bench.engine.precision import matmul_precision
from bench.engine.preparation import Preparation, Tell
from bench.engine.python_profile import sample
from bench.engine.run import Run
from bench.engine.schema import PROFILED_CALL, ProfileRecord
from bench.engine.task import Profiled, ProfileTask
from suites import data
from suites.workload import COMPILED

WAIT, WARM_UP = 1, 2  # steps before those that count: the profiler's own start, and its first buffers
ACTIVE_SECONDS = 0.25
LEAST_STEPS, MOST_STEPS = 3, 25
WORKER = "torchduet"  # instead of the host's name, which TensorBoard's plugin shows and a trace would give away


def profile_family(job: ProfileTask, tell: Tell) -> Profiled:
    """Prepare the cases as for their timing, and profile each. An error in a case's own code costs that case."""
    task = job.task
    torch.set_num_threads(task.threads)
    tempfile.tempdir = task.folder
    data.use(task.data)
    if any(case.mode in COMPILED for case in job.folders):
        _name_fused_kernels()
    stages = Preparation(task, tell)
    for device in dict.fromkeys(case.device for case in job.folders):
        if stages.broken is None:
            stages.prepare_device(device, [case for case in job.folders if case.device == device])
    found = Profiled(errors={case: found.error or found.skip or "" for case, found in stages.results.items()})
    for run in stages.runs:
        case = run.prepared.case
        tell(f"profiling {case.id}", 0.0)
        try:
            found.records[case] = _profile(run, Path(job.folders[case]), job)
        except Exception as error:  # noqa: BLE001 - becomes this case's reason
            found.errors[case] = describe(error, case.source)
    found.errors = {case: why for case, why in found.errors.items() if why and case in job.folders}
    return found


def _name_fused_kernels() -> None:
    """Let the C++ kernels that inductor makes from now on appear in traces under their names (Linux)."""
    from torch._inductor import config

    if sys.platform == "linux":
        config.cpp.enable_kernel_profile = True


def _profile(run: Run, folder: Path, job: ProfileTask) -> ProfileRecord:
    """Call under the profiler, and as often without it, for what it adds."""
    case, call, args = run.prepared.case, run.prepared.call, run.prepared.args
    folder.mkdir(parents=True, exist_ok=True)
    activities = [ProfilerActivity.CPU] + [ProfilerActivity.CUDA] * (case.device != "cpu")
    with run.unmetered(), matmul_precision(case.precision):
        once = _seconds(run, 3)
        steps = max(LEAST_STEPS, min(MOST_STEPS, round(ACTIVE_SECONDS / max(once, 1e-9))))
        plain = _seconds(run, steps)
        times: list[float] = []
        before = set(folder.iterdir())
        with profile(
            activities=activities,
            schedule=schedule(wait=WAIT, warmup=WARM_UP, active=steps, repeat=1),
            on_trace_ready=tensorboard_trace_handler(str(folder), worker_name=WORKER, use_gzip=True),
            record_shapes=True,
            profile_memory=True,
            with_stack=job.stacks,
            with_flops=job.flops,
        ) as profiler:
            for _ in range(WAIT + WARM_UP + steps):
                start = perf_counter()
                with record_function(PROFILED_CALL):
                    call(*args)
                    run.clock.synchronize()
                times.append(perf_counter() - start)
                profiler.step()
    gc.collect()
    (trace,) = set(folder.iterdir()) - before
    made = ProfileRecord(
        trace=str(trace), calls=steps, seconds=median(times[-steps:]), plain_seconds=plain, stacks=job.stacks
    )
    if job.python:
        with run.unmetered(), matmul_precision(case.precision):
            made["python"] = sample(partial(call, *args), plain, folder)
            run.clock.synchronize()
    return made


def _seconds(run: Run, calls: int) -> float:
    """A call's time in seconds, each waited for, as under the profiler: the median."""
    times = []
    for _ in range(calls):
        start = perf_counter()
        run.prepared.call(*run.prepared.args)
        run.clock.synchronize()
        times.append(perf_counter() - start)
    return median(times)
