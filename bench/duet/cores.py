"""On which cores the threads of both sides run; without this, cores would differ by chance between identical sides.

A side is stopped except during its turns, so the kernel never gets to move its threads to different cores. Two threads
that woke on one core share it for the life of the process and run one after the other. Identical sides with two
threads on two cores lay up to 60 % apart in single pairs (0.4 ms steps of SGD), in either direction.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from torchduet.bench.cases.case import Case
from torchduet.bench.record.devices import on_host

TASKS = Path("/proc/self/task")


@dataclass(frozen=True)
class Cores:
    """The cores that the two sides of a family are pinned to.

    Attributes:
        shared: in each turn both sides use the same core, one of these; empty: they use several.
        spread: each side has a thread on each of these two, in an order drawn for each placement; empty: the kernel
            decides.
    """

    shared: Collection[int] = ()
    spread: Sequence[int] = ()


def cores_for(cases: Sequence[Case], threads: Sequence[int]) -> Cores:
    """How to pin the sides of these cases.

    One thread: both sides use the same core in each turn. The kernel leaves a process on its core; with another program
    on one of two cores, one side would share that core and the other would not, for as long as the pair lives. Pinning
    reduced the differences between pairs of identical processes from 34 % and 11 % to 2 % (20 µs and 64 µs calls,
    2-core VM).

    As many threads as cores: one on each, if these are two. In larger teams libgomp ends threads and starts others
    later, which would inherit the one core of the thread that starts them.

    Fewer threads than cores, and cases with DataLoader workers or ranks: no pinning. The kernel finds free cores, and
    the workers or ranks need all of them.

    Args:
        threads: intra-op threads of each side.
    """
    if not hasattr(os, "sched_setaffinity") or not TASKS.exists():
        return Cores()
    if any(not on_host(case.device) or case.workers is not None or case.ranks is not None for case in cases):
        return Cores()
    usable = sorted(os.sched_getaffinity(0))
    if max(threads) == 1:
        return Cores(shared=usable)
    return Cores(spread=usable) if max(threads) == len(usable) == 2 else Cores()


def spread(cores: Sequence[int]) -> None:
    """Pin the calling thread to the first of these two cores, and the other threads of this process to the second."""
    first, second = cores
    keep(0, [first])
    for thread in (int(task.name) for task in TASKS.iterdir()):
        if thread != os.getpid():
            keep(thread, [second])


def free_children() -> None:
    """Let processes that this one forks later use the cores that it may use now, even if it is pinned by then.

    This covers os.fork, as DataLoader uses it; programs that this process runs inherit the core that it is pinned to.
    """
    if hasattr(os, "sched_setaffinity"):
        usable = os.sched_getaffinity(0)
        os.register_at_fork(after_in_child=lambda: keep(0, usable))


def keep(thread: int, cores: Collection[int]) -> None:
    """Let a thread, and what it starts from now on, run on these cores only; 0 is the calling thread."""
    with contextlib.suppress(OSError):  # the thread has ended
        os.sched_setaffinity(thread, cores)
