"""The pytest part of a duet: its options, its session, its lines in the terminal."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from torchduet.bench.duet.duet import Duet
from torchduet.bench.duet.measuring import BUDGET, MODES, DuetMeasuring
from torchduet.bench.duet.processes import SideError
from torchduet.bench.duet.sides import Side, sides
from torchduet.bench.host.run_clock import RunClock
from torchduet.bench.plan.options import OptionError, Options
from torchduet.bench.record.duet_words import factor_table, headline, stages
from torchduet.bench.run.progress import Progress
from torchduet.bench.run.session import Session
from torchduet.bench.run.settings import Settings
from torchduet.bench.workers.launcher import Launcher
from torchduet.suites.workload import COMPILED

OPTIONS: tuple[tuple[str, str, dict[str, Any], str], ...] = (
    (
        "--against",
        "PYTHON",
        {},
        "another interpreter, e.g. ../other/.venv/bin/python: every case is timed in both, block by block in "
        "alternation (default: none; it needs torch and numpy only)",
    ),
    (
        "--against-env",
        "NAME=VALUE",
        {"action": "append"},
        "compare this interpreter with itself with that environment variable set; may be repeated (default: none)",
    ),
    (
        "--against-rev",
        "REV",
        {},
        "compare the files of --suite FILE with themselves as of that git revision (default: none)",
    ),
)


def add_options(group: pytest.OptionGroup) -> None:
    """Add the options of a duet; any of them makes the run a duet."""
    for name, metavar, details, text in OPTIONS:
        group.addoption(name, metavar=metavar, help=text, default=None, **details)


def both_sides(config: pytest.Config) -> tuple[Side, Side] | None:
    """The two sides that are compared; None if this run is no duet.

    Raises:
        OptionError: a side that cannot be used.
    """
    python, env, rev = (config.getoption(name) for name in ("against", "against_env", "against_rev"))
    if python is None and env is None and rev is None:
        return None
    folder = tempfile.TemporaryDirectory(prefix="torchduet-rev-", ignore_cleanup_errors=True)
    config.add_cleanup(folder.cleanup)
    return sides(python, env, rev, config.getoption("suite"), Path(folder.name))


def adapted(options: Options, budget: str | None) -> Options:
    """The options with a duet's own defaults: eager cases, and twice the time.

    Raises:
        OptionError: an option that a duet does not have.
    """
    if options.self_check:
        raise OptionError("--aa measures the suite against itself, --against one interpreter against another: give one")
    for option, given in (("--energy", options.energy), ("--headroom", options.headroom), ("--cache", options.cold)):
        if given:
            raise OptionError(f"{option} cannot be combined with --against: leave one of them out")
    return replace(
        options,
        asked={"mode": MODES, **options.asked},
        budget_seconds=BUDGET[options.tier] if budget is None else options.budget_seconds,
    )


def measuring(
    config: pytest.Config,
    settings: Settings,
    launcher: Launcher,
    progress: Progress,
    run_clock: RunClock,
    both: tuple[Side, Side],
) -> DuetMeasuring:
    """The object that measures a duet; both interpreters have answered when this returns.

    Raises:
        OptionError: one of them cannot be a side.
    """
    options = settings.options
    compiler = any(mode in COMPILED for mode in options.asked.get("mode", ()))
    duet = Duet(both, compiler=compiler, data=options.data)
    config.add_cleanup(duet.close)
    duet.threads = settings.threads
    duet_measuring = DuetMeasuring(settings, launcher, progress, run_clock, duet)
    if not settings.selecting_only:
        try:
            duet.pool.start()
            duet_measuring.meet()
        except SideError as error:
            raise OptionError(f"--against: {error}") from None
    return duet_measuring


def header(session: Session) -> list[str]:
    """A line for each side: its label, interpreter and versions."""
    duet = session.measuring
    if not isinstance(duet, DuetMeasuring) or session.settings.selecting_only:
        return []
    record = duet.sides()
    return [
        f"torchduet: {letter} = {side['label']} ({side['python']}, Python {side['python_version']}, "
        f"torch {side['torch']})"
        for letter, side in (("A", record["base"]), ("B", record["against"]))
    ]


def closing(session: Session) -> Sequence[str]:
    """The answer, the table, and how many cases came to which stage."""
    duet, records = session.measuring, session.records()
    if not isinstance(duet, DuetMeasuring) or not records:
        return []
    record = duet.sides()
    return [headline(record, records), *factor_table(records), stages(record, records)]
