"""Computes the samples that are compared from the records of two runs, and the questions on them, many at once.

Cases with the same numbers of placements and rounds are computed together, so that ten thousand cost little more than
one.
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
from torchduet.reports.shifts.leave_out import Array
from torchduet.reports.shifts.question import Question
from torchduet.reports.shifts.spread import Residual
from torchduet.reports.shifts.two_sample import shifts

Shape: TypeAlias = tuple[int, int] | None  # placements and rounds; None where rounds differ in number
Key = TypeVar("Key")


def questions(
    units: Sequence[str], above: Sequence[Array], below: Sequence[Array], thresholds: Sequence[float]
) -> list[Question]:
    """By how much each of ``above`` lies above its ``below``, one value per placement.

    The machine's movement is not filled in yet.
    """
    result: list[Question | None] = [None] * len(units)
    for indices in _alike((len(first), len(second)) for first, second in zip(above, below, strict=True)):
        first, second = (np.array([side[index] for index in indices]) for side in (above, below))
        noises = [_noise(side) for side in (first, second)]
        columns = zip(
            indices,
            shifts(first, second),
            np.hypot(*noises).tolist(),
            *(
                zip(_between_halves(side), noise.tolist(), strict=True)
                for side, noise in zip((first, second), noises, strict=True)
            ),
            strict=True,
        )
        for index, shift, noise, *sides in columns:
            result[index] = Question(
                unit=units[index],
                shift=shift,
                placements=min(first.shape[1], second.shape[1]),
                noise=noise,
                halves=tuple(Residual(units[index], apart, math.sqrt(2) * own) for apart, own in sides),
                threshold=thresholds[index],
            )
    return [question for question in result if question is not None]


class Samples:
    """The block times of a run's cases, as one array.

    Attributes:
        records: case → its record.
    """

    def __init__(self, records: Mapping[str, Record]) -> None:
        self.records = records
        blocks = [record["timing"]["blocks"] for record in records.values()]
        self._shapes = dict(zip(records, map(_shape, blocks), strict=True))
        numbers = [sum(map(len, of_case)) for of_case in blocks]
        self._starts = dict(zip(records, accumulate(numbers, initial=0), strict=False))
        flat = chain.from_iterable(chain.from_iterable(blocks))
        self._seconds: Array = np.fromiter(flat, np.float64, sum(numbers))

    def log_times(self, cases: Sequence[str]) -> dict[str, Array]:
        """Case → per placement, the log of its median block."""
        logs: dict[str, Array] = {}
        for shape, indices in self._by_shape(cases):
            group = [cases[index] for index in indices]
            if shape is None:
                for case in group:
                    blocks = self.records[case]["timing"]["blocks"]
                    logs[case] = np.array([math.log(median(rounds)) for rounds in blocks])
            else:
                logs.update(zip(group, np.log(_medians(self._stacked(group, shape))), strict=True))
        return {case: logs[case] for case in cases}

    def log_speedups(self, cases: Sequence[str]) -> dict[str, Array]:
        """Case → per placement, its log speed-up; without the cases that have no reference timed in alternation."""
        reference_of = {case: reference for case in cases if (reference := self._reference(case))}
        logs: dict[str, Array] = {}
        for shape, indices in self._by_shape(paired := list(reference_of)):
            group = [paired[index] for index in indices]
            references = [reference_of[case] for case in group]
            if shape is None:
                for pair in zip(references, group, strict=True):
                    logs[pair[1]] = np.array(
                        placement_differences(*(self.records[case]["timing"]["blocks"] for case in pair))
                    )
            else:
                quotients = self._stacked(references, shape) / self._stacked(group, shape)
                logs.update(zip(group, _medians(np.log(quotients)), strict=True))
        return logs

    def _reference(self, case: str) -> str:
        """The case's reference if its blocks pair with the case's own; else empty."""
        speedups = self.records[case]["speedups"]
        reference = next((speedup["against"] for speedup in speedups if speedup["knob"] == "reference"), "")
        if reference not in self.records:
            return ""
        if self._shapes[case] is not None:
            return reference if self._shapes[case] == self._shapes[reference] else ""
        theirs, own = (self.records[name]["timing"]["blocks"] for name in (reference, case))
        return reference if list(map(len, theirs)) == list(map(len, own)) else ""

    def _by_shape(self, cases: Sequence[str]) -> Iterator[tuple[Shape, list[int]]]:
        """(placements, rounds) with the indices of the cases that have them; None where rounds differ in number."""
        shapes = [self._shapes[case] for case in cases]
        return ((shapes[indices[0]], indices) for indices in _alike(shapes))

    def _stacked(self, cases: Sequence[str], shape: tuple[int, int]) -> Array:
        """A copy of the blocks of these cases: cases × placements × rounds."""
        starts = np.array([self._starts[case] for case in cases])
        blocks: Array = self._seconds[starts[:, None] + np.arange(shape[0] * shape[1])]
        return blocks.reshape(-1, *shape)


def _shape(blocks: Sequence[Sequence[float]]) -> Shape:
    return (len(blocks), len(blocks[0])) if len(set(map(len, blocks))) == 1 else None


def _alike(keys: Iterable[Key]) -> Iterable[list[int]]:
    """The indices of equal keys, a list for each key."""
    groups: dict[Key, list[int]] = {}
    for index, key in enumerate(keys):
        groups.setdefault(key, []).append(index)
    return groups.values()


def _medians(values: Array) -> Array:
    """The medians over the last axis; sorts the values along it in place."""
    values.sort(axis=-1)
    middle, odd = divmod(values.shape[-1], 2)
    return values[..., middle] if odd else (values[..., middle - 1] + values[..., middle]) / 2


def _noise(values: Array) -> Array:
    """The standard deviation of placements, row by row."""
    return values.std(axis=1, ddof=1) if values.shape[1] > 1 else np.zeros(len(values))


def _between_halves(values: Array) -> list[float]:
    """The median of a run's second half minus that of its first, as if they were two runs; row by row."""
    middle = values.shape[1] // 2
    if not middle:
        return [0.0] * len(values)
    differences: list[float] = (_medians(values[:, middle:].copy()) - _medians(values[:, :middle].copy())).tolist()
    return differences
