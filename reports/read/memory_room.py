"""How much memory reading a file takes: no file is read that is too large for what this process may still use."""

from __future__ import annotations

from torchduet.suites.free_memory import available as available

SMALL = 4 * 2**20  # bytes of a file that is read whatever memory there is
# Bytes of Python objects, measured: a number and its place in a list, an empty list, the table of a dictionary, and
# half of what a string takes beside its letters.
NUMBER, CONTAINER, TABLE, QUOTE = 40, 64, 170, 12


def needed(content: bytes) -> int:
    """Roughly the bytes that decoding JSON takes, its own text included."""
    commas, colons, quotes, objects, lists = map(content.count, (b",", b":", b'"', b"{", b"["))
    tables = TABLE * min(objects, colons)
    return 2 * len(content) + NUMBER * commas + QUOTE * quotes + CONTAINER * (objects + lists) + tables
