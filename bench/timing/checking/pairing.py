"""Which value of a result is compared with which of the reference, and whether both are of one kind and shape."""

from __future__ import annotations

from collections.abc import Callable

import torch

from torchduet.bench.timing.checking.compare import shape, shape_varies
from torchduet.bench.timing.checking.dense import CheckError
from torchduet.bench.timing.checking.reference import Reference
from torchduet.bench.timing.checking.results import ROOT, Part, Results

MAX_NAMES = 3


def kind(part: Part) -> str:
    value = part.value
    if isinstance(value, str):
        return "text"
    if value.is_complex():
        return "complex"
    return "real" if value.is_floating_point() else "boolean" if value.dtype == torch.bool else "whole"


def where(part: Part) -> str:
    return "" if part.path == ROOT else f" in {part.path}"


def pair(results: Results, reference: Results) -> list[tuple[Part, Part]]:
    """Each value with the reference's: by name, or by position where one of the two has no names.

    Raises:
        CheckError: one has a value that the other has not.
    """
    if results.keys() == reference.keys():
        return [(part, reference[path]) for path, part in results.items()]
    by_name = all(any(part.named for part in parts.values()) for parts in (results, reference))
    if not by_name and len(results) == len(reference):
        return list(zip(results.values(), reference.values(), strict=True))
    missing = [path for path in reference if path not in results]
    extra = [path for path in results if path not in reference]
    lists = [
        f"{verb} {', '.join(paths[:MAX_NAMES])}{' …' if len(paths) > MAX_NAMES else ''}"
        for verb, paths in (("lacks", missing), ("has", extra))
        if paths
    ]
    raise CheckError(f"its result {' and '.join(lists)}, unlike the reference; return the same names, or use observe=")


def same_form(actual: Part, expected: Part, reference: Reference, random: Callable[[], Results | None] | None) -> None:
    """Refuse another shape or kind of value, unless the shape itself is random or decided by rounding."""
    kinds = kind(actual), kind(expected)
    numbers = {"real", "whole", "boolean"}
    if kinds[0] != kinds[1] and not ((actual.python or expected.python) and set(kinds) <= numbers):
        raise CheckError(f"it returned {kinds[0]} values{where(actual)}, the float64 reference {kinds[1]} values")
    shapes = shape(actual), shape(expected)
    if shapes[0] == shapes[1]:
        return
    other = (random() or {}).get(expected.path) if random is not None else None
    if other is None or shape(other) == shapes[1] or len(shapes[0]) != len(shapes[1]):
        if random is None and shape_varies(expected, reference):
            return
        raise CheckError(
            f"it returned other shapes than the float64 reference{where(actual)}: {shapes[0]}, not {shapes[1]}"
        )
