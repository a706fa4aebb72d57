"""Processes that keep cores busy, to measure on a loaded machine."""

from __future__ import annotations

import contextlib
import multiprocessing
from collections.abc import Iterator


def busy_loop() -> None:
    """Keep one core busy for ever."""
    while True:
        sum(range(10_000))


@contextlib.contextmanager
def neighbours(cores: int) -> Iterator[None]:
    """Keep so many cores busy with other processes, one each, until the context ends."""
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=busy_loop, daemon=True) for _ in range(cores)]
    try:
        for process in processes:
            process.start()
        yield
    finally:
        for process in processes:
            process.kill()
            process.join()
