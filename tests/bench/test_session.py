"""A run's beginning: workers that cannot use the GPU are replaced by ones that can; and how long it says is left."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from torchduet.bench.host.machine import Gpu, Machine, probe
from torchduet.bench.plan.options import parse
from torchduet.bench.run.machine_facts import await_workers
from torchduet.bench.run.measuring import Measuring
from torchduet.bench.run.settings import Settings
from torchduet.bench.workers.servers import Servers

NOTHING = dict.fromkeys(("device", "mode", "precision", "workers", "suite", "data", "threads", "budget"))


class FakeConductor:
    """A launcher whose fork server sees the machine it is given."""

    def __init__(self, seen: Machine) -> None:
        self.seen, self.spawning = seen, False
        self.servers = Servers(Path(), lambda _: {})

    def machine(self) -> Machine:
        return self.seen

    def spawn_workers(self) -> None:
        self.spawning = True


@pytest.mark.parametrize(("gpus", "seen", "spawning"), [(1, 1, False), (1, 0, True), (0, 0, False)])
def test_workers_are_spawned_where_the_fork_server_cannot_use_cuda(gpus: int, seen: int, spawning: bool) -> None:
    one = Gpu("H200", (9, 0), 2**37, triton=True)
    machine = replace(probe(), gpus=(one,) * gpus)
    launcher: Any = FakeConductor(replace(machine, gpus=(one,) * seen))
    measuring = Measuring(Settings(parse(tier="quick", **NOTHING), machine), launcher)  # type: ignore[arg-type]
    await_workers(launcher, measuring.settings, measuring.progress)
    assert launcher.spawning is spawning
    assert bool(measuring.progress.warnings) is spawning


def test_what_is_left_is_the_budget_which_visits_make_use_of() -> None:
    class Budget:
        left = 90.0

        def seconds_left(self) -> float:
            return self.left

    launcher: Any = FakeConductor(probe())
    measuring = Measuring(Settings(parse(tier="quick", **NOTHING), probe()), launcher)  # type: ignore[arg-type]
    measuring.budget = budget = Budget()  # type: ignore[assignment]
    assert measuring.time_left() == "at most 1 min 30 s left"
    budget.left = -3.0
    assert measuring.time_left() == "at most 0 s left"
