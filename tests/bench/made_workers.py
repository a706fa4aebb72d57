"""Sessions whose workers are stood in for: their answers follow from the case and the visit, and time is made up."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.bench.made_visits import answer
from torchduet.bench.cases.exchange import FamilyResult, Task
from torchduet.bench.host.machine import Machine, probe
from torchduet.bench.host.run_clock import RunClock
from torchduet.bench.plan.options import parse
from torchduet.bench.run import later_visits, measuring, progress, resume
from torchduet.bench.run.measuring import Measuring
from torchduet.bench.run.session import Session
from torchduet.bench.run.settings import Settings
from torchduet.bench.workers.launcher import WorkerError
from torchduet.bench.workers.servers import Servers

MACHINE = probe()
NOTHING = dict.fromkeys(("device", "mode", "precision", "workers", "data", "threads"))
HEAD = """
import torch
from torchduet import Suite

suite = Suite("made", "Families whose workers are stood in for")
inputs = lambda device: (torch.ones(8, device=device),)
one, two = (lambda x: x + 1), (lambda x: x + 1 + 0)
"""


class Clock:
    """A clock that stands still unless something takes time."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


@dataclass
class Workers:
    """A launcher whose workers answer at once, by its own clock after the time that real ones take.

    Attributes:
        beside: family → seconds that a worker takes beside its timing.
        starting: seconds of these that starting a device takes, in its report.
        dies: family → the visit, from 0, in which its worker dies.
        seconds, between: of the answers, see :func:`tests.bench.made_visits.answer`.
        before: called with each task.
        visits: (family, visit, when it began) of all workers so far.
    """

    clock: Clock
    beside: Mapping[str, float] = field(default_factory=dict)
    dies: Mapping[str, int] = field(default_factory=dict)
    seconds: Mapping[str, float] = field(default_factory=dict)
    servers: Servers = field(default_factory=lambda: Servers(Path(), lambda _: {}))  # none
    between: float = 0.02
    starting: float = 0.0
    before: Callable[[Task], None] = lambda _: None
    visits: list[tuple[str, int, float]] = field(default_factory=list)
    awaited: int = 0

    def start(self, *, compiler: bool, suites: Collection[str] = ()) -> None:
        pass

    def machine(self) -> Machine:
        self.awaited += 1
        return MACHINE

    def pilots(self, *_: float) -> dict[str, float]:
        self.clock.now += 0.05
        return {"arithmetic": 1e-4, "memory": 3e-3, "calls": 5e-5}

    def ceilings(self, *_: object) -> list[dict[str, Any]]:
        self.clock.now += 0.1
        return [{"device": "cpu", "flops_per_second": {"fp32": 1e10}, "bytes_per_second": {}, "operator_seconds": 1e-6}]

    def measure(self, task: Task, _: object) -> FamilyResult:
        self.visits.append((task.family.name, task.number, self.clock.now))
        self.before(task)
        self.clock.now += self.beside.get(task.family.name, 0.1)
        if self.dies.get(task.family.name) == task.number:
            raise WorkerError("the worker was killed by SIGABRT")
        self.clock.now += task.seconds
        return answer(task.family, task.number, seconds=self.seconds, between=self.between, starting=self.starting)

    def visit(self, task: Task, listen: object) -> FamilyResult:
        assert task.paces is not None
        assert task.number > 0
        return self.measure(task, listen)

    def kept_folder(self, name: str) -> str:
        return f"kept/{name}"

    def numbers(self) -> dict[str, int]:
        """Family → how often it was visited."""
        names = [name for name, _, _ in self.visits]
        return {name: names.count(name) for name in dict.fromkeys(names)}


@dataclass
class Run:
    """A session of made-up workers."""

    session: Session
    workers: Workers
    measuring: Measuring

    def to_its_end(self) -> None:
        """Ask for every case's outcome in the order of items, as pytest does."""
        for family in self.measuring.progress.families:
            for case in family.reported:
                if self.session.reaches(case):
                    self.session.outcome(case)
        journal = self.measuring.progress.journal
        if journal is not None:
            journal.close()


def begin(
    folder: Path,
    patch: pytest.MonkeyPatch,
    workloads: str,
    *,
    budget: str = "60s",
    journal: Path | None = None,
    again: bool = False,
    options: Mapping[str, Any] | None = None,
    **of_workers: Any,
) -> Run:
    """A session of these workloads (added to ``HEAD``), with a budget that begins with its first family.

    Args:
        journal: of the run's JSON; it is kept in memory without one.
        again: continue the run of the journal.
    """
    clock = Clock()
    for module in (later_visits, measuring, progress):
        patch.setattr(module, "monotonic", clock)
    path = folder / "made.py"
    path.write_text(HEAD + workloads)
    asked = parse(tier="quick", suite=[str(path)], budget=budget, **NOTHING, **(options or {}))  # type: ignore[arg-type]
    workers = Workers(clock, **of_workers)
    made = Measuring(Settings(asked, MACHINE), workers, run_clock=RunClock(now=clock))  # type: ignore[arg-type]
    made.plan([case for _, case in made.settings.selection.cases(str(path))])
    if journal is not None:
        resume.begin(made, journal, resume=again)
    return Run(Session(made), workers, made)
