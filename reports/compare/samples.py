"""From cases' records in two runs to the samples that are compared, and the questions they make; many at once.

Cases with as many placements and rounds go through numpy together, so that ten thousand cost little more than one.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain
from statistics import median
from typing import TypeVar

import numpy as np

from bench.engine.estimate import placement_differences
from bench.engine.schema import Record
from reports.compare.leave_out import Array
from reports.compare.spread import Residual
from reports.compare.two_sample import shifts
from reports.compare.verdicts import Question

Blocks = Sequence[Sequence[float]]
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


def log_times(records: Sequence[Record]) -> list[Array]:
    """For each record, per placement the log of its median block."""
    blocks = [record["timing"]["blocks"] for record in records]
    found: list[Array] = [np.empty(0)] * len(blocks)
    for shape, places in _by_shape(blocks):
        if shape is None:
            for place in places:
                found[place] = np.array([math.log(median(rounds)) for rounds in blocks[place]])
        else:
            for place, values in zip(places, np.log(_medians(_stacked(blocks, places, shape))), strict=True):
                found[place] = values
    return found


def log_speedups(cases: Sequence[str], records: Mapping[str, Record]) -> dict[str, Array]:
    """For each case, per placement the log speed-up over its reference; none without one timed in alternation."""
    held = [(case, against) for case in cases if (against := _against(case, records))]
    own, reference = (
        [records[one]["timing"]["blocks"] for one in side] for side in list(zip(*held, strict=True)) or ((), ())
    )
    found: dict[str, Array] = {}
    for shape, places in _by_shape(own):
        if shape is None:
            for place in places:
                found[held[place][0]] = np.array(placement_differences(reference[place], own[place]))
        else:
            quotients = _stacked(reference, places, shape) / _stacked(own, places, shape)
            for place, values in zip(places, _medians(np.log(quotients)), strict=True):
                found[held[place][0]] = values
    return found


def _against(case: str, records: Mapping[str, Record]) -> str:
    """The case's reference, if its blocks pair with the case's own."""
    held = [one["against"] for one in records[case]["speedups"] if one["knob"] == "reference"]
    if not held or held[0] not in records:
        return ""
    reference, own = (records[one]["timing"]["blocks"] for one in (held[0], case))
    return held[0] if list(map(len, reference)) == list(map(len, own)) else ""


def _alike(keys: Iterable[Key]) -> Iterable[list[int]]:
    """The places of keys that are the same."""
    groups: dict[Key, list[int]] = {}
    for place, key in enumerate(keys):
        groups.setdefault(key, []).append(place)
    return groups.values()


def _by_shape(blocks: Sequence[Blocks]) -> Iterator[tuple[tuple[int, int] | None, list[int]]]:
    """(placements, rounds) with the places of those that have them; None where rounds differ in number."""
    shapes = [(len(one), len(one[0])) if len(set(map(len, one))) == 1 else None for one in blocks]
    return ((shapes[places[0]], places) for places in _alike(shapes))


def _stacked(blocks: Sequence[Blocks], places: Sequence[int], shape: tuple[int, int]) -> Array:
    """The blocks at these places as one array: cases × placements × rounds."""
    flat = chain.from_iterable(rounds for place in places for rounds in blocks[place])
    return np.fromiter(flat, np.float64, len(places) * shape[0] * shape[1]).reshape(len(places), *shape)


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
    halves: Array = _medians(values[:, middle:].copy()) - _medians(values[:, :middle].copy())
    return halves.tolist()
