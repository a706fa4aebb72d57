"""The input of the charts of a history: the axis of runs, and a series with its intervals."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from torchduet.reports.history.judged import Line
from torchduet.reports.history.series import History, Numbers, of_one_day, pilots_together


@dataclass(frozen=True)
class Axis:
    """The runs of a machine in the order of time.

    Attributes:
        moments: ``2026-01-05``, or ``14:05`` where all are of one day; empty where it is not known.
        day: of all runs, where their moments are times; else empty.
        versions: indices of the runs whose versions differ from those of the run before.
    """

    moments: tuple[str, ...]
    versions: tuple[int, ...]
    day: str = ""

    def __len__(self) -> int:
        return len(self.moments)


@dataclass(frozen=True)
class Drawn:
    """A series to be drawn: logs by run, with the logs of its interval."""

    line: Line
    low: Numbers
    high: Numbers


def axis_of(history: History) -> Axis:
    """The axis of a history's runs."""
    versions = tuple(index for index, run in enumerate(history.runs) if run.changed)
    one_day = of_one_day(history.runs)
    moments = tuple(run.moment(of_one_day=one_day) for run in history.runs)
    return Axis(moments, versions, day=max(run.day for run in history.runs) if one_day else "")


def pilots_of(history: History) -> dict[str, Numbers]:
    """Kind of pilot → its logs by run, for the kinds that were timed in any run."""
    return {kind: logs for kind, logs in pilots_together(history).items() if np.isfinite(logs).any()}
