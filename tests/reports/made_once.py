"""Made-up runs that many tests start from are made once in a process; each test gets a copy of its own to spoil."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


def made_once(make: Callable[P, T]) -> Callable[P, T]:
    """Make what the same arguments give once, and return a new copy of it at each call."""
    known: dict[bytes, bytes] = {}

    @wraps(make)
    def copy(*args: P.args, **kwargs: P.kwargs) -> T:
        key = pickle.dumps((args, sorted(kwargs.items())))
        if key not in known:
            known[key] = pickle.dumps(make(*args, **kwargs))
        found: T = pickle.loads(known[key])
        return found

    return copy
