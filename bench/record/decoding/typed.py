"""Decodes a run's file and checks it against the schema's types in one pass, for the many files that are valid.

msgspec does both in C, from the schema's own annotations. A file that it refuses is not explained here: its reader
decodes and checks it again, step by step, and names the path of the first error.
"""

from __future__ import annotations

import types
from functools import cache
from typing import (
    Annotated,
    Any,
    Literal,
    NotRequired,
    TypedDict,
    Union,
    get_args,
    get_origin,
    get_type_hints,
    is_typeddict,
)

import msgspec
from msgspec import Meta

from torchduet.bench.record.schema import OPEN, Length, Range, Record, RunRecord
from torchduet.bench.record.schema_check import LARGEST_WHOLE_NUMBER

# Narrower than ``schema_check``'s bounds: msgspec turns a whole number into a float where a float is expected.
MAX = float(LARGEST_WHOLE_NUMBER)
WHOLE = Annotated[int, Meta(ge=1 - LARGEST_WHOLE_NUMBER, le=LARGEST_WHOLE_NUMBER - 1)]
FINITE = Annotated[float, Meta(gt=-MAX, lt=MAX)]


class _Extra(TypedDict):
    torchduet: NotRequired[Record]


class _Benchmark(TypedDict):
    extra_info: NotRequired[_Extra]


class _Document(TypedDict):
    benchmarks: list[_Benchmark]
    torchduet: RunRecord
    commit_info: NotRequired[Any]


class _Machines(TypedDict):
    schema: int
    machines: dict[str, RunRecord]


class _OfSeveral(TypedDict):
    benchmarks: list[_Benchmark]
    torchduet: _Machines
    commit_info: NotRequired[Any]


SEVERAL = b'"machines"'  # is in every file of several machines


def decode_typed(content: bytes) -> Any:
    """The keys of a run's file that the schema names, with all numbers within bounds; None if anything is wrong.

    pytest-benchmark's own statistics are left out.
    """
    for document in (_OfSeveral, _Document) if SEVERAL in content else (_Document,):
        try:
            return _decoder(document).decode(content)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            continue
    return None


@cache
def _decoder(document: Any) -> msgspec.json.Decoder[Any]:
    return msgspec.json.Decoder(_bounded(document))


@cache
def _bounded(expected: Any) -> Any:
    """A type of the schema in msgspec's terms; its numbers have the bounds that ``schema_check`` checks."""
    origin, arguments = get_origin(expected), get_args(expected)
    if is_typeddict(expected):
        hints = get_type_hints(expected, include_extras=True).items()
        typed_dict: Any = TypedDict  # type checkers accept only literal names in a call of TypedDict
        return typed_dict(expected.__name__, {key: _bounded(hint) for key, hint in hints})
    if origin is NotRequired:
        return NotRequired[_bounded(arguments[0])]
    if origin is Annotated:
        return _with_rule(*arguments)
    if origin is Literal:
        return str if expected in OPEN else expected
    if origin in (Union, types.UnionType):
        return Union[tuple(map(_bounded, arguments))]  # noqa: UP007 (the number of members varies)
    if origin is not None:
        return origin[tuple(map(_bounded, arguments))]
    return {int: WHOLE, float: FINITE}.get(expected, expected)


def _with_rule(inner: Any, rule: Length | Range) -> Any:
    if isinstance(rule, Length):
        return Annotated[_bounded(inner), Meta(min_length=1, max_length=rule.most)]
    if inner is int:
        return Annotated[int, Meta(ge=int(rule.low), le=LARGEST_WHOLE_NUMBER - 1)]
    high = MAX if rule.high is None else min(MAX, rule.high)
    return Annotated[float, Meta(ge=rule.low, lt=high) if rule.ends else Meta(gt=rule.low, lt=high)]
