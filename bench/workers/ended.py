"""Why a worker or the run has ended without a result."""

from __future__ import annotations


class WorkerError(Exception):
    """The worker sent no answer; the message says how it ended and what it printed last."""


class OutOfTimeError(WorkerError):
    """The worker took longer than its task allows, and was killed."""


class EndedEarlyError(Exception):
    """The run ends early, and the measurement in progress has no result."""
