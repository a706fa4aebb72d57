"""Selects the cases to profile after all timing, and profiles them family by family in new workers."""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from torchduet.bench.cases.case import Case, Family
from torchduet.bench.cases.exchange import Extras, Profiled, ProfileTask, Task
from torchduet.bench.files.places import other_folder, try_folder
from torchduet.bench.passes import profiler_python
from torchduet.bench.plan import case_globs
from torchduet.bench.plan.options import OptionError, Options
from torchduet.bench.record.schema import ProfileRecord, Record
from torchduet.bench.workers.launcher import Launcher, WorkerError

ALL, SLOWEST = "all", "slowest:"


@dataclass(frozen=True)
class Profiling:
    """The options of ``--profile``.

    Attributes:
        what: ``all``, ``slowest:N`` or a glob over case ids.
        folder: for traces, with a folder for each case.
        beside: the folder of the run's file; the record names traces relative to it.
    """

    what: str
    folder: Path
    beside: Path
    extras: Extras = field(default_factory=Extras)

    def folder_of(self, case: Case, side: str = "") -> str:
        """The folder for a case's trace; ``side`` tells the two sides of a duet apart."""
        return str(self.folder.resolve() / (folder_name(case.id) + side))

    def named(self, record: ProfileRecord) -> ProfileRecord:
        """A profile's record with the paths of its files relative to the folder of the run's file."""
        named: ProfileRecord = {**record, "trace": self._relative(record["trace"])}
        if "python" in record:
            named["python"] = {**record["python"], "file": self._relative(record["python"]["file"])}
        return named

    def _relative(self, path: str) -> str:
        return Path(os.path.relpath(path, self.beside)).as_posix()


def profiling_of(options: Options, run: Path | None) -> Profiling | None:
    """The options of ``--profile``; creates the folder for traces. None without ``--profile``.

    Args:
        run: the path of the run's file.

    Raises:
        OptionError: the folder cannot be created or written to.
    """
    if options.profile is None:
        return None
    if options.profile_python and not profiler_python.available():
        raise OptionError(profiler_python.needs())
    beside = run.parent if run else Path()
    folder = Path(options.trace_dir) if options.trace_dir else beside / f"{run.stem if run else 'profile'}-traces"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OptionError(f"--trace-dir {folder}: cannot be created: {error.strerror}") from None
    try:
        try_folder(folder)
    except OSError as error:
        raise OptionError(f"--trace-dir {folder}: cannot be written: {error.strerror or error}") from None
    extras = Extras("stacks" in options.profile_with, "flops" in options.profile_with, options.profile_python)
    return Profiling(options.profile, folder, beside.resolve(), extras)


def matching(what: str, records: Mapping[Case, Record]) -> list[Case]:
    """The measured cases that ``what`` selects, in the order of the run."""
    if what == ALL:
        return list(records)
    if what.startswith(SLOWEST):
        by_time = sorted(records, key=lambda case: -records[case]["timing"]["seconds"])
        slowest = set(by_time[: int(what.removeprefix(SLOWEST))])
        return [case for case in records if case in slowest]
    return [case for case in records if case_globs.matches(what, case.id)]


def check_what(what: str | None, profiling: Profiling | None, cases: Collection[str]) -> None:
    """Check before measuring that ``--profile`` selects a case; else the folder for its traces is removed.

    Args:
        cases: the ids of the selected cases, of all shards.

    Raises:
        OptionError: a glob matches none of them.
    """
    if what is None or what == ALL or what.startswith(SLOWEST):
        return
    try:
        case_globs.check("--profile", what, cases)
    except OptionError:
        if profiling is not None:
            with contextlib.suppress(OSError):  # it has traces of an earlier run
                profiling.folder.rmdir()
        raise


def selected(
    what: str, families: Sequence[Family], records: Mapping[Case, Record]
) -> list[tuple[Family, list[Case], str]]:
    """Each family with its cases that ``what`` selects, and the position in the pass: ``[profile 3/10]``."""
    cases = matching(what, records)
    parts, done = [], 0
    for family in families:
        if own := [case for case in cases if case in family.reported]:
            parts.append((family, own, f"[profile {done + 1}/{len(cases)}]"))
            done += len(own)
    return parts


def no_match(what: str) -> str:
    """The warning that ``what`` selects no case."""
    return f"--profile {what}: no measured case matches; nothing was profiled"


def profile_all(
    profiling: Profiling,
    families: Sequence[Family],
    records: Mapping[Case, Record],
    launcher: Launcher,
    task_of: Callable[[Family], Task],
    show: Callable[[str], None],
) -> tuple[dict[Case, ProfileRecord], list[str]]:
    """Profile the selected cases; returns their profiles, and a warning for each case or family without one."""
    parts = selected(profiling.what, families, records)
    profiles: dict[Case, ProfileRecord] = {}
    profiling, warnings = _writable(profiling)
    warnings += [] if parts else [no_match(profiling.what)]
    for family, own, position in parts:

        def report(what: str, position: str = position) -> None:
            show(f"{position} {what}")

        report(f"preparing {family.name}")
        try:
            profiled = _profile(profiling, task_of(family), own, launcher, report)
        except WorkerError as error:
            warnings.append(f"{family.name} has no profile: {error}")
            continue
        profiles |= {case: profiling.named(record) for case, record in profiled.records.items()}
        warnings += [f"{case.id} has no profile: {why}" for case, why in profiled.errors.items()]
    return profiles, warnings


def _writable(profiling: Profiling) -> tuple[Profiling, list[str]]:
    """The options with another folder, and a warning, if the folder can no longer be written to."""
    try:
        profiling.folder.mkdir(parents=True, exist_ok=True)
        try_folder(profiling.folder)
    except OSError as error:
        folder = other_folder(profiling.folder.name)
        if folder is not None:
            warning = f"{profiling.folder} cannot be written: {error.strerror or error}; traces are in {folder} instead"
            return replace(profiling, folder=folder), [warning]
    return profiling, []


def _profile(
    profiling: Profiling, task: Task, cases: Sequence[Case], launcher: Launcher, report: Callable[[str], None]
) -> Profiled:
    job = ProfileTask(
        task,
        {case: profiling.folder_of(case) for case in cases},
        profiling.extras,
    )
    return launcher.profile(job, lambda progress: report(progress.what))


def folder_name(case: str) -> str:
    """A case's id as the name of a folder that is valid on any file system and unique to the case."""
    readable = re.sub(r"[^A-Za-z0-9._=+-]+", "_", case).strip("._")[:100]
    return f"{readable}-{hashlib.sha256(case.encode()).hexdigest()[:8]}"
