"""Why a worker or the run has ended without a result, and after which silence a worker is ended."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

SILENT_SECONDS = 600.0
MIN_SILENT_SECONDS = 180.0


def silent_seconds(budget_seconds: float) -> float:
    """Seconds for which a worker may report nothing: no longer than the run's budget, 3 to 10 minutes."""
    return min(SILENT_SECONDS, max(MIN_SILENT_SECONDS, budget_seconds))


class WorkerError(Exception):
    """The worker sent no answer; the message says how it ended and what it printed last."""


class OutOfTimeError(WorkerError):
    """The worker took longer than its task allows, and was killed."""


class EndedEarlyError(Exception):
    """The run ends early, and the measurement in progress has no result."""


@contextlib.contextmanager
def part_of_stop(stop_requested: Callable[[], bool]) -> Iterator[None]:
    """Within the context a worker that gives no answer after a stop request is part of the stop, not a failure.

    A signal to the process group (`timeout`, CI services) ends the process that forks workers, too.

    Raises:
        EndedEarlyError: instead of a :class:`WorkerError`, after a stop request.
    """
    try:
        yield
    except WorkerError as error:
        if stop_requested():
            raise EndedEarlyError from error
        raise
