"""Checks decoded JSON against the record's types in ``torchduet.bench.record.schema`` and names the key at fault.

The schema's own annotations are the rules (types, words, bounds), so the two cannot drift apart.
"""

from __future__ import annotations

import math
import types
from functools import lru_cache
from typing import (
    Annotated,
    Any,
    Literal,
    NotRequired,
    Union,
    get_args,
    get_origin,
    get_type_hints,
    is_typeddict,
)

from torchduet.bench.record.schema import MIN, OPEN, Length, Range

LARGEST_WHOLE_NUMBER = 2**63
LARGEST = 1e100  # beyond it, products and powers of recorded numbers overflow

WORDS = {
    str: "text",
    int: "a whole number",
    float: "a finite number",
    bool: "true or false",
    type(None): "null",
}


class ContractError(ValueError):
    """A value that the schema does not allow; the message begins with its key path."""


def check(value: object, expected: Any, path: str) -> None:
    """Return if ``value`` matches ``expected`` (a TypedDict, list, dict, union, scalar, Literal or Annotated).

    Keys that the schema lacks are allowed: a later writer of the same version may add some.

    Raises:
        ContractError: ``value`` does not match; the message has the path of the first key at fault, what was
            expected and what is there.
    """
    origin = get_origin(expected)
    if is_typeddict(expected):
        _check_record(value, expected, path)
    elif origin is Annotated:
        inner, *rules = get_args(expected)
        check(value, inner, path)
        for rule in rules:
            check_rule(value, rule, path)
    elif origin is Literal:
        _check_word(value, expected, path)
    elif origin is list:
        if not isinstance(value, list):
            raise ContractError(f"{path}: expected a list, got {shown(value)}")
        (inner,) = get_args(expected)
        if _all_fit(value, inner):
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
        containers = [kind for kind in kinds if is_typeddict(kind) or get_origin(kind) not in (None, Annotated)]
        if containers and isinstance(value, dict | list):
            check(value, containers[0], path)
            return
        bounded = [kind for kind in kinds if get_origin(kind) is Annotated]
        _check_scalar(value, tuple(get_args(kind)[0] if kind in bounded else kind for kind in kinds), path)
        if bounded and value is not None:
            check(value, bounded[0], path)


def _check_record(value: object, expected: Any, path: str) -> None:
    if not isinstance(value, dict):
        raise ContractError(f"{path}: expected an object, got {shown(value)}")
    for key, hint in hints(expected).items():
        optional = get_origin(hint) is NotRequired
        if key in value:
            check(value[key], get_args(hint)[0] if optional else hint, f"{path}.{key}")
        elif not optional:
            raise ContractError(f"{path}.{key}: missing")


def check_rule(value: Any, rule: Length | Range, path: str) -> None:
    """Return if a number, or a list's length, is within its bounds.

    Raises:
        ContractError: it is not.
    """
    if isinstance(rule, Length):
        if not value:
            raise ContractError(f"{path}: expected at least one {rule.of}")
        if rule.most is not None and len(value) > rule.most:
            raise ContractError(f"{path}: expected at most {rule.most} {rule.of}s, got {len(value)}")
    elif not _within(value, rule):
        if not rule.ends:
            raise ContractError(f"{path}: expected a number between {rule.low:g} and {rule.high:g}, got {value}")
        if rule.low == MIN and value <= 0:
            raise ContractError(f"{path}: expected a number above 0, got {value}")
        to = "" if rule.high is None else f" to {rule.high:g}"
        raise ContractError(f"{path}: expected a number from {rule.low:g}{to}, got {value}")


def _within(value: float, rule: Range) -> bool:
    high = math.inf if rule.high is None else rule.high
    return rule.low <= value <= high if rule.ends else rule.low < value < high


def _check_word(value: object, expected: Any, path: str) -> None:
    _check_scalar(value, (str,), path)
    if expected not in OPEN and value not in get_args(expected):
        raise ContractError(f"{path}: expected one of {', '.join(get_args(expected))}, got {shown(value)}")


def _all_fit(values: list[Any], expected: Any) -> bool:
    """Whether all values are floats within bounds, as most of a file is.

    If the sum of their magnitudes is below the limit, so is each of them.
    """
    inner, *rules = get_args(expected) if get_origin(expected) is Annotated else (expected,)
    return (
        inner is float
        and set(map(type, values)) <= {float}
        and sum(map(abs, values)) < LARGEST
        and all(_within(extreme, rule) for rule in rules if values for extreme in (min(values), max(values)))
    )


@lru_cache(maxsize=64)
def hints(record: Any) -> dict[str, Any]:
    """The types of a record's keys, with their bounds; evaluated once, which takes a tenth of a millisecond."""
    return get_type_hints(record, include_extras=True)


def _check_scalar(value: object, kinds: tuple[Any, ...], path: str) -> None:
    if any(_is(value, kind) for kind in kinds):
        return
    words = [WORDS.get(kind, "an object") for kind in kinds]
    raise ContractError(f"{path}: expected {' or '.join(dict.fromkeys(words))}, got {shown(value)}")


def _is(value: object, kind: Any) -> bool:
    """Whether a scalar is of a kind; a bool is no number, text must be encodable, numbers must be finite."""
    if isinstance(value, bool):
        return kind is bool
    if isinstance(value, int):
        return kind in (int, float) and abs(value) < LARGEST_WHOLE_NUMBER
    if isinstance(value, float):
        return kind is float and -LARGEST < value < LARGEST
    if isinstance(value, str):
        return kind is str and (value.isascii() or not any("\ud800" <= character <= "\udfff" for character in value))
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
