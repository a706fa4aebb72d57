"""On which cores the threads of both sides run: the same in each turn, or chance decides between identical sides.

A side stands still but for its turns, so that the kernel does not come round to moving its threads apart: two that woke
on one core share it for the life of the process, and take turns in it instead of working at once. Identical sides with
two threads on two cores lay up to 60 % apart in single pairs (0.4 ms steps of SGD), in either direction.
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
    """The cores that a family's sides are kept to.

    Attributes:
        shared: both sides use the same one of these in each turn; empty: they use several.
        spread: each side has a thread on each of these two, in an order drawn anew for each placement; empty: as the
            kernel has it.
    """

    shared: Collection[int] = ()
    spread: Sequence[int] = ()


def cores_for(cases: Sequence[Case], threads: Sequence[int]) -> Cores:
    """How to keep the sides of these cases, which have so many threads each.

    With one thread: left to itself the kernel keeps a process where it is. With another program on one of two cores,
    one side then shares that core and the other does not, for as long as the pair lives: differences between pairs of
    identical processes of 34 % and 11 % became 2 % (20 µs and 64 µs calls, 2-core VM). With as many threads as cores
    there is one on each, if these are two: of larger teams libgomp ends threads and starts others later, which would
    inherit the one core of the thread that starts them. With fewer threads than cores the kernel finds free ones
    itself, and DataLoader workers need all.
    """
    if not hasattr(os, "sched_setaffinity") or not TASKS.exists():
        return Cores()
    if any(not on_host(case.device) or case.workers is not None for case in cases):
        return Cores()
    usable = sorted(os.sched_getaffinity(0))
    if max(threads) == 1:
        return Cores(shared=usable)
    return Cores(spread=usable) if max(threads) == len(usable) == 2 else Cores()


def spread(cores: Sequence[int]) -> None:
    """Keep the calling thread to the first of these two cores, and this process's others to the second."""
    first, second = cores
    keep(0, [first])
    for thread in (int(task.name) for task in TASKS.iterdir()):
        if thread != os.getpid():
            keep(thread, [second])


def free_children() -> None:
    """Let what this process forks from now on use the cores that it may use now, whatever it is kept to then.

    By os.fork, as DataLoader does; programs that it runs inherit the core that it is kept to.
    """
    if hasattr(os, "sched_setaffinity"):
        usable = os.sched_getaffinity(0)
        os.register_at_fork(after_in_child=lambda: keep(0, usable))


def keep(thread: int, cores: Collection[int]) -> None:
    """Let a thread, and what it starts from now on, run on these cores alone; 0 is the calling one."""
    with contextlib.suppress(OSError):  # it has ended since
        os.sched_setaffinity(thread, cores)
