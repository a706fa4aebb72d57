"""The pytest part of a duet: its options, its session, its lines in the terminal."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from torchduet.bench.cases.case import Case
from torchduet.bench.duet.duet import Duet
from torchduet.bench.duet.knobs.gpu import check_on_gpu
from torchduet.bench.duet.knobs.options import add_options as add_options
from torchduet.bench.duet.measuring import BUDGET, MODES, DuetMeasuring
from torchduet.bench.duet.processes import IgnoredError, SideError
from torchduet.bench.duet.revision.revision import Revision, new_module, summary
from torchduet.bench.duet.revision.selection import Chosen, choose
from torchduet.bench.duet.revision.worktree import several
from torchduet.bench.duet.sides import Sides, sides
from torchduet.bench.host.run_clock import RunClock
from torchduet.bench.host.temporary import RunFolder
from torchduet.bench.plan.options import NO_CASE, OptionError, Options
from torchduet.bench.received.cleaned import cleaned_text
from torchduet.bench.record.duets import gate
from torchduet.bench.record.duets.sides import from_new, of_gate
from torchduet.bench.record.duets.sides import sides as sides_of
from torchduet.bench.record.duets.words import controls, factor_table, heading, headline, memory_lines, stages
from torchduet.bench.record.statistics import THRESHOLD
from torchduet.bench.record.words.counting import plural
from torchduet.bench.run.progress import Progress
from torchduet.bench.run.session import Session
from torchduet.bench.run.settings import Settings
from torchduet.bench.workers.launcher import Launcher
from torchduet.percent import share_of
from torchduet.suites.registry import BUILT_IN
from torchduet.suites.workload import COMPILED

OF_REVISIONS = ("--against-exact", "--build", "--only-changed")


@dataclass(frozen=True)
class DuetOptions:
    """What a duet has beside the options of every run.

    Attributes:
        sides: both sides.
        threshold: a change must exceed this share to matter.
        fail_on: on which grounds the run fails.
        only_changed: only workloads that a change can reach are measured, and controls.
    """

    sides: Sides
    threshold: float = THRESHOLD
    fail_on: tuple[str, ...] = ()
    only_changed: bool = False


def duet_options(config: pytest.Config) -> DuetOptions | None:
    """The two sides that are compared, and how; None if this run is no duet.

    Raises:
        OptionError: a side that cannot be used, or an option without the one that it belongs to.
    """
    python, env, rev = (config.getoption(name) for name in ("against", "against_env", "against_rev"))
    given = config.getoption("against_setting") or ()
    fail_on, threshold = config.getoption("fail_on"), config.getoption("threshold")
    if rev is None:
        for name in OF_REVISIONS:
            if config.getoption(name.removeprefix("--").replace("-", "_")):
                raise OptionError(f"{name}: belongs to --against-rev REV, which names the base: give it, too")
    if python is None and env is None and rev is None and not given:
        for name, value in (("--fail-on", fail_on), ("--threshold", threshold)):
            if value is not None:
                raise OptionError(
                    f"{name}: belongs to a duet, e.g. --against-rev main; for two finished runs, it is an option of "
                    "torchduet compare"
                )
        return None
    grounds = () if fail_on is None else _grounds(fail_on)
    share = THRESHOLD if threshold is None else _share(threshold)
    folder = RunFolder()
    config.add_cleanup(folder.cleanup)
    exact, built, only_changed = (bool(config.getoption(name)) for name in ("against_exact", "build", "only_changed"))
    base = Path(folder.name) / "revision"
    both = sides(python, env, rev, config.getoption("suite"), base, given=given, exact=exact, built=built)
    return DuetOptions(both, share, grounds, only_changed)


def _grounds(text: str) -> tuple[str, ...]:
    try:
        return gate.grounds(text)
    except ValueError as error:
        raise OptionError(str(error)) from None


def _share(text: str) -> float:
    try:
        share = share_of(text, "--threshold")
    except ValueError as error:
        raise OptionError(str(error)) from None
    if share >= 1:
        raise OptionError(f"--threshold {text}: is {share:.0%}; write 5% or 0.05 for five per cent")
    return share


def adapted(options: Options, budget: str | None) -> Options:
    """The options with a duet's own defaults: eager cases, and twice the time.

    Raises:
        OptionError: an option that a duet does not have.
    """
    if options.self_check:
        raise OptionError("--aa measures the suite against itself, --against one interpreter against another: give one")
    given = {"energy": options.energy, "headroom": options.headroom, "cache": options.cold}
    for option, value in {**given, "warm-start": options.warm_start}.items():
        if value:
            raise OptionError(f"--{option} cannot be combined with --against: leave one of them out")
    return replace(
        options,
        warm_start=NO_CASE,
        asked={"mode": MODES, **options.asked},
        budget_seconds=BUDGET[options.tier] if budget is None else options.budget_seconds,
    )


def measuring(
    config: pytest.Config,
    settings: Settings,
    launcher: Launcher,
    progress: Progress,
    run_clock: RunClock,
    asked: DuetOptions,
) -> DuetMeasuring:
    """The object that measures a duet; both interpreters have answered when this returns.

    Raises:
        OptionError: one of them cannot be a side.
    """
    options = settings.options
    compiler = any(mode in COMPILED for mode in options.asked.get("mode", ()))
    selective = options.cases or config.option.keyword  # of which suites is not known yet
    suites = options.suites or (() if selective else BUILT_IN)
    duet = Duet(asked.sides.both, compiler=compiler, data=options.data, suites=suites)
    config.add_cleanup(duet.close)
    duet.threads = settings.threads
    duet_measuring = DuetMeasuring(settings, launcher, progress, run_clock, duet, asked.threshold)
    if not settings.selecting_only:
        check_on_gpu(asked.sides.base, settings.selection.devices())
        try:
            duet.pool.start()
            duet_measuring.meet()
            if asked.sides.revision is not None:
                duet_measuring.imported, warning = own_files(duet, asked.sides.revision, options.suites or ())
                progress.warnings += warning
        except IgnoredError as error:
            raise OptionError(str(error)) from None
        except SideError as error:
            raise OptionError(f"--against: {error}") from None
    return duet_measuring


def own_files(
    duet: Duet, revision: Revision, suites: Sequence[str]
) -> tuple[tuple[dict[str, str], dict[str, str]], list[str]]:
    """Module of the user's repository → its file, on both sides, when they import the suites; and warnings.

    Raises:
        OptionError: a side cannot import them, or would import the wrong files.
        SideError: an interpreter gives no answer.
    """
    sources = [source for source in suites if source not in BUILT_IN]
    answers = duet.imports(sources)
    for side, answer, root in zip(duet.sides, answers, (revision.files.folder, revision.mine.folder), strict=True):
        where = f"--against-rev {revision.base.rev}: on the side of {side.revision if side.rev else 'your files'}"
        for problem in (answer["refused"], answer["error"]):
            if problem is not None:
                words = problem.removeprefix("--suite ").replace(f"{root}{os.sep}", "")
                raise OptionError(f"{where}: {new_module(words, revision) or words}")
    modules = [name for name in revision.changed if name.endswith(".py")]
    files = {file for answer in answers for file in answer["files"]}
    warnings = []
    if modules and not any(name in files for name in modules):
        warnings.append(
            f"the suites import none of the changed files ({several(modules)}), unless a function does so when it is "
            "called: this change may not be in what is timed"
        )
    return (answers[0]["imported"], answers[1]["imported"]), warnings


def narrowed(asked: DuetOptions | None, cases: Sequence[Case]) -> Chosen | None:
    """What ``--only-changed`` leaves of the selected cases; None without it."""
    if asked is None or not asked.only_changed or asked.sides.revision is None:
        return None
    revision = asked.sides.revision
    changed = (*revision.changed, *revision.untracked)
    return choose([case for case in cases if case.source not in BUILT_IN], changed, Path(revision.files.top))


def use(session: Session, chosen: Chosen) -> None:
    """Take note of what ``--only-changed`` selects."""
    if isinstance(session.measuring, DuetMeasuring):
        session.measuring.controls = frozenset(chosen.controls)
    families = len({case.family for case in chosen.controls})
    beside = f", beside {plural(families, 'other workload')} as controls" if families else ""
    number = len(chosen.reached)
    session.progress.hints.append(
        f"--only-changed: {number or 'no'} case{'' if number == 1 else 's'} can reach a changed file{beside}"
    )


def exit_code(asked: DuetOptions | None, session: Session) -> gate.Gate:
    """What ``--fail-on`` makes of the records, seen from the new side."""
    duet = session.measuring
    if asked is None or not isinstance(duet, DuetMeasuring):
        return gate.Gate(0)
    records = session.records()
    return gate.gate(from_new(duet.sides(), records) if records else records, asked.fail_on)


def header(session: Session, asked: DuetOptions | None) -> list[str]:
    """A line for each side: its label, interpreter and versions; which files differ, and which were imported."""
    duet = session.measuring
    if not isinstance(duet, DuetMeasuring) or asked is None or session.settings.selecting_only:
        return []
    record = duet.sides()
    of = sides_of(record)
    alike = of.base_side["python"] == of.new_side["python"]
    lines = [] if asked.sides.revision is None else list(filter(None, [summary(asked.sides.revision)]))
    for name, files in zip(("the base", "yours"), duet.imported or (), strict=False):
        modules = ", ".join(f"{module} from {file}" for module, file in files.items())
        lines.append(f"{name} imports {modules or 'nothing of the repository but the suite'}")
    described = [
        f"torchduet: {role}: {side['label']} ({'' if alike else side['python'] + ', '}Python {side['python_version']}, "
        f"torch {side['torch']})"
        for role, side in (("base", of.base_side), ("new", of.new_side))
    ]
    return [*described, *(f"torchduet: {cleaned_text(line)}" for line in lines)]


def compared(session: Session) -> str:
    """What a duet compares, as a heading: ``torch 2.13.0 against torch 2.12.0``, ``with and without tcmalloc``."""
    duet = session.measuring
    assert isinstance(duet, DuetMeasuring)
    return heading(duet.sides())


def closing(session: Session, asked: DuetOptions | None) -> Sequence[str]:
    """The answer, the table, changes of memory, how many cases came to which stage, and what ``--fail-on`` found."""
    duet, records = session.measuring, session.records()
    if not isinstance(duet, DuetMeasuring) or not records:
        return []
    record = duet.sides()
    found = exit_code(asked, session)
    reason = [f"--fail-on: {of_gate(record, found.reason)}: exit code {found.code}"] if found.code else []
    return [
        headline(record, records),
        *factor_table(record, records),
        *memory_lines(record, records),
        stages(record, records),
        *controls(records),
        *reason,
    ]
