"""A worker's job for a program's functions: reads them from their file, and measures them like those of a suite."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from time import perf_counter
from typing import Any

from torchduet.bench.host.error_words import one_line
from torchduet.bench.library import shipped
from torchduet.bench.record.schema import IMPORTING
from torchduet.bench.workers import process
from torchduet.suites import registry


def measure_described(task: Any, report: Callable[[str, float], None]) -> Any:
    """Job: measure the family of a :class:`torchduet.bench.cases.exchange.Task` whose source is a file of functions.

    Raises:
        LookupError: the functions cannot be found again in this process.
    """
    source, start = task.family.reference.source, perf_counter()
    report(f"{IMPORTING} the functions", 0.0)
    try:
        described = shipped.read(Path(source))
        registry.give(source, [described.suite()])
    except Exception as error:
        raise LookupError(f"they cannot be found again in another process ({one_line(error)})") from error
    seconds = perf_counter() - start
    result = process.measure_family(task, report)
    result.seconds[IMPORTING] = result.seconds.get(IMPORTING, 0.0) + seconds
    return result
