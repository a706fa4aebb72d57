"""How much memory reading a file takes: no file is read that is too large for what this process may still use."""

from __future__ import annotations

from pathlib import Path

SMALL = 4 * 2**20  # bytes of a file that is read whatever memory there is
# Bytes of Python objects, measured: a number and its place in a list, an empty list, the table of a dictionary, and
# half of what a string takes beside its letters.
NUMBER, CONTAINER, TABLE, QUOTE = 40, 64, 170, 12


def needed(content: bytes) -> int:
    """Roughly the bytes that decoding JSON takes, its own text included."""
    commas, colons, quotes, objects, lists = map(content.count, (b",", b":", b'"', b"{", b"["))
    tables = TABLE * min(objects, colons)
    return 2 * len(content) + NUMBER * commas + QUOTE * quotes + CONTAINER * (objects + lists) + tables


def available(*folders: Path) -> int | None:
    """Bytes that this process may still use; see :func:`torchduet.suites.free_memory.available`."""
    from torchduet.suites import free_memory  # only for large files: importing the suites takes longer than small ones

    return free_memory.available(*folders)
