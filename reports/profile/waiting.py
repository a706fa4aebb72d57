"""Computes how long a call waits for data: for the batches of a DataLoader, and to start and end its workers."""

from __future__ import annotations

from dataclasses import dataclass

from torchduet.bench.record.schema import ProfileRecord
from torchduet.reports.profile.categories import DATA, LOADER
from torchduet.reports.profile.summary import Summary
from torchduet.reports.text import units

ALONE = "_SingleProcessDataLoaderIter"  # the loader without workers; PyTorch names the wait by its class
WORTH_NAMING = 0.005  # of a call


@dataclass(frozen=True)
class Waiting:
    """Seconds per call.

    Attributes:
        seconds: waiting for batches.
        alone: part of them, in which the process itself loaded batches without workers.
        loaders: starting and ending loaders, with their workers.
        batches: number per call; None where they were not counted.
    """

    seconds: float
    alone: float
    loaders: float
    batches: float | None


def waiting(summary: Summary, profile: ProfileRecord) -> Waiting | None:
    """The waiting in a trace; None for a call that uses no loader."""
    seconds, loaders = (summary.categories.get(name, 0.0) for name in (DATA, LOADER))
    if not seconds:
        return None
    alone = sum(node.total for node, _ in summary.root.walk() if ALONE in node.name) / summary.calls
    return Waiting(seconds, min(alone, seconds), loaders, profile.get("batches"))


def in_words(wait: Waiting, summary: Summary, workers: int | None) -> str:
    """The waiting in a sentence or two.

    Args:
        workers: number of the case's workers; None where the case has no such knob.
    """
    share = units.percent(summary.share_of(wait.seconds))
    each = ""
    if wait.batches:
        batch = "its only batch" if wait.batches == 1 else f"each of its {wait.batches:.3g} batches"
        each = f", {units.seconds(wait.seconds / wait.batches)} for {batch}"
    if wait.alone >= 0.99 * wait.seconds:
        text = f"Loading data takes {share} of a call{each}: without workers a call waits for all of it"
    else:
        ahead = f"{workers} worker{'s' * (workers != 1)} load" if workers else "workers load"
        text = f"A call waits {share} of its time for data{each}, while {ahead} ahead"
        if wait.alone >= WORTH_NAMING * summary.seconds:
            text += f"; {units.seconds(wait.alone)} of it is loading without workers"
    if wait.loaders >= WORTH_NAMING * summary.seconds:
        text += (
            f". Starting and ending {'loaders' if wait.alone == wait.seconds else 'the workers'} takes another "
            f"{units.percent(summary.share_of(wait.loaders))}, {units.seconds(wait.loaders)}"
        )
    return text + "."
