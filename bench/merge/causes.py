"""Names the causes of noise of several parts once each: at their worst, and in how many parts they held."""

from __future__ import annotations

import re
from collections.abc import Sequence

from torchduet.bench.record.machines.parts import label_of
from torchduet.bench.record.schema import NoiseRecord, PartRecord

_WHERE = re.compile(r" \((?:at worst; )?in [^()]* families\)$")  # what a run says of its families
_NUMBER = re.compile(r"\d[\d,]*(?:\.\d+)?")


def in_all_parts(noisy: Sequence[tuple[PartRecord, NoiseRecord]], number: int) -> list[str]:
    """The causes of the parts, those that differ in figures alone as one.

    Args:
        noisy: the parts that were not quiet, the noisiest first; their causes are in this order, too.
        number: of all parts.

    Returns:
        Each cause with the figures of the part where it was worst, that part, and how many parts had it.
    """
    groups: dict[str, list[tuple[PartRecord, str]]] = {}
    for part, noise in noisy:
        for cause in noise["causes"]:
            groups.setdefault(_kind(cause), []).append((part, cause))
    return [_at_worst(group, number) for group in groups.values()]


def _at_worst(group: Sequence[tuple[PartRecord, str]], number: int) -> str:
    part, cause = max(group, key=lambda entry: _severity(entry[1]))
    parts = len({id(each) for each, _ in group})
    if parts == 1:
        return f"{cause} ({label_of(part)})"
    also = f"{f'all {number}' if parts == number else f'{parts} of {number}'} parts, most in {label_of(part)}"
    return f"{cause.removesuffix(')')}; in {also})" if _WHERE.search(cause) else f"{cause} (in {also})"


def _kind(cause: str) -> str:
    """A cause's words without its figures: ``factor of 3`` is a share as ``200 %`` is."""
    words = _WHERE.sub("", cause)
    return _NUMBER.sub("#", re.sub(r"a factor of (?:over )?([\d.,]+)", r"\1 %", words))


def _severity(cause: str) -> float:
    """The first figure of a cause, of which more is worse; of two clocks, how far they lie apart."""
    words = _WHERE.sub("", cause)
    figures = [float(figure.replace(",", "")) for figure in _NUMBER.findall(words)]
    if not figures:
        return 0.0
    if " between " in words and len(figures) > 1 and figures[0]:
        return figures[1] / figures[0]
    times = re.search(r"a factor of (?:over )?([\d.,]*\d)", words)
    return 100 * (float(times[1].replace(",", "")) - 1) if times else figures[0]
