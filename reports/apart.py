"""Draws in a process of its own while this one goes on, where files are so large that it pays."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module

from reports.chart import Bar

LARGE = 4 * 2**20  # bytes of all files together; less is read before another process has started


def cores() -> int:
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@dataclass(frozen=True)
class Drawer:
    """Draws here, when asked for the drawing, or in the meantime elsewhere.

    Attributes:
        elsewhere: the other process, if there is one.
    """

    elsewhere: Executor | None = None

    def forest(self, bars: Sequence[Bar], threshold: float, prefix: str) -> Callable[[], tuple[str, str]]:
        """What gives both drawings of a forest plot, the wide and the narrow one, once they are needed."""
        if self.elsewhere is None:
            return lambda: both_forests(bars, threshold, prefix)
        try:
            begun = self.elsewhere.submit(both_forests, bars, threshold, prefix)
        except (BrokenProcessPool, OSError):
            return lambda: both_forests(bars, threshold, prefix)

        def finished() -> tuple[str, str]:
            try:
                return begun.result()
            except BrokenProcessPool:  # killed, as where memory is short: it is only slower here
                return both_forests(bars, threshold, prefix)

        return finished


def both_forests(bars: Sequence[Bar], threshold: float, prefix: str) -> tuple[str, str]:
    """The SVG of a forest plot, wide and narrow."""
    from reports.forest import forest

    return forest(bars, threshold, prefix), forest(bars, threshold, f"{prefix}-n", narrow=True)


@contextmanager
def drawer(size: int) -> Iterator[Drawer]:
    """What draws while files of so many bytes are read: a second process, if they are many and there is a core for it.

    It is started at once, as what it needs takes half a second to import.
    """
    if size < LARGE or cores() < 2:
        yield Drawer()
        return
    try:
        # Threads of libraries that are loaded here would not survive a fork.
        pool = ProcessPoolExecutor(1, multiprocessing.get_context("spawn"))
        pool.submit(import_module, "reports.forest")
    except (OSError, NotImplementedError, BrokenProcessPool):  # no semaphores, or no memory for more
        yield Drawer()
        return
    try:
        yield Drawer(pool)
    finally:
        pool.shutdown(cancel_futures=True)
