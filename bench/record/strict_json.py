"""Makes values that every JSON reader accepts: no NaN or infinity, only text that can be encoded, plain numbers."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from typing import Any

_PLAIN = (bool, int, float, str)


def strict(value: Any) -> Any:
    """``value`` with null for NaN and infinity, escapes for lone surrogates, and Python's numbers for NumPy's.

    Anything else is left as it is. Lists and objects are copied only if something in them changes.
    """
    kind = type(value)
    if kind is float:
        return value if math.isfinite(value) else None
    if kind is str:
        return encodable(value)
    if value is None or kind in (bool, int):
        return value
    if isinstance(value, dict):
        changed = {_key(key): strict(item) for key, item in value.items()}
        same = len(changed) == len(value) and all(
            key is before and item is value[before] for (key, item), before in zip(changed.items(), value, strict=True)
        )
        return value if same else changed
    if isinstance(value, list | tuple):
        if kind is list and _are_finite(value):
            return value
        items = [strict(item) for item in value]
        return value if all(map(lambda one, other: one is other, items, value)) else items
    return _number(value)


def encodable(text: str) -> str:
    """Text without lone surrogates, which UTF-8 cannot encode; they are written as escapes."""
    if text.isascii():
        return text
    changed = text.encode("utf-8", "backslashreplace").decode()
    return text if changed == text else changed


def dumps(value: Any) -> str:
    """``value`` as compact JSON that every reader accepts.

    Raises:
        TypeError: there is something in it that JSON cannot hold.
    """
    try:
        text = json.dumps(value, separators=(",", ":"), allow_nan=False)
    except ValueError:
        return json.dumps(strict(value), separators=(",", ":"), allow_nan=False)
    # Every character beyond ASCII is an escape here; only pairs of surrogates are characters.
    return json.dumps(strict(value), separators=(",", ":"), allow_nan=False) if "\\ud" in text else text


def _key(key: Any) -> Any:
    return encodable(key) if isinstance(key, str) else key


def _are_finite(values: Sequence[Any]) -> bool:
    """Whether all values are finite floats, as in the long lists of a file."""
    return set(map(type, values)) <= {float} and math.isfinite(sum(values))


def _number(value: Any) -> Any:
    """A NumPy or PyTorch scalar as Python's number; anything else unchanged."""
    if isinstance(value, _PLAIN):  # a subclass, such as NumPy's float64 or an enumeration's member
        base = next(kind for kind in _PLAIN if isinstance(value, kind))
        return strict(base(value))
    item = getattr(value, "item", None)
    if callable(item) and getattr(value, "shape", None) == ():
        number = item()
        return strict(number) if isinstance(number, _PLAIN) else value
    return value
