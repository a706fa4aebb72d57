"""Holds decoded JSON against the record's types in ``torchduet.bench.record.schema``; says which key is wrong.

The schema's own annotations are the rules, so that they cannot drift from what is checked here.
"""

from __future__ import annotations

import math
import types
from functools import lru_cache
from typing import Any, NotRequired, Union, get_args, get_origin, get_type_hints, is_typeddict

LARGEST_WHOLE_NUMBER = 2**63
LARGEST = 1e100  # beyond it, products and powers of what a record may hold are no numbers any more
LEAST = 1e-30  # and its inverse: no time, rate or ratio of anything lies beyond
MOST_PLACEMENTS = 512  # four times what a run stops at; comparing two cases takes the product of theirs

WORDS = {
    str: "text",
    int: "a whole number",
    float: "a finite number",
    bool: "true or false",
    type(None): "null",
}


class ContractError(ValueError):
    """A value that is not what the schema says; the message begins with its key path."""


def check(value: object, expected: Any, path: str) -> None:
    """Return if ``value`` is what ``expected`` (a TypedDict, list, dict, union or scalar) says.

    Keys that the schema does not know are let through: a later writer of the same version may add some.

    Raises:
        ContractError: with the path of the first key at fault, what was expected and what is there.
    """
    origin = get_origin(expected)
    if is_typeddict(expected):
        _check_record(value, expected, path)
    elif origin is list:
        if not isinstance(value, list):
            raise ContractError(f"{path}: expected a list, got {shown(value)}")
        (inner,) = get_args(expected)
        if inner is float and _all_small(value):
            return
        for index, item in enumerate(value):
            check(item, inner, f"{path}[{index}]")
    elif origin is dict:
        if not isinstance(value, dict):
            raise ContractError(f"{path}: expected an object, got {shown(value)}")
        _, inner = get_args(expected)
        for key, item in value.items():
            _check_scalar(key, (str,), f"{path}: a key")
            check(item, inner, f"{path}.{key}")
    else:
        kinds = get_args(expected) if origin in (Union, types.UnionType) else (expected,)
        containers = [kind for kind in kinds if is_typeddict(kind) or get_origin(kind)]
        if containers and isinstance(value, dict | list):
            check(value, containers[0], path)
        else:
            _check_scalar(value, kinds, path)


def _check_record(value: object, expected: Any, path: str) -> None:
    if not isinstance(value, dict):
        raise ContractError(f"{path}: expected an object, got {shown(value)}")
    for key, hint in _hints(expected).items():
        optional = get_origin(hint) is NotRequired
        if key in value:
            check(value[key], get_args(hint)[0] if optional else hint, f"{path}.{key}")
        elif not optional:
            raise ContractError(f"{path}.{key}: missing")


def _all_small(values: list[Any]) -> bool:
    """Whether all are floats within bounds, the sum of whose sizes is only if all its parts are: most of a file is."""
    return set(map(type, values)) <= {float} and sum(map(abs, values)) < LARGEST


@lru_cache(maxsize=64)
def _hints(record: Any) -> dict[str, Any]:
    return get_type_hints(record, include_extras=True)


def _check_scalar(value: object, kinds: tuple[Any, ...], path: str) -> None:
    if any(_is(value, kind) for kind in kinds):
        return
    words = [WORDS.get(kind, "an object") for kind in kinds]
    raise ContractError(f"{path}: expected {' or '.join(dict.fromkeys(words))}, got {shown(value)}")


def _is(value: object, kind: Any) -> bool:
    """Whether a scalar is of a kind: a bool is no number, text must be encodable, numbers finite."""
    if isinstance(value, bool):
        return kind is bool
    if isinstance(value, int):
        return kind in (int, float) and abs(value) < LARGEST_WHOLE_NUMBER
    if isinstance(value, float):
        return kind is float and -LARGEST < value < LARGEST
    if isinstance(value, str):
        return kind is str and not any("\ud800" <= character <= "\udfff" for character in value)
    return value is None and kind is type(None)


def shown(value: object) -> str:
    """A value in one short line, for an error message."""
    if isinstance(value, dict | list):
        return "an object" if isinstance(value, dict) else f"a list of {len(value)}"
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, int) and abs(value) >= LARGEST_WHOLE_NUMBER:
        return "a number beyond 64 bits"
    if isinstance(value, float) and LARGEST <= abs(value) < math.inf:
        return f"a number beyond {LARGEST:g}"
    text = ascii(value)
    return text if len(text) <= 60 else text[:57] + "..."
