"""Bounds text that another process has sent, and writes its control characters as escapes. Standard library only."""

from __future__ import annotations

import dataclasses
import unicodedata
from typing import Any, TypeVar

MAX_TEXT = 2**14  # characters of a text: a longer one is cut
KEPT = "\n\t"
Value = TypeVar("Value")


class GarbageError(Exception):
    """What another process has sent is not a message; the text says why."""


def cleaned_text(text: str, limit: int = MAX_TEXT) -> str:
    """A text of at most ``limit`` characters whose control characters and direction marks are written as escapes.

    Line breaks, tabs and spaces of any width stay.
    """
    if len(text) > limit:
        text = text[:limit] + "…"
    if text.isprintable():
        return text
    return "".join(letter if _stays(letter) else ascii(letter)[1:-1] for letter in text)


def _stays(letter: str) -> bool:
    return letter.isprintable() or letter in KEPT or unicodedata.category(letter) == "Zs"


def cleaned(value: Value) -> Value:
    """A value with every text in it cleaned, in lists, tuples, objects and dataclasses."""
    changed: Any = _cleaned(value)
    return changed  # type: ignore[no-any-return]


def _cleaned(value: Any) -> Any:
    kind = type(value)
    if kind is str:
        return cleaned_text(value)
    if kind is list:
        return value if set(map(type, value)) <= {float} else [_cleaned(item) for item in value]
    if kind is tuple:
        return tuple(map(_cleaned, value))
    if kind is dict:
        return {_cleaned(key): _cleaned(item) for key, item in value.items()}
    if dataclasses.is_dataclass(value):
        old = {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
        new = {name: _cleaned(item) for name, item in old.items()}
        return dataclasses.replace(value, **new) if new != old else value  # type: ignore[type-var]
    return value
