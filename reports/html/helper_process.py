"""A second process that draws and judges while this one goes on, where there is so much to read that it pays."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from typing import ParamSpec, TypeVar

from torchduet.reports.charts.model import Bar

LARGE = 4 * 2**20  # bytes of all that is read; less is done with before another process has started

P = ParamSpec("P")
Made = TypeVar("Made")


def cores() -> int:
    """How many cores this process may use."""
    from torchduet.suites import cpus  # which few reports are large enough to need

    return cpus.cores()


@dataclass(frozen=True)
class Helper:
    """Works here, once the result is asked for, or in the meantime elsewhere.

    Attributes:
        elsewhere: the other process, if there is one.
    """

    elsewhere: Executor | None = None

    def begin(self, make: Callable[P, Made], *arguments: P.args, **named: P.kwargs) -> Callable[[], Made]:
        """What gives the result of ``make``, a function that another process can import, once it is needed."""

        def here() -> Made:
            return make(*arguments, **named)

        if self.elsewhere is None:
            return here
        try:
            begun = self.elsewhere.submit(make, *arguments, **named)
        except (BrokenProcessPool, OSError):
            return here

        def finished() -> Made:
            try:
                return begun.result()
            except BrokenProcessPool:  # killed, as where memory is short: it is only slower here
                return here()

        return finished


def both_forests(bars: Sequence[Bar], threshold: float, prefix: str) -> tuple[str, str]:
    """The SVG of a forest plot, wide and narrow."""
    from torchduet.reports.charts.forest import forest

    return forest(bars, threshold, prefix), forest(bars, threshold, f"{prefix}-n", narrow=True)


@contextmanager
def helper(size: int, needed: str = "torchduet.reports.charts.forest") -> Iterator[Helper]:
    """What draws while so many bytes are worked on: a second process, if they are many and there is a core for it.

    It is started at once, as the module that is ``needed`` takes half a second to import.
    """
    if size < LARGE or cores() < 2:
        yield Helper()
        return
    try:
        # Threads of libraries that are loaded here would not survive a fork.
        pool = ProcessPoolExecutor(1, multiprocessing.get_context("spawn"))
        pool.submit(import_module, needed)
    except (OSError, NotImplementedError, BrokenProcessPool):  # no semaphores, or no memory for more
        yield Helper()
        return
    try:
        yield Helper(pool)
    finally:
        pool.shutdown(cancel_futures=True)
