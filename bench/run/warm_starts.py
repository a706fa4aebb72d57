"""Measures warm starts after all timing: the first call of compiled cases in new processes with a filled cache.

For each case one new process fills an empty cache, which is the cold start, and five or more load from it. All are
forked from an interpreter that has imported PyTorch and its compiler and has compiled nothing.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import median, quantiles
from time import monotonic
from typing import cast

from torchduet.bench.cases.case import Case, Family
from torchduet.bench.cases.exchange import FirstCallTaken, FirstCallTask, Task
from torchduet.bench.plan import case_globs
from torchduet.bench.plan.options import NO_CASE, Options
from torchduet.bench.record.schema import Record, WarmStartRecord
from torchduet.bench.record.words.counting import plural
from torchduet.bench.run.profile_selection import ALL, SLOWEST, matching
from torchduet.bench.run.progress import Progress
from torchduet.bench.workers import process
from torchduet.bench.workers.launcher import Launcher, WorkerError
from torchduet.suites.workload import COMPILED

TRIES, MAX_TRIES = 5, 9  # new processes with the filled cache; more than five where their times scatter
MAX_SPREAD = 0.1  # of the middle half of their times, relative to the median
SHARE = 0.04  # of the budget, where a tier takes a few cases by itself
FEW = 4  # cases then, of as many families
WARM_SHARE = 0.5  # of the cold start's time that a warm one takes, for the plan
BESIDE = 0.5  # seconds of a process beside its first call, for the plan
STAGE = "warm_starting"


def set_aside(options: Options) -> float:
    """Seconds of the budget that are kept for the few cases that a tier takes by itself."""
    return SHARE * options.budget_seconds if _by_itself(options) else 0.0


def _by_itself(options: Options) -> bool:
    asked = options.warm_start is not None or options.budget_given or options.self_check
    return options.tier != "quick" and not asked


def check_selection(what: str | None, families: Sequence[Family]) -> None:
    """Check before measuring that ``--warm-start`` selects a case.

    Raises:
        OptionError: a glob matches none of the families' cases.
    """
    if what is not None and what not in (ALL, NO_CASE) and not what.startswith(SLOWEST):
        case_globs.check("--warm-start", what, [case.id for family in families for case in family.reported])


def selected(options: Options, families: Sequence[Family], records: Mapping[Case, Record]) -> list[tuple[Family, Case]]:
    """The compiled cases to start again, each with its family."""
    family_of = {case: family for family in families for case in family.reported}
    able = {case: record for case, record in records.items() if case.mode in COMPILED and _compiled_here(record)}
    if options.warm_start is not None:
        cases = [] if options.warm_start == NO_CASE else matching(options.warm_start, able)
    else:
        cases = _few(family_of, able, set_aside(options))
    return [(family_of[case], case) for case in cases]


def _compiled_here(record: Record) -> bool:
    return record["compile"] is not None and "ranks" not in record


def _few(family_of: Mapping[Case, Family], records: Mapping[Case, Record], seconds: float) -> list[Case]:
    """A case of each of a few families: those first that compilation makes faster, and of these the cheapest."""

    def order(case: Case) -> tuple[bool, float]:
        faster = any(speedup["verdict"] == "faster" for speedup in records[case]["speedups"] if _of_mode(speedup))
        return not faster, records[case]["first_call"]["seconds"]

    chosen: list[Case] = []
    for case in sorted(records, key=order):
        cost = (1 + TRIES * WARM_SHARE) * records[case]["first_call"]["seconds"] + (1 + TRIES) * BESIDE
        if len(chosen) < FEW and cost <= seconds and all(family_of[case] is not family_of[other] for other in chosen):
            chosen.append(case)
            seconds -= cost
    return chosen


def _of_mode(speedup: Mapping[str, object]) -> bool:
    return speedup["knob"] in ("mode", "reference")


def measure_warm_starts(
    options: Options, progress: Progress, launcher: Launcher, task_of: Callable[[Family], Task]
) -> None:
    """Measure the warm starts of a run and add them to its records; a warning for each case without one."""
    begun = monotonic()
    cases = selected(options, progress.families, progress.records())
    if options.warm_start not in (None, NO_CASE) and not cases:
        progress.warnings.append(
            f"--warm-start {options.warm_start}: no compiled case matches; nothing was started again"
        )
    for number, (family, case) in enumerate(cases):
        progress.show(f"[warm start {number + 1}/{len(cases)}] {case.id}")
        launcher.servers.choose(0, compiler=True)
        try:
            record = warm_start(case, task_of(family), launcher)
        except WorkerError as error:
            progress.warnings.append(f"{case.id} has no warm start: {error}")
            continue
        compiled = progress.records()[case]["compile"]
        assert compiled is not None
        progress.outcomes.amend(case, compile={**compiled, "warm_start": record})
    if cases:
        progress.seconds[STAGE] = monotonic() - begun


def warm_start(case: Case, task: Task, launcher: Launcher) -> WarmStartRecord:
    """The first call of a case in new processes: one with an empty cache, and some with what that one has left.

    Raises:
        WorkerError: a process gave no answer.
    """
    folder = Path(launcher.kept_folder(f"warm start {case.id}"))
    own = replace(task, family=Family((case,), (case,)), paces={}, cold=False, compiled="", expected=None)

    def first_call() -> FirstCallTaken:
        job = FirstCallTask(own, str(folder))
        return cast(FirstCallTaken, launcher.of_family(process.take_first_call, job, FirstCallTaken, lambda _: None))

    try:
        cold = first_call()
        tries = [first_call() for _ in range(TRIES)]
        while len(tries) < MAX_TRIES and _scatter([one["seconds"] for one in tries]):
            tries.append(first_call())
        return warm_start_record(cold, tries)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _scatter(seconds: Sequence[float]) -> bool:
    """Whether times scatter, as on a busy machine: then there are more of them. Nothing is left out."""
    first, middle, third = quantiles(seconds, n=4, method="inclusive")
    return third - first > MAX_SPREAD * middle


def warm_start_record(cold: FirstCallTaken, tries: Sequence[FirstCallTaken]) -> WarmStartRecord:
    """The record of a cold start and the starts after it, which are warm only if the cache served all graphs."""
    record = WarmStartRecord(
        cold=cold["seconds"], tries=[one["seconds"] for one in tries], hits=min(one["hits"] for one in tries)
    )
    if traced := max(one["traced"] for one in tries):
        record["traced"] = traced
    if why := _why_not_warm(cold, tries):
        record["why"] = why
    else:
        record["seconds"] = median(record["tries"])
    return record


def _why_not_warm(cold: FirstCallTaken, tries: Sequence[FirstCallTaken]) -> str:
    """Why these starts are not warm, in words; empty if the caches served all that they keep.

    AOTAutograd keeps some graphs in no cache, such as that of an optimizer's step: they are traced in every process.
    """
    if missed := max(one["misses"] for one in tries):
        return f"{missed} graph{'s were' if missed > 1 else ' was'} not found in the cache, and compiled again"
    if uncached := max(one["uncached"] for one in tries):
        return f"inductor keeps {uncached} of its graphs in no cache, and compiles them again"
    lost = max(one["traced"] for one in tries) - max(0, cold["traced"] - cold["kept"])
    if lost > 0:
        return f"AOTAutograd did not find {plural(lost, 'graph')} that it had kept, and traced again"
    return "" if all(one["hits"] for one in tries) else "nothing was loaded from the cache"
