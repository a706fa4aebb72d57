"""Chooses the cases to profile once all timing is done, and has them profiled family by family in new workers."""

from __future__ import annotations

import fnmatch
import hashlib
import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from torchduet.bench.cases.case import Case, Family
from torchduet.bench.cases.exchange import Extras, Profiled, ProfileTask, Task
from torchduet.bench.passes import profiler_python
from torchduet.bench.plan.options import OptionError, Options
from torchduet.bench.record.schema import ProfileRecord, Record
from torchduet.bench.workers.launcher import Launcher, WorkerError

ALL, SLOWEST = "all", "slowest:"


@dataclass(frozen=True)
class Profiling:
    """What ``--profile`` asks for.

    Attributes:
        what: ``all``, ``slowest:N`` or a glob over case ids.
        folder: where traces go, a folder for each case.
        beside: the folder of the run's file, from which its record names them.
    """

    what: str
    folder: Path
    beside: Path
    extras: Extras = field(default_factory=Extras)

    def folder_of(self, case: Case, side: str = "") -> str:
        """Where the trace of a case goes, of one side of a duet or of the only one."""
        return str(self.folder.resolve() / (folder_name(case.id) + side))

    def named(self, record: ProfileRecord) -> ProfileRecord:
        """A profile's record with its files named from the folder of the run's file."""
        named: ProfileRecord = {**record, "trace": self._from_there(record["trace"])}
        if "python" in record:
            named["python"] = {**record["python"], "file": self._from_there(record["python"]["file"])}
        return named

    def _from_there(self, path: str) -> str:
        return Path(os.path.relpath(path, self.beside)).as_posix()


def profiling_of(options: Options, run: Path | None) -> Profiling | None:
    """What the options ask for, with the folder for traces made; None without ``--profile``.

    Args:
        run: where the run's own file will be.

    Raises:
        OptionError: the folder cannot be made or written to.
    """
    if options.profile is None:
        return None
    if options.profile_python and not profiler_python.available():
        raise OptionError(profiler_python.NEEDS)
    beside = run.parent if run else Path()
    folder = Path(options.trace_dir) if options.trace_dir else beside / f"{run.stem if run else 'profile'}-traces"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        writable = os.access(folder, os.W_OK)
    except OSError as error:
        raise OptionError(f"--trace-dir {folder}: cannot be made: {error.strerror}") from None
    if not writable:
        raise OptionError(f"--trace-dir {folder}: cannot be written: permission denied")
    extras = Extras("stacks" in options.profile_with, "flops" in options.profile_with, options.profile_python)
    return Profiling(options.profile, folder, beside.resolve(), extras)


def chosen(what: str, records: Mapping[Case, Record]) -> list[Case]:
    """The cases that were measured and that ``what`` names, in the order of the run."""
    if what == ALL:
        return list(records)
    if what.startswith(SLOWEST):
        slowest = sorted(records, key=lambda case: -records[case]["timing"]["seconds"])
        kept = set(slowest[: int(what.removeprefix(SLOWEST))])
        return [case for case in records if case in kept]
    pattern = what.replace("[", "[[]")  # brackets stand for themselves, as in ids
    return [case for case in records if fnmatch.fnmatchcase(case.id, pattern)]


def selected(
    what: str, families: Sequence[Family], records: Mapping[Case, Record]
) -> list[tuple[Family, list[Case], str]]:
    """Each family with its cases that ``what`` names, and how far the pass is by then: ``[profile 3/10]``."""
    cases = chosen(what, records)
    found, done = [], 0
    for family in families:
        if own := [case for case in cases if case in family.reported]:
            found.append((family, own, f"[profile {done + 1}/{len(cases)}]"))
            done += len(own)
    return found


def nothing_chosen(what: str) -> str:
    """The warning that ``what`` names nothing."""
    return f"--profile {what}: no measured case is called so; nothing was profiled"


def profile_all(
    profiling: Profiling,
    families: Sequence[Family],
    records: Mapping[Case, Record],
    launcher: Launcher,
    task_of: Callable[[Family], Task],
    show: Callable[[str], None],
) -> tuple[dict[Case, ProfileRecord], list[str]]:
    """Profile what was chosen: its profiles, and warnings about what could not be."""
    parts = selected(profiling.what, families, records)
    profiles: dict[Case, ProfileRecord] = {}
    warnings = [] if parts else [nothing_chosen(profiling.what)]
    for family, own, place in parts:

        def told(what: str, place: str = place) -> None:
            show(f"{place} {what}")

        told(f"preparing {family.name}")
        try:
            found = _profile(profiling, task_of(family), own, launcher, told)
        except WorkerError as error:
            warnings.append(f"{family.name} has no profile: {error}")
            continue
        profiles |= {case: profiling.named(record) for case, record in found.records.items()}
        warnings += [f"{case.id} has no profile: {why}" for case, why in found.errors.items()]
    return profiles, warnings


def _profile(
    profiling: Profiling, task: Task, cases: Sequence[Case], launcher: Launcher, told: Callable[[str], None]
) -> Profiled:
    job = ProfileTask(
        task,
        {case: profiling.folder_of(case) for case in cases},
        profiling.extras,
    )
    return launcher.profile(job, lambda progress: told(progress.what))


def folder_name(case: str) -> str:
    """A case's id as the name of a folder on any file system, never the same for two cases."""
    plain = re.sub(r"[^A-Za-z0-9._=+-]+", "_", case).strip("._")[:100]
    return f"{plain}-{hashlib.sha256(case.encode()).hexdigest()[:8]}"
