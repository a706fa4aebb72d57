"""Profiles the cases of a family: those of one process in this one, those of several in their first rank."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from pathlib import Path

from torchduet.bench.cases.exchange import Extras, Profiled, ProfileTask
from torchduet.bench.passes.profiler import name_fused_kernels, profiled, profiles_of
from torchduet.bench.ranks.ranked_case import RankedCase
from torchduet.bench.record.schema import ProfileRecord
from torchduet.bench.state.at_start import begin
from torchduet.bench.timing.first_calls import Report
from torchduet.bench.timing.timed_case import TimedCase
from torchduet.bench.workers.ranks import WithRanks
from torchduet.suites.workload import COMPILED


def profile_family(job: ProfileTask, report: Report) -> Profiled:
    """Profile the cases of a task."""
    task = replace(job.task, cold=False)  # the profiler's own work fills the cache anyway
    begin(task.threads, task.folder, task.data)
    if any(case.mode in COMPILED for case in job.folders):
        name_fused_kernels()
    stages = WithRanks(task, report)
    with contextlib.closing(stages.ranked):
        stages.ranked.start()
        return profiles_of(stages, job, report, profile)


def profile(run: TimedCase, folder: Path, extras: Extras) -> ProfileRecord:
    """Profile one case, wherever it runs."""
    return run.profile(folder, extras) if isinstance(run, RankedCase) else profiled(run, folder, extras)
