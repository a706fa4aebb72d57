"""Order statistics of what is left of many values when a few are left out, without sorting again."""

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
        ranks: place in the sequence given → place in the order.
    """

    values: Sequence[float]
    ranks: Sequence[int]

    def without(self, places: Sequence[int]) -> Rest:
        """All but those at these places of the sequence given."""
        return Rest(self.values, sorted(self.ranks[place] for place in places))


@dataclass(frozen=True)
class Rest(Sequence[float]):
    """Ordered values without those at some places of the order; ``rest[k]`` is the kth least of what is left."""

    values: Sequence[float]
    left_out: Sequence[int]

    def __len__(self) -> int:
        return len(self.values) - len(self.left_out)

    def __getitem__(self, place: int) -> float:  # type: ignore[override]
        for gap in self.left_out:
            if gap > place:
                break
            place += 1
        return self.values[place]

    def median(self) -> float:
        """The middle one, or the mean of the middle two.

        Raises:
            IndexError: nothing is left.
        """
        middle = len(self) // 2
        return self[middle] if len(self) % 2 else (self[middle - 1] + self[middle]) / 2


def ranked(values: Array) -> Ordered:
    """The values sorted, with each one's place in the order."""
    order = np.argsort(values, kind="stable")
    ranks = np.empty(len(order), dtype=np.intp)
    ranks[order] = np.arange(len(order))
    return Ordered(values[order].tolist(), ranks.tolist())
