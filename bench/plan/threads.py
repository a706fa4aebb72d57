"""How many intra-op threads the processes of a family have."""

from __future__ import annotations

from torchduet.bench.cases.case import Family
from torchduet.bench.host.machine import Machine
from torchduet.suites.workload import cores


def threads_for(family: Family, threads: int, machine: Machine | None = None) -> int:
    """The threads of each process: fewer where several run at a time, so that none waits for a core of another.

    All cases of a family have as many, whatever their number of ranks: the speed-up by more ranks is that of more
    processes like the first.

    Args:
        threads: of ``--threads``.
        machine: that of rank 0; None: all ranks are on this one.
    """
    most = max((case.ranks or 1 for case in family.cases), default=1)
    if machine is not None and machine.processes is not None:
        most = min(most, machine.processes.here)
    return max(1, min(threads, cores() // most)) if most > 1 else threads
