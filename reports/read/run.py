"""A run as its file records it: what all reports are made of."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from torchduet.bench.record.schema import NotMeasured, Record, RunRecord


class RunFileError(Exception):
    """A file that cannot be used; the message is one line: the file, what is wrong, what to do."""


@dataclass(frozen=True)
class Run:
    """One run as its file records it, checked.

    Attributes:
        name: the file's name, without its folder.
        about: the run as a whole.
        records: one per measured case, in the order of the file.
        other_benchmarks: how many benchmarks in the file are not Torchduet's.
        commit: id of the commit that was checked out, with ``-dirty`` if it had changes; empty if there was none.
        folder: the file's folder; paths of traces are relative to it.
        unreadable: cases of the file whose records cannot be read; they are among those that failed, too.
        machine: key of its machine; empty if it was not read from a file.
    """

    name: str
    about: RunRecord
    records: tuple[Record, ...]
    other_benchmarks: int = 0
    commit: str = ""
    folder: Path = Path()
    unreadable: tuple[NotMeasured, ...] = ()
    machine: str = ""
