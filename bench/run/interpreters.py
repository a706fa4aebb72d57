"""Starts more interpreters during a run, from which visits are made in turn."""

from __future__ import annotations

import os

from torchduet.bench.run.progress import Progress
from torchduet.bench.workers.servers import Servers
from torchduet.suites.cpus import cores
from torchduet.suites.workload import COMPILED

INTERPRETERS = 4
MIN_MEMORY = 2**31  # bytes that must be free for another one: it takes some 0.4 GB
MAX_SECONDS = 20.0  # an interpreter that takes longer, as it imports a large file of the user, stays the only one
MAX_SHARE = 0.06  # of the time that is left, for waiting for one where no core is free meanwhile


class Interpreters:
    """Decides when another interpreter is started, so that it disturbs the timing as little as possible.

    While it imports torch it keeps one core busy for some seconds. Where the run leaves a core free, it does so beside
    the timing; else the run waits for it, once every family has been visited, if that takes a small part of its time.

    Args:
        threads: of the run.
        progress: its families say whether anything is compiled: the second interpreter then imports the compiler, too.
    """

    def __init__(self, servers: Servers, threads: int, progress: Progress) -> None:
        self._servers, self._threads, self._progress = servers, threads, progress
        self._refused = False  # whether the system has refused another one

    def grow(self, seconds_left: float, *, later: bool = False) -> None:
        """Start another interpreter if it is time for one.

        Args:
            later: every family has been visited.
        """
        servers = self._servers
        if self._refused or not 0 < len(servers) < INTERPRETERS or not servers.all_ready or _free_memory() < MIN_MEMORY:
            return
        first = servers.seconds_of_first()
        if first is None or first > MAX_SECONDS:
            return
        beside = cores() > self._threads
        if not beside and not (later and first <= MAX_SHARE * seconds_left):
            return
        compiled = any(case.mode in COMPILED for family in self._progress.families for case in family.cases)
        try:
            servers.start(compiler=compiled and len(servers) == 1)
        except OSError as error:  # no room for another process, or for its files
            self._progress.warnings.append(f"workers come from fewer interpreters: no other can be started: {error}")
            self._refused = True
            return
        if not beside:
            servers.wait(MAX_SECONDS)


def _free_memory() -> float:
    """Bytes that are free, without the caches that could be freed; unlimited where the system does not say."""
    try:
        return float(os.sysconf("SC_AVPHYS_PAGES")) * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, OSError, ValueError):
        return float("inf")
