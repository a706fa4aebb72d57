"""The input of the charts of a history: the axis of runs, and a series with its intervals."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from torchduet.reports.history.judged import Line
from torchduet.reports.history.series import History, Numbers, pilots_together


@dataclass(frozen=True)
class Axis:
    """The runs of a machine in the order of time.

    Attributes:
        days: ``2026-01-05``; empty where it is not known.
        versions: indices of the runs whose versions differ from those of the run before.
    """

    days: tuple[str, ...]
    versions: tuple[int, ...]

    def __len__(self) -> int:
        return len(self.days)


@dataclass(frozen=True)
class Drawn:
    """A series to be drawn: logs by run, with the logs of its interval."""

    line: Line
    low: Numbers
    high: Numbers


def axis_of(history: History) -> Axis:
    """The axis of a history's runs."""
    versions = tuple(index for index, run in enumerate(history.runs) if run.changed)
    return Axis(tuple(run.day for run in history.runs), versions)


def pilots_of(history: History) -> dict[str, Numbers]:
    """Kind of pilot → its logs by run, for the kinds that were timed in any run."""
    return {kind: logs for kind, logs in pilots_together(history).items() if np.isfinite(logs).any()}
