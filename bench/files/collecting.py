"""Switches off Python's search for cycles while many objects are made."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def without_collecting() -> Iterator[None]:
    """No search for garbage in cycles, in a ``with`` or as a decorator; afterwards it is as it was.

    Reading runs and making a page creates up to millions of objects, hardly any in cycles: the search took a tenth of
    the time of a quick run's page, and doubles that of reading a trace.
    """
    collecting = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collecting:
            gc.enable()
