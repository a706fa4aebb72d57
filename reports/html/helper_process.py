"""A second process that draws charts and judges series in parallel, for inputs large enough to be worth its start."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from typing import ParamSpec, TypeVar

from torchduet.bench.host.without_main import without_main

LARGE = 4 * 2**20  # bytes of all input files; less is finished before another process has started

P = ParamSpec("P")
Result = TypeVar("Result")


def cores() -> int:
    """How many cores this process may use."""
    from torchduet.suites import cpus  # imported here because few reports are large enough to need it

    return cpus.cores()


@dataclass(frozen=True)
class Helper:
    """Runs functions in another process; without one, in this process once the result is needed.

    Attributes:
        pool: the other process, if there is one.
    """

    pool: Executor | None = None

    def begin(self, make: Callable[P, Result], *arguments: P.args, **named: P.kwargs) -> Callable[[], Result]:
        """Start ``make``, a function that another process can import; returns a function that gives its result."""

        def here() -> Result:
            return make(*arguments, **named)

        if self.pool is None:
            return here
        try:
            future = self.pool.submit(make, *arguments, **named)
        except (BrokenProcessPool, OSError):
            return here

        def finished() -> Result:
            try:
                return future.result()
            except BrokenProcessPool:  # killed, for example for lack of memory: this process does it, only later
                return here()

        return finished


@contextmanager
def helper(size: int, needed: str = "torchduet.reports.charts.axes") -> Iterator[Helper]:
    """A helper while ``size`` bytes are processed: a second process if they are many and there is a second core.

    It starts at once, because the module ``needed`` takes half a second to import.
    """
    if size < LARGE or cores() < 2:
        yield Helper()
        return
    try:
        # Spawned, not forked: threads of the libraries that are loaded here would not survive a fork.
        pool = ProcessPoolExecutor(1, multiprocessing.get_context("spawn"))
        with without_main():
            pool.submit(import_module, needed)
    except (OSError, NotImplementedError, BrokenProcessPool):  # no semaphores, or no memory for a process
        yield Helper()
        return
    try:
        yield Helper(pool)
    finally:
        pool.shutdown(cancel_futures=True)
