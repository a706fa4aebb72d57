"""What a worker and its parent tell each other."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import Any

ASKED_TO_STOP = threading.Event()  # the run is to end: what is being timed is finished with what there is
PRELOAD_COMPILER = "TORCHDUET_PRELOAD_COMPILER"  # set to 1: the fork server prepares for compiled cases


@dataclass(frozen=True)
class Progress:
    """What the worker is doing, and how far timing has come (0 to 1)."""

    what: str
    fraction: float


@dataclass(frozen=True)
class Answer:
    """The job's result, or the one-line reason why there is none."""

    value: Any = None
    error: str | None = None
