"""Gives each timed call the inputs that it is meant to have: put back where calls change them, or made anew."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from time import perf_counter
from typing import Any, Protocol

import numpy as np
import torch

from torchduet.bench.inputs.changes import Changes
from torchduet.bench.inputs.placements import Placements

# Putting inputs back may take three times as long as a call, and always a tenth of a millisecond.
MAX_SHARE, ALWAYS_SECONDS = 3.0, 1e-4
MAX_MEASUREMENTS, MAX_SECONDS = 20, 0.05  # before it is called too slow; of one that is measured again


class Restored(Protocol):
    """What is called: a case that is being timed."""

    @property
    def changes_inputs(self) -> bool:
        """Whether a call changes what the next one is given."""

    def use(self, inputs: Sequence[Any]) -> None:
        """Take these inputs for the next call."""


class Restoring(Protocol):
    """Readies the inputs before calls.

    Attributes:
        active: the inputs are readied before each call, so that a block is one call.
        seconds: of readying them once; the shortest so far.
    """

    active: bool
    seconds: float

    def before_call(self, run: Restored) -> None:
        """Ready the inputs of the next call; untimed."""

    def moved(self) -> None:
        """The inputs have just been given their original values."""


class PutBack:
    """Puts back what the calls of a family change of their inputs on one device, before the call that comes next.

    Args:
        synchronize: waits for a device that puts them back after the host has asked for it; None for the CPU.
    """

    def __init__(self, placements: Placements, synchronize: Callable[[], None] | None = None) -> None:
        self._placements, self._synchronize = placements, synchronize
        self.changes = Changes()
        self.active = False
        self.seconds = 0.0
        self._changed = False  # since they were put back

    def include(self, changes: Changes) -> None:
        """From now on put this back, too."""
        self.changes |= changes
        self.active = bool(self.changes)
        self._changed = True

    def before_call(self, run: Restored) -> None:
        """Put the inputs back if a call has changed them."""
        if self._changed and self._synchronize is None:
            self._timed()
        elif self._changed:  # waiting for the device would let it idle before the call
            self._placements.put_back(self.changes)
        self._changed = run.changes_inputs

    def _timed(self) -> None:
        """Put them back, and take the time of it, on a device that of its work, too."""
        wait = self._synchronize or (lambda: None)
        wait()
        start = perf_counter()
        self._placements.put_back(self.changes)
        wait()
        taken = perf_counter() - start
        self.seconds = min(self.seconds, taken) if self.seconds else taken  # others may have had the core

    def moved(self) -> None:
        """The inputs have just been given their original values."""
        self._changed = False

    def decide(self, call_seconds: float) -> bool:
        """Whether inputs can be put back before every call; else it is done for each placement only.

        Args:
            call_seconds: of the shortest call that changes them.
        """
        limit = max(ALWAYS_SECONDS, MAX_SHARE * call_seconds)
        if self.active and not self.seconds:
            self._timed()
        for _ in range(MAX_MEASUREMENTS if self.seconds < MAX_SECONDS else 0):
            if self.seconds <= limit:
                break
            self._timed()
        self.active = self.active and self.seconds <= limit
        return self.active

    def agree(self, active: bool) -> None:
        """Put the inputs back before every call, or not, as another process does that is timed in alternation."""
        self.active = active and bool(self.changes)
        self._changed = True


class Fresh:
    """Makes the inputs anew before each call, with other values each time: the same sequence for every case."""

    def __init__(self, make: Callable[[int], Sequence[Any]]) -> None:
        self._make = make
        self._made: dict[int, int] = {}  # id of a case → how often it was given inputs
        self.active = True
        self.seconds = 0.0

    def before_call(self, run: Restored) -> None:
        """Give the case new inputs."""
        number = self._made[id(run)] = self._made.get(id(run), 0) + 1
        start = perf_counter()
        run.use(self._make(number))
        taken = perf_counter() - start
        self.seconds = min(self.seconds, taken) if self.seconds else taken

    def moved(self) -> None:
        """New inputs are new memory already."""


@contextmanager
def generators_kept() -> Iterator[None]:
    """The generators of PyTorch, Python and NumPy are as before after the context."""
    python, numpy = random.getstate(), np.random.get_state()
    started = torch.cuda.is_initialized()  # type: ignore[no-untyped-call]
    with torch.random.fork_rng(range(torch.cuda.device_count()) if started else []):
        try:
            yield
        finally:
            random.setstate(python)
            np.random.set_state(numpy)


def seed_all(seed: int) -> None:
    """Seed the generators that ``inputs=`` may draw from: PyTorch's, Python's and NumPy's."""
    torch.manual_seed(seed)
    random.seed(seed)
    np.random.seed(seed % 2**32)
