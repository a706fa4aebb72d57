"""A run's beginning: workers that cannot use the GPU are replaced by ones that can; and how long it says is left."""

from dataclasses import replace
from typing import Any

import pytest

from torchduet.bench.cases.case import Case, Family
from torchduet.bench.host.machine import Gpu, Machine, probe
from torchduet.bench.plan.budget import Spent
from torchduet.bench.plan.options import parse
from torchduet.bench.run.measuring import Measuring
from torchduet.bench.run.settings import Settings

NOTHING = dict.fromkeys(("device", "mode", "precision", "workers", "suite", "data", "threads", "budget"))


class FakeConductor:
    """A launcher whose fork server sees the machine it is given."""

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
    launcher: Any = FakeConductor(replace(machine, gpus=(one,) * seen))
    measuring = Measuring(Settings(parse(tier="quick", **NOTHING), machine), launcher)  # type: ignore[arg-type]
    measuring.await_workers()
    assert launcher.spawning is spawning
    assert bool(measuring.progress.warnings) is spawning


def test_what_is_left_shrinks_while_a_family_is_timed_and_knows_what_was_measured_before(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = 1000.0
    monkeypatch.setattr("torchduet.bench.run.progress.monotonic", lambda: now)

    class Budget:
        def seconds_left(self) -> float:
            return 600.0 - now + 1000.0

        def done(self, *_: object, **__: object) -> None: ...

    def family(name: str, cases: int) -> Family:
        made = tuple(Case("s", "s", name, "", (), f"i{i}", i == 0, "cpu", "eager", "fp32") for i in range(cases))
        return Family(cases=made, reported=made)

    launcher: Any = FakeConductor(probe())
    measuring = Measuring(Settings(parse(tier="quick", **NOTHING), probe()), launcher)  # type: ignore[arg-type]
    progress = measuring.progress
    progress.families = [family("before", 9), family("a", 2), family("b", 2), family("c", 1), family("d", 1)]
    measuring.budget = Budget()  # type: ignore[assignment]
    progress.add_finished(progress.families[0], Spent())  # by the run that is resumed
    progress.continue_after(90.0)
    said = [measuring.time_left()]
    for seconds, done in ((5.0, None), (5.0, 1), (8.0, None), (30.0, None), (2.0, 2), (1.0, 3), (100.0, None)):
        now += seconds
        if done is not None:
            measuring.done(progress.families[done], Spent())
        said.append(measuring.time_left())
    assert said == [
        "about 1 min left",  # 10 s for each of six cases
        "about 55 s left",
        "about 36 s left",  # 100 s for 11 cases, four ahead
        "about 28 s left",
        "about 18 s left",  # as long as those behind the one that takes so long
        "about 22 s left",
        "about 10 s left",
        "about 0 s left",
    ]
