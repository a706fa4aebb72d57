"""Order statistics of many values with a few of them left out, without sorting again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

Array: TypeAlias = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Ordered:
    """Values in ascending order.

    Attributes:
        ranks: index in the original sequence → index in the order.
    """

    values: Sequence[float]
    ranks: Sequence[int]

    def without(self, indices: Sequence[int]) -> Rest:
        """All values but those at these indices of the original sequence."""
        return Rest(self.values, sorted(self.ranks[index] for index in indices))


@dataclass(frozen=True)
class Rest(Sequence[float]):
    """Ordered values without those at some indices; ``rest[k]`` is the kth smallest of the remaining values."""

    values: Sequence[float]
    left_out: Sequence[int]

    def __len__(self) -> int:
        return len(self.values) - len(self.left_out)

    def __getitem__(self, index: int) -> float:  # type: ignore[override]
        for left_out in self.left_out:
            if left_out > index:
                break
            index += 1
        return self.values[index]

    def median(self) -> float:
        """The middle value, or the mean of the middle two.

        Raises:
            IndexError: nothing is left.
        """
        middle = len(self) // 2
        return self[middle] if len(self) % 2 else (self[middle - 1] + self[middle]) / 2


def ranked(values: Array) -> Ordered:
    """The values sorted, with the rank of each."""
    order = np.argsort(values, kind="stable")
    ranks = np.empty(len(order), dtype=np.intp)
    ranks[order] = np.arange(len(order))
    return Ordered(values[order].tolist(), ranks.tolist())
