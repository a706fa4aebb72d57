"""Holds decoded JSON against the record's types in ``bench.engine.schema``; says which key is wrong.

The schema's own annotations are the rules, so that they cannot drift from what is checked here.
"""

from __future__ import annotations

import math
import types
from collections.abc import Callable, Iterable
from functools import lru_cache
from itertools import chain
from typing import Any, NotRequired, Union, get_args, get_origin, get_type_hints, is_typeddict

LARGEST_WHOLE_NUMBER = 2**63
LARGEST = 1e100  # beyond it, products and powers of what a record may hold are no numbers any more

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
    if not fits(expected)(value):
        _find_fault(value, expected, path)


def _find_fault(value: object, expected: Any, path: str) -> None:
    """The same, step by step with the path: slow, and decisive."""
    origin = get_origin(expected)
    if is_typeddict(expected):
        _check_record(value, expected, path)
    elif origin is list:
        if not isinstance(value, list):
            raise ContractError(f"{path}: expected a list, got {shown(value)}")
        (inner,) = get_args(expected)
        for index, item in enumerate(value):
            _find_fault(item, inner, f"{path}[{index}]")
    elif origin is dict:
        if not isinstance(value, dict):
            raise ContractError(f"{path}: expected an object, got {shown(value)}")
        _, inner = get_args(expected)
        for key, item in value.items():
            _check_scalar(key, (str,), f"{path}: a key")
            _find_fault(item, inner, f"{path}.{key}")
    else:
        kinds = get_args(expected) if origin in (Union, types.UnionType) else (expected,)
        containers = [kind for kind in kinds if is_typeddict(kind) or get_origin(kind)]
        if containers and isinstance(value, dict | list):
            _find_fault(value, containers[0], path)
        else:
            _check_scalar(value, kinds, path)


def _check_record(value: object, expected: Any, path: str) -> None:
    if not isinstance(value, dict):
        raise ContractError(f"{path}: expected an object, got {shown(value)}")
    for key, hint in _hints(expected).items():
        optional = get_origin(hint) is NotRequired
        if key in value:
            _find_fault(value[key], get_args(hint)[0] if optional else hint, f"{path}.{key}")
        elif not optional:
            raise ContractError(f"{path}.{key}: missing")


@lru_cache(maxsize=256)
def fits(expected: Any) -> Callable[[Any], bool]:
    """A quick test of whether decoded JSON is surely what ``expected`` says; False may still mean that it is.

    Files of ten thousand cases hold millions of numbers, nearly all of them right: paths are made only for the rest.
    """
    origin, arguments = get_origin(expected), get_args(expected)
    if is_typeddict(expected):
        return _fits_record(expected)
    if origin is list:
        if arguments[0] is float:
            return lambda value: type(value) is list and _small(value, value)
        if arguments[0] == list[float]:
            return _rows_of_floats
        if arguments[0] is int:
            return lambda value: type(value) is list and _whole(value)
        inner = fits(arguments[0])
        return lambda value: type(value) is list and all(map(inner, value))
    if origin is dict:
        inner = fits(arguments[1])
        return lambda value: type(value) is dict and all(map(_is_text, value)) and all(map(inner, value.values()))
    if origin in (Union, types.UnionType):
        kinds = tuple(map(fits, arguments))
        return lambda value: any(kind(value) for kind in kinds)
    return QUICK[expected]


def _fits_record(expected: Any) -> Callable[[Any], bool]:
    fields = [
        (key, optional, fits(get_args(hint)[0] if optional else hint))
        for key, hint in _hints(expected).items()
        for optional in (get_origin(hint) is NotRequired,)
    ]

    def test(value: Any) -> bool:
        if type(value) is not dict:
            return False
        for key, optional, fine in fields:
            if key in value:
                if not fine(value[key]):
                    return False
            elif not optional:
                return False
        return True

    return test


def _rows_of_floats(value: Any) -> bool:
    """Whether a list of lists is of floats within bounds; most of a file are block times."""
    if type(value) is not list or not all(type(row) is list for row in value):
        return False
    return _small(chain.from_iterable(value), chain.from_iterable(value))


def _small(values: Iterable[Any], again: Iterable[Any]) -> bool:
    """Whether all are floats, and within bounds: the sum of their sizes is only if all its parts are."""
    return set(map(type, values)) <= {float} and sum(map(abs, again)) < LARGEST


def _whole(values: list[Any]) -> bool:
    return set(map(type, values)) <= {int} and max(map(abs, values), default=0) < LARGEST_WHOLE_NUMBER


def _is_text(value: Any) -> bool:
    return type(value) is str and (value.isascii() or _is(value, str))


QUICK: dict[Any, Callable[[Any], bool]] = {
    str: _is_text,
    int: lambda value: type(value) is int and -LARGEST_WHOLE_NUMBER < value < LARGEST_WHOLE_NUMBER,
    float: lambda value: (type(value) is float and -LARGEST < value < LARGEST) or QUICK[int](value),
    bool: lambda value: type(value) is bool,
    type(None): lambda value: value is None,
}


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
