"""``torchduet selfcheck duet``: the figures of a duet of one interpreter with itself, where no case differs."""

from __future__ import annotations

import math
from statistics import median

from torchduet.bench.record.proportions import BOUNDS_CONFIDENCE, clopper_pearson
from torchduet.bench.record.schema import DuetCheckRecord, RateRecord, SideRecord
from torchduet.bench.record.statistics import half_width
from torchduet.bench.record.words.counting import plural
from torchduet.bench.selfcheck.finished_runs import FinishedRun, RunError

DECIDES = ("python", "python_version", "torch", "cuda", "env", "settings", "rev")  # what makes two sides differ


def figures(run: FinishedRun) -> DuetCheckRecord:
    """The false alarms of a duet whose sides are identical.

    Raises:
        RunError: it is no duet, or its sides differ, or no case was measured on both.
    """
    duet = run.about.get("against")
    if duet is None:
        raise RunError(f"{run.path}: is no duet: make it with --against and the same interpreter")
    if different := [name for name in DECIDES if _fact(duet["base"], name) != _fact(duet["against"], name)]:
        raise RunError(f"{run.path}: the sides differ in {different[0]}; a false alarm needs identical sides")
    judged = [record["against"] for record in run.records if "against" in record]
    if not judged:
        raise RunError(f"{run.path}: no case was measured on both sides")
    alarms = sum(case["verdict"] in ("faster", "slower") for case in judged)
    low, high = clopper_pearson(alarms, len(judged))
    width = median(half_width(case["low"], case["high"]) for case in judged)
    machine = run.about["machine"]
    cpu, torch, gpu, cores = (machine.get(name) for name in ("cpu", "torch", "gpu", "cores"))
    return DuetCheckRecord(
        measured=run.about["started"],
        cpu=None if cpu is None else str(cpu),
        cores=cores if isinstance(cores, int) else None,
        torch=None if torch is None else str(torch),
        gpu=None if gpu is None else str(gpu),
        threads=run.threads,
        threshold=duet["threshold"],
        bounds_confidence=BOUNDS_CONFIDENCE,
        false_alarms=RateRecord(slowdown=1.0, count=alarms, trials=len(judged), low=low, high=high),
        confirmed=duet["confirmed"],
        half_width=width if math.isfinite(width) else None,
        seconds=run.about["seconds"]["total"],
    )


def _fact(side: SideRecord, name: str) -> object:
    return dict(side)[name]


def line(found: DuetCheckRecord) -> str:
    """The figures for the terminal."""
    alarms = found["false_alarms"]
    return (
        f"{alarms['count']} of {alarms['trials']} comparisons of an interpreter with itself called faster or slower at "
        f"±{found['threshold']:.0%} ({alarms['low']:.1%} to {alarms['high']:.1%} at {found['bounds_confidence']:.0%}); "
        f"{plural(found['confirmed'], 'case')} had enough pairs for a verdict"
    )
