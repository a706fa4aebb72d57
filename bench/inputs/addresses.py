"""How many different places in a device's memory the inputs of a case have had."""

from __future__ import annotations

import weakref

from torch import Tensor

from torchduet.bench.inputs.graph import tensors_in
from torchduet.bench.inputs.memory import has_storage
from torchduet.bench.record.devices import HOST


class Addresses:
    """Where the tensors of a case's inputs begin in a device's memory, placement by placement.

    The addresses of all of them together are one set: two placements are the same only if no tensor has moved between
    them. Tensors in the host's memory do not count: there the system gives new pages at the same addresses.
    """

    def __init__(self) -> None:
        self._tensors: list[weakref.ref[Tensor]] = []
        self._sets: list[tuple[int, ...]] = []

    def add(self, inputs: object) -> None:
        """Take the present addresses of what is reachable from the inputs for those of another placement."""
        tensors = [tensor for known in self._tensors if (tensor := known()) is not None]
        if not tensors or len(tensors) < len(self._tensors):  # the first time, or the inputs are others
            tensors = [found for found in tensors_in(inputs) if has_storage(found) and found.device.type != HOST]
            self._tensors = [weakref.ref(tensor) for tensor in tensors]
        self._sets.append(tuple(tensor.untyped_storage().data_ptr() for tensor in tensors))

    def distinct(self, placements: int) -> int | None:
        """How many sets of addresses differ in the first placements; None without any tensor on a device."""
        sets = [addresses for addresses in self._sets[:placements] if addresses]
        return len(set(sets)) if sets else None
