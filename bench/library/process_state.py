"""PyTorch's switches of the calling program, such as its grad mode, for the fresh processes that time its functions."""

from __future__ import annotations

import pickle
from collections.abc import Mapping

from torchduet.bench.state import torch_flags
from torchduet.bench.state.entry import Change, Entry, put_back, read

# Of the settings of the run, or of the process alone.
OTHERS = ("number of threads", "number of inter-op threads", "CUDA", "current CUDA", "precision of fp32")


def taken() -> dict[str, bytes]:
    """Name → value, pickled, of every switch that another process can be given."""
    entries = _entries()
    values: dict[str, bytes] = {}
    for entry, value in zip(entries, read(entries), strict=True):
        try:
            values[entry.name] = pickle.dumps(value)
        except (pickle.PicklingError, TypeError, AttributeError) as error:
            print(f"{entry.name} is not taken to fresh processes: {error}")
    return values


def enter(values: Mapping[str, bytes]) -> list[str]:
    """Set this process' switches to these values; returns the names of those that it refuses."""
    changed = []
    for entry in _entries():
        if entry.name in values:
            wanted, own = pickle.loads(values[entry.name]), entry.read()
            if own is not wanted and own != wanted:
                changed.append(Change(entry, wanted, own))
    return [change.entry.name for change in put_back(changed)]


def _entries() -> list[Entry]:
    return [entry for entry in torch_flags.entries() if not entry.name.startswith(OTHERS)]
