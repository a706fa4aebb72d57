"""Decodes a run's file and holds it against the schema's types in one pass, for the many files that are right.

msgspec does both in C from the schema's own annotations. Whatever it refuses is none of its business to explain:
``load`` decodes and checks it again, step by step, with the path of what is wrong.
"""

from __future__ import annotations

import re
from functools import cache
from typing import Any, NotRequired, TypedDict

import msgspec

from bench.engine.schema import Record, RunRecord

# Only with three digits of exponent, or 19 before the point, is a number beyond what ``contract`` lets through.
# One pattern for each first letter, which is searched for many times faster than either.
PERHAPS_TOO_LARGE = tuple(
    map(re.compile, (rb"e\+?[0-9]{3,}[\s,\]}]", rb"E\+?[0-9]{3,}[\s,\]}]", rb"[\s:,\[-][0-9]{19}"))
)


class _Extra(TypedDict):
    torchduet: NotRequired[Record]


class _Benchmark(TypedDict):
    extra_info: NotRequired[_Extra]


class _Document(TypedDict):
    benchmarks: list[_Benchmark]
    torchduet: RunRecord
    commit_info: NotRequired[Any]


@cache
def _decoder() -> msgspec.json.Decoder[_Document]:
    return msgspec.json.Decoder(_Document)


def typed(content: bytes) -> _Document | None:
    """What a run's file holds of what the schema knows; None where a type is wrong, or may be.

    pytest-benchmark's own statistics are left out.
    """
    if any(pattern.search(content) for pattern in PERHAPS_TOO_LARGE):
        return None
    try:
        return _decoder().decode(content)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
