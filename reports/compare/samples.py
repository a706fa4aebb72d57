"""From cases' records in two runs to the samples that are compared, and the questions they make; many at once.

Cases with as many placements and rounds go through numpy together, so that ten thousand cost little more than one.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import accumulate, chain
from statistics import median
from typing import TypeAlias, TypeVar

import numpy as np

from torchduet.bench.record.schema import Record
from torchduet.bench.record.statistics import placement_differences
from torchduet.reports.compare.leave_out import Array
from torchduet.reports.compare.spread import Residual
from torchduet.reports.compare.two_sample import shifts
from torchduet.reports.compare.verdicts import Question

Shape: TypeAlias = tuple[int, int] | None  # placements and rounds; None where rounds differ in number
Key = TypeVar("Key")


def questions(
    units: Sequence[str], above: Sequence[Array], below: Sequence[Array], thresholds: Sequence[float]
) -> list[Question]:
    """By how much each of ``above`` lies above its ``below``, one value per placement.

    What the machine did is still open.
    """
    found: list[Question | None] = [None] * len(units)
    for places in _alike((len(first), len(second)) for first, second in zip(above, below, strict=True)):
        first, second = (np.array([side[place] for place in places]) for side in (above, below))
        noises = [_noise(side) for side in (first, second)]
        both = zip(
            places,
            shifts(first, second),
            np.hypot(*noises).tolist(),
            *(
                zip(_apart(side), noise.tolist(), strict=True)
                for side, noise in zip((first, second), noises, strict=True)
            ),
            strict=True,
        )
        for place, shift, noise, *sides in both:
            found[place] = Question(
                unit=units[place],
                shift=shift,
                placements=min(first.shape[1], second.shape[1]),
                noise=noise,
                halves=tuple(Residual(units[place], apart, math.sqrt(2) * own) for apart, own in sides),
                movement=None,
                threshold=thresholds[place],
            )
    return [one for one in found if one is not None]


class Samples:
    """The block times of a run's cases, as one array.

    Attributes:
        records: case → its record.
    """

    def __init__(self, records: Mapping[str, Record]) -> None:
        self.records = records
        blocks = [record["timing"]["blocks"] for record in records.values()]
        self._shapes = dict(zip(records, map(_shape, blocks), strict=True))
        numbers = [sum(map(len, one)) for one in blocks]
        self._starts = dict(zip(records, accumulate(numbers, initial=0), strict=False))
        flat = chain.from_iterable(chain.from_iterable(blocks))
        self._seconds: Array = np.fromiter(flat, np.float64, sum(numbers))

    def log_times(self, cases: Sequence[str]) -> dict[str, Array]:
        """For each case, per placement the log of its median block."""
        found: dict[str, Array] = {}
        for shape, places in self._by_shape(cases):
            some = [cases[place] for place in places]
            if shape is None:
                for case in some:
                    blocks = self.records[case]["timing"]["blocks"]
                    found[case] = np.array([math.log(median(rounds)) for rounds in blocks])
            else:
                found.update(zip(some, np.log(_medians(self._stacked(some, shape))), strict=True))
        return {case: found[case] for case in cases}

    def log_speedups(self, cases: Sequence[str]) -> dict[str, Array]:
        """For each case, per placement the log speed-up over its reference; none without one timed in alternation."""
        held = {case: against for case in cases if (against := self._against(case))}
        found: dict[str, Array] = {}
        for shape, places in self._by_shape(own := list(held)):
            some = [own[place] for place in places]
            reference = [held[case] for case in some]
            if shape is None:
                for pair in zip(reference, some, strict=True):
                    found[pair[1]] = np.array(
                        placement_differences(*(self.records[case]["timing"]["blocks"] for case in pair))
                    )
            else:
                quotients = self._stacked(reference, shape) / self._stacked(some, shape)
                found.update(zip(some, _medians(np.log(quotients)), strict=True))
        return found

    def _against(self, case: str) -> str:
        """The case's reference, if its blocks pair with the case's own."""
        held = [one["against"] for one in self.records[case]["speedups"] if one["knob"] == "reference"]
        if not held or held[0] not in self.records:
            return ""
        if self._shapes[case] is not None:
            return held[0] if self._shapes[case] == self._shapes[held[0]] else ""
        reference, own = (self.records[one]["timing"]["blocks"] for one in (held[0], case))
        return held[0] if list(map(len, reference)) == list(map(len, own)) else ""

    def _by_shape(self, cases: Sequence[str]) -> Iterator[tuple[Shape, list[int]]]:
        """(placements, rounds) with the places of those that have them; None where rounds differ in number."""
        shapes = [self._shapes[case] for case in cases]
        return ((shapes[places[0]], places) for places in _alike(shapes))

    def _stacked(self, cases: Sequence[str], shape: tuple[int, int]) -> Array:
        """The blocks of these cases as an array of their own: cases × placements × rounds."""
        starts = np.array([self._starts[case] for case in cases])
        found: Array = self._seconds[starts[:, None] + np.arange(shape[0] * shape[1])]
        return found.reshape(-1, *shape)


def _shape(blocks: Sequence[Sequence[float]]) -> Shape:
    return (len(blocks), len(blocks[0])) if len(set(map(len, blocks))) == 1 else None


def _alike(keys: Iterable[Key]) -> Iterable[list[int]]:
    """The places of keys that are the same."""
    groups: dict[Key, list[int]] = {}
    for place, key in enumerate(keys):
        groups.setdefault(key, []).append(place)
    return groups.values()


def _medians(values: Array) -> Array:
    """The medians over the last axis, of which the values are then sorted."""
    values.sort(axis=-1)
    middle, odd = divmod(values.shape[-1], 2)
    return values[..., middle] if odd else (values[..., middle - 1] + values[..., middle]) / 2


def _noise(values: Array) -> Array:
    """The spread of placements: their standard deviation, row by row."""
    return values.std(axis=1, ddof=1) if values.shape[1] > 1 else np.zeros(len(values))


def _apart(values: Array) -> list[float]:
    """The second half of a run held against its first, as if they were two runs; row by row."""
    middle = values.shape[1] // 2
    if not middle:
        return [0.0] * len(values)
    apart: list[float] = (_medians(values[:, middle:].copy()) - _medians(values[:, :middle].copy())).tolist()
    return apart
