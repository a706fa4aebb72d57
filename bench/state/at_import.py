"""What a suite's file changes when it is imported: the state in force for its families, which the record names."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch

from torchduet.bench.state.entry import listed, read
from torchduet.bench.state.own_state import OF_LIBRARIES, differences, everything


def imported(load: Callable[[], object], source: str, threads: int) -> list[str]:
    """Import a suite's file by ``load``; returns a sentence for each kind of change.

    The number of threads is set again: it belongs to the command line, and to the record of the run. Everything else
    that the file changes holds for its own cases, as its author wants it: each case is called in that state.

    Args:
        source: the file, or the name of a built-in suite.
        threads: of ``--threads``.
    """
    before = read(everything())
    load()
    changed = differences(before, read(everything()))
    notes = []
    name = Path(source).name
    own = torch.get_num_threads()
    if own != threads:
        torch.set_num_threads(threads)
        word = "thread" if own == 1 else "threads"
        notes.append(f"{name} sets {own} {word} when it is imported; --threads {threads} is in force")
    kept = [change for change in changed if change.entry.name not in OF_LIBRARIES | {"number of threads"}]
    if words := listed(kept):
        notes.append(f"{name} changes {words} when it is imported: in force for all of its cases")
    return notes
