"""Groups reasons that differ in their figures alone, so that ten cases too slow for a budget are one line."""

from __future__ import annotations

import re
from collections.abc import Iterable

# A number with its unit, so that 900 ms and 1.2 s are not taken for a range; a number within a name is none.
FIGURE = re.compile(r"(?<![\w.\-\[=])(\d[\d,]*(?:\.\d+)?)( (?:ns|µs|ms|s|min|h|[kKMGT]i?B|%)\b| %)?")


def grouped(reasons: Iterable[str]) -> dict[str, list[int]]:
    """The reasons in the order of their first appearance, each in words for all of its group → their positions.

    In the words of a group, figures that differ are ranges: ``one call takes 0.12 to 0.55 s``.
    """
    groups: dict[str, list[tuple[int, str]]] = {}
    for index, reason in enumerate(reasons):
        shape = FIGURE.sub(lambda figure: f"\0{figure[2] or ''}", reason)
        groups.setdefault(shape, []).append((index, reason))
    return {_ranges([reason for _, reason in members]): [index for index, _ in members] for members in groups.values()}


def _ranges(reasons: list[str]) -> str:
    """The words of reasons of one shape, with a range for each figure that differs."""
    figures = zip(*([figure[1] for figure in FIGURE.finditer(reason)] for reason in reasons), strict=True)
    ranges = iter([_range(values) for values in figures])
    return FIGURE.sub(lambda figure: f"{next(ranges)}{figure[2] or ''}", reasons[0])


def _range(values: tuple[str, ...]) -> str:
    ordered = sorted(set(values), key=lambda value: float(value.replace(",", "")))
    return ordered[0] if len(ordered) == 1 else f"{ordered[0]} to {ordered[-1]}"
