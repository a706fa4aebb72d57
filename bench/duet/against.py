"""The pytest side of a duet: its options, its session, what it says in the terminal."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from torchduet.bench.duet.measuring import BUDGET, MODES, DuetMeasuring
from torchduet.bench.duet.processes import SideError
from torchduet.bench.duet.sides import Side, sides
from torchduet.bench.duet.stages import Duet
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
        "alternation (default: none; it needs torch and numpy, nothing of ours)",
    ),
    (
        "--against-env",
        "NAME=VALUE",
        {"action": "append"},
        "hold this interpreter against itself with that environment variable; may be repeated (default: none)",
    ),
    (
        "--against-rev",
        "REV",
        {},
        "hold the files of --suite FILE against themselves as of that git revision (default: none)",
    ),
)


def add_options(group: pytest.OptionGroup) -> None:
    """The options of a duet; any of them makes the run one."""
    for name, metavar, details, text in OPTIONS:
        group.addoption(name, metavar=metavar, help=text, default=None, **details)


def both_sides(config: pytest.Config) -> tuple[Side, Side] | None:
    """What is held against what; None where this run is no duet.

    Raises:
        OptionError: a side that cannot be used.
    """
    python, env, rev = (config.getoption(name) for name in ("against", "against_env", "against_rev"))
    if not (python or env or rev):
        return None
    folder = tempfile.TemporaryDirectory(prefix="torchduet-rev-", ignore_cleanup_errors=True)
    config.add_cleanup(folder.cleanup)
    return sides(python, env, rev, config.getoption("suite"), Path(folder.name))


def adapted(options: Options, budget: str | None) -> Options:
    """The options with a duet's own defaults: eager cases, and twice the time.

    Raises:
        OptionError: one that a duet does not have.
    """
    if options.self_check:
        raise OptionError("--aa measures the suite against itself, --against one interpreter against another: give one")
    for option, given in (("--energy", options.energy), ("--headroom", options.headroom), ("--cache", options.cold)):
        if given:
            raise OptionError(f"{option} is not for comparing two sides: leave it out, or --against")
    return replace(
        options,
        asked={"mode": MODES, **options.asked},
        budget_seconds=BUDGET[options.tier] if budget is None else options.budget_seconds,
    )


def measuring(
    config: pytest.Config,
    settings: Settings,
    conductor: Launcher,
    progress: Progress,
    passing: RunClock,
    both: tuple[Side, Side],
) -> DuetMeasuring:
    """What measures a duet; both interpreters have answered when this returns.

    Raises:
        OptionError: one of them cannot be a side.
    """
    options = settings.options
    compiler = any(mode in COMPILED for mode in options.asked.get("mode", ()))
    duet = Duet(both, compiler=compiler, data=options.data)
    config.add_cleanup(duet.close)
    duet.threads = settings.threads
    made = DuetMeasuring(settings, conductor, progress, passing, duet)
    if not settings.selecting_only:
        try:
            duet.start()
            made.meet()
        except SideError as error:
            raise OptionError(f"--against: {error}") from None
    return made


def header(session: Session) -> list[str]:
    """What the two sides are."""
    duet = session.measuring
    if not isinstance(duet, DuetMeasuring) or session.settings.selecting_only:
        return []
    found = duet.sides()
    return [
        f"torchduet: {letter} = {side['label']} ({side['python']}, Python {side['python_version']}, "
        f"torch {side['torch']})"
        for letter, side in (("A", found["base"]), ("B", found["against"]))
    ]


def closing(session: Session) -> Sequence[str]:
    """The answer, the table and how it came about."""
    duet, records = session.measuring, session.records()
    if not isinstance(duet, DuetMeasuring) or not records:
        return []
    found = duet.sides()
    return [headline(found, records), *factor_table(records), stages(found)]
