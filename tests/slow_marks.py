"""Which tests the entries of ``tests/slow.py`` mean."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence

from tests.slow import SLOW


def is_slow(entries: Sequence[str], name: str, case: int) -> bool:
    """Whether the entries of a file mean a test.

    Args:
        name: of the test, with the brackets of its parameters.
        case: its place among the cases of its function, from 0.
    """
    function = name.partition("[")[0]
    if f"-{function}" in entries or f"-{name}" in entries:
        return False
    for entry in entries:
        first = re.fullmatch(r"(\w+)\[(\d+):\]", entry)
        if entry in ("*", function, name) or (first and first[1] == function and case >= int(first[2])):
            return True
    return False


def slow_among(tests: Iterable[tuple[str, str]]) -> list[bool]:
    """For each test, given as its file below ``tests/`` and its name: whether it is slow."""
    before: Counter[tuple[str, str]] = Counter()
    found = []
    for file, name in tests:
        function = file, name.partition("[")[0]
        found.append(is_slow(SLOW.get(file, ()), name, before[function]))
        before[function] += 1
    return found
