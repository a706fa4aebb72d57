"""Profiles the selected cases of a run, and adds their profiles to the outcomes."""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic

from torchduet.bench.cases.case import Family
from torchduet.bench.cases.exchange import Task
from torchduet.bench.run.profile_selection import Profiling, profile_all
from torchduet.bench.run.progress import Progress
from torchduet.bench.workers.launcher import Launcher


def profile_run(
    profiling: Profiling, progress: Progress, launcher: Launcher, task_of: Callable[[Family], Task]
) -> None:
    """Profile the selected cases of the run."""
    begun = monotonic()
    profiles, warnings = profile_all(profiling, progress.families, progress.records(), launcher, task_of, progress.show)
    for case, profile in profiles.items():
        progress.outcomes.amend(case, profile=profile)
    progress.warnings += warnings
    progress.hints += warnings  # the terminal shows those of the beginning only
    progress.seconds["profiling"] = monotonic() - begun
