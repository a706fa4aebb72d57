"""A run's beginning: workers that cannot use the GPU are replaced by ones that can."""

from dataclasses import replace
from typing import Any

import pytest

from bench.engine.machine import Gpu, Machine, probe
from bench.engine.options import parse
from bench.engine.session import Session

NOTHING = dict.fromkeys(("device", "mode", "precision", "workers", "suite", "data", "threads", "budget"))


class FakeConductor:
    """A conductor whose fork server sees the machine it is given."""

    def __init__(self, seen: Machine) -> None:
        self.seen, self.spawning = seen, False

    def machine(self) -> Machine:
        return self.seen

    def spawn_workers(self) -> None:
        self.spawning = True


@pytest.mark.parametrize(("gpus", "seen", "spawning"), [(1, 1, False), (1, 0, True), (0, 0, False)])
def test_workers_are_spawned_where_the_fork_server_cannot_use_cuda(gpus: int, seen: int, spawning: bool) -> None:
    one = Gpu("H200", (9, 0), 2**37, triton=True)
    machine = replace(probe(), gpus=(one,) * gpus)
    conductor: Any = FakeConductor(replace(machine, gpus=(one,) * seen))
    session = Session(parse(tier="quick", **NOTHING), conductor, machine)  # type: ignore[arg-type]
    session._await_workers()
    assert conductor.spawning is spawning
    assert bool(session.warnings) is spawning
