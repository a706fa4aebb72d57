"""On which cores a duet's sides run, and that neither side comes first."""

import contextlib
import os
import random
import socket
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from torchduet.bench.cases.case import Case
from torchduet.bench.duet.cores import Cores, cores_for
from torchduet.bench.duet.duet import Duet
from torchduet.bench.duet.pairs import Ledger, Pace, prepare, random_order, workers
from torchduet.bench.duet.placements import time_blocks
from torchduet.bench.duet.sides import Side
from torchduet.bench.received.channel import Channel

ROOT = Path(__file__).parents[2]
CASE = Case("s", "s", "w", "", (), "w", True, "cpu", "eager", "fp32")

PLACED = """
import os
import torch
from torchduet.bench.duet.cores import free_children, keep, spread

usable = sorted(os.sched_getaffinity(0))
free_children()
torch.set_num_threads(2)
torch.randn(10**6).exp_()  # starts the pool
for first, second in ((usable[0], usable[1]), (usable[1], usable[0])):
    keep(0, [first, second])
    assert os.sched_getaffinity(0) == {first, second}
    spread([first, second])
    assert os.sched_getaffinity(0) == {first}
    others = [int(task) for task in os.listdir("/proc/self/task") if int(task) != os.getpid()]
    assert others, "the pool has no thread of its own"
    assert all(os.sched_getaffinity(other) == {second} for other in others)
child = os.fork()
if child == 0:
    os._exit(os.sched_getaffinity(0) != set(usable))
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0, "a child is kept to its parent's core"
"""


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="this system keeps no process to a core")
@pytest.mark.parametrize(
    ("threads", "changes", "expected"),
    [
        ((1, 1), {}, Cores(shared=[1, 5])),
        ((2, 2), {}, Cores(spread=[1, 5])),
        ((2, 1), {}, Cores(spread=[1, 5])),
        ((4, 4), {}, Cores()),
        ((2, 2), {"device": "cuda"}, Cores()),
        ((2, 2), {"workers": 2}, Cores()),
        ((1, 1), {"workers": 0}, Cores()),
    ],
)
def test_both_sides_have_the_same_cores(
    threads: tuple[int, int], changes: dict[str, Any], expected: Cores, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {5, 1})
    assert cores_for([CASE, replace(CASE, **changes)], threads) == expected


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="this system keeps no process to a core")
def test_larger_teams_are_left_to_the_kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {5, 0, 1})
    assert cores_for([CASE], (1, 1)) == Cores(shared=[0, 1, 5])
    assert cores_for([CASE], (3, 3)) == cores_for([CASE], (2, 2)) == Cores()


@pytest.mark.skipif(
    not hasattr(os, "sched_getaffinity") or len(os.sched_getaffinity(0)) < 2,
    reason="needs two cores that can be chosen",
)
def test_each_thread_has_a_core_and_children_have_all() -> None:
    done = subprocess.run([sys.executable, "-c", PLACED], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


class FakeWorker:
    """Answers at once, and writes down what it is asked for."""

    stops, pid = False, 0

    def __init__(self, side: int, log: list[tuple[int, str, Any]]) -> None:
        self.side, self.log = side, log
        self.channel, self.other = map(Channel, socket.socketpair())
        self.turns: list[Any] | None = None

    def send(self, message: dict[str, Any], *, resume: bool = True) -> None:
        del resume
        self.turns = message.get("turns")
        if self.turns is None:
            self.log.append((self.side, "prepare", None))
            return
        for _, first in self.turns:
            self.log += [(side, "block", None) for side in (first, 1 - first) if self.side == first]
        self.other.send({})  # so that something can be read

    def receive(self, kind: object) -> dict[str, Any]:
        del kind
        if self.turns is not None:
            self.channel.receive()
            return {"errors": {}, "left_out": {}, "blocks": [1e-3 for _ in self.turns]}
        cases = [{"skip": None, "error": None, "seconds": 1e-3, "warm_up_calls": 1, "check": {}, "first_call": {}}]
        return {"cases": cases, "seconds": {}, "compiler": False, "idle": True, "restores": None}

    def held_to_account(self) -> contextlib.nullcontext[None]:
        return contextlib.nullcontext()

    def pause(self) -> None: ...

    def end(self) -> None:
        self.log.append((self.side, "end", None))
        self.channel.close()
        self.other.close()

    def turn(self, message: dict[str, Any], kind: object) -> dict[str, Any]:
        del kind
        self.log.append((self.side, message["do"], message.get("cores")))
        return {"errors": {}, "switches": {"0": (1, 0, 0, 1e-3)}, "address_sets": {}}


def firsts(log: Sequence[tuple[int, str, Any]], what: str) -> set[int]:
    """Which side came first in each two that were asked for this."""
    sides = [side for side, asked, _ in log if asked == what]
    assert all({one, other} == {0, 1} for one, other in zip(sides[::2], sides[1::2], strict=True))
    return set(sides[::2])


@pytest.mark.parametrize("first", [True, False])
def test_chance_says_which_side_comes_first_in_everything(first: bool) -> None:
    log: list[tuple[int, str, Any]] = []
    rng = random.Random(0)

    class FakeServer:
        def __init__(self, side: int) -> None:
            self.side = side

        def fork(self, _: socket.socket) -> FakeWorker:
            log.append((self.side, "fork", None))
            return FakeWorker(self.side, log)

    servers: Any = (FakeServer(0), FakeServer(1))
    for _ in range(20):
        ledger = Ledger((CASE,), {CASE: Pace(1, 1, 10, 1, 2e-3)}, cores=Cores(spread=(0, 1)))
        with workers(servers, rng) as pair:
            assert [worker.side for worker in pair] == [0, 1]  # type: ignore[attr-defined]
            prepare(pair, ({}, {}), ledger, rng, first=first)
            time_blocks(pair, [CASE], ledger, rng)
    for what in ("fork", "prepare", "fresh", "block"):
        assert firsts(log, what) == {0, 1}, what
    orders = [cores for _, asked, cores in log if asked == "fresh"]
    assert orders[::2] == orders[1::2]  # the same for both sides
    assert {tuple(order) for order in orders} == {(0, 1), (1, 0)}
    assert {tuple(random_order(rng)) for _ in range(50)} == {(0, 1), (1, 0)}


def test_chance_says_which_interpreter_starts_first(monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[str] = []

    class FakeServer:
        def __init__(self, side: Side, *_: object) -> None:
            started.append(side.python)
            self.python = side.python

        def close(self) -> None: ...

    monkeypatch.setattr("torchduet.bench.duet.duet.Server", FakeServer)
    duet = Duet((Side("a"), Side("b")), compiler=False)
    servers = [duet.pool.start() for _ in range(20)]
    assert {(base.python, against.python) for base, against in servers} == {("a", "b")}  # type: ignore[attr-defined]
    assert set(started[::2]) == set(started[1::2]) == {"a", "b"}
    duet.close()
