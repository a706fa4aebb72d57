"""A plugin for ``pytest bench/`` whose workers answer at once: what the parent itself takes for a visit is left."""

from __future__ import annotations

import random
from typing import Any

from torchduet.bench.cases.exchange import CaseResult, ContextSwitches, FamilyResult, Pace, Task
from torchduet.bench.host.machine import Machine, probe
from torchduet.bench.record.telemetry import Telemetry
from torchduet.bench.workers.launcher import Launcher

PLACEMENTS, ROUNDS = 20, 10  # of a typical case


def _result(case: Any, visit: int) -> CaseResult:
    chance = random.Random(f"{case.id} {visit}")
    return CaseResult(
        case,
        blocks=[[chance.uniform(1e-5, 1.2e-5) for _ in range(ROUNDS)] for _ in range(PLACEMENTS)],
        disturbed=[0] * PLACEMENTS,
        context_switches=ContextSwitches(PLACEMENTS * ROUNDS, 2, 3, 0.05),
        first_call={"seconds": 0.1, "calls": 1},
        check={"what": "values", "relative_error": 0.0, "tolerance": 1e-5},
        clock="perf_counter",
        pace=Pace(1e-5, 1e-5, 20, 5, idle_waiting=False),
    )


def _measure(self: Launcher, task: Task, listen: Any) -> FamilyResult:
    del self, listen
    seconds = {"compiling": 0.0, "timed": 1e-3, "checking": 0.0, "warming": 1e-3}
    telemetry = Telemetry(1.0, others=0.1, steal=0.0, virtual=True)
    return FamilyResult([_result(case, task.number) for case in task.family.cases], "budget", seconds, telemetry)


def _machine(self: Launcher, *, apart: bool = False) -> Machine:
    del self, apart
    return probe()


def _pilots(self: Launcher, *_: float) -> dict[str, float]:
    del self
    return {"arithmetic": 1e-4, "memory": 3e-3, "calls": 5e-5}


Launcher.measure = Launcher.visit = _measure  # type: ignore[method-assign]
Launcher.machine = _machine  # type: ignore[method-assign]
Launcher.pilots = _pilots  # type: ignore[method-assign]
Launcher.ceilings = lambda *_: []  # type: ignore[method-assign]
Launcher.start = lambda *_, **__: None  # type: ignore[method-assign]
