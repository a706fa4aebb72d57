"""What many tests start from is made once in a process: made-up runs, of which each test gets a copy of its own to
spoil, and charts, which depend on nothing but what is drawn."""

from __future__ import annotations

import hashlib
import pickle
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from importlib import import_module
from typing import ParamSpec, TypeVar

import pytest

P = ParamSpec("P")
T = TypeVar("T")


def made_once(make: Callable[P, T]) -> Callable[P, T]:
    """Make what the same arguments give once, and return a new copy of it at each call."""
    known: dict[bytes, bytes] = {}

    @wraps(make)
    def copy(*args: P.args, **kwargs: P.kwargs) -> T:
        key = hashlib.sha256(pickle.dumps((args, sorted(kwargs.items())))).digest()
        if key not in known:
            known[key] = pickle.dumps(make(*args, **kwargs))
        found: T = pickle.loads(known[key])
        return found

    return copy


CHARTS = {  # module → its functions that draw
    "torchduet.reports.charts.bars": ("columns", "waterfall"),
    "torchduet.reports.charts.forest": ("forest",),
    "torchduet.reports.charts.ranges": ("ranges",),
    "torchduet.reports.charts.ranks": ("bandwidth", "efficiency"),
    "torchduet.reports.charts.scaling": ("scaling",),
    "torchduet.reports.history.chart": ("pilot_chart",),
}


@contextmanager
def charts_drawn_once() -> Iterator[None]:
    """Charts of the same values are drawn by matplotlib once, wherever the pages ask for them in this process."""
    with pytest.MonkeyPatch.context() as patch:
        for module, names in CHARTS.items():
            for name in names:
                draw = getattr(import_module(module), name)
                once = made_once(draw)
                for holder in [held for held in sys.modules.values() if held.__name__.startswith("torchduet.reports")]:
                    if vars(holder).get(name) is draw:
                        patch.setattr(holder, name, once)
        yield
