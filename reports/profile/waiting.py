"""How long a call waits for data: for each batch that a DataLoader hands over, and for the loader's workers."""

from __future__ import annotations

from dataclasses import dataclass

from torchduet.bench.record.schema import ProfileRecord
from torchduet.reports.profile.categories import DATA, LOADER
from torchduet.reports.profile.summary import Summary
from torchduet.reports.text import units

ALONE = "_SingleProcessDataLoaderIter"  # loads in the process itself; PyTorch names the wait by its class
WORTH_NAMING = 0.005  # of a call


@dataclass(frozen=True)
class Waiting:
    """Seconds per call.

    Attributes:
        seconds: until batches were there.
        alone: of these, those in which the process itself loaded them, having no workers.
        loaders: to start and to end loaders, with their workers.
        batches: per call; None where they were not counted.
    """

    seconds: float
    alone: float
    loaders: float
    batches: float | None


def waiting(summary: Summary, profile: ProfileRecord) -> Waiting | None:
    """What a trace says of it; None of a call that uses no loader."""
    seconds, loaders = (summary.categories.get(name, 0.0) for name in (DATA, LOADER))
    if not seconds:
        return None
    alone = sum(node.total for node, _ in summary.root.walk() if ALONE in node.name) / summary.calls
    return Waiting(seconds, min(alone, seconds), loaders, profile.get("batches"))


def said(found: Waiting, summary: Summary, workers: int | None) -> str:
    """The same in a sentence or two.

    Args:
        workers: of the case, where that is a knob of it.
    """
    share = units.percent(found.seconds / summary.seconds)
    each = ""
    if found.batches:
        batch = "its only batch" if found.batches == 1 else f"each of its {found.batches:.3g} batches"
        each = f", {units.seconds(found.seconds / found.batches)} for {batch}"
    if found.alone >= 0.99 * found.seconds:
        text = f"Loading data takes {share} of a call{each}: it has no workers, so all that loading takes is waited for"
    else:
        ahead = f"{workers} worker{'s' * (workers != 1)} load" if workers else "workers load"
        text = f"A call waits {share} of its time for data{each}, while {ahead} ahead"
        if found.alone >= WORTH_NAMING * summary.seconds:
            text += f"; {units.seconds(found.alone)} of it is loading without workers"
    if found.loaders >= WORTH_NAMING * summary.seconds:
        text += (
            f". Starting and ending {'loaders' if found.alone == found.seconds else 'the workers'} takes another "
            f"{units.percent(found.loaders / summary.seconds)}, {units.seconds(found.loaders)}"
        )
    return text + "."
