"""Why a worker or the run has ended without a result, and after which silence a worker is ended."""

from __future__ import annotations

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
