"""Keeps figures about this machine in the user's cache folder, one file per kind, where later runs find them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar, cast

from torchduet.bench.files.regular import read_text
from torchduet.bench.host.atomic_files import write_json
from torchduet.bench.host.cache_folder import cache_folder
from torchduet.bench.record.schema import DuetCheckRecord, ReproductionRecord, RunRecord

SAME = ("cpu", "cores", "torch", "gpu")  # facts that identify a machine

F = TypeVar("F", bound=Mapping[str, Any])


@dataclass(frozen=True)
class Kept(Generic[F]):
    """One kind of figures, kept by machine, PyTorch and number of threads.

    Attributes:
        file: its name in the cache folder.
        marker: a key that every entry has, by which the file is told from any other.
        needs: a key without which an entry of an earlier version is not returned.
        again: the command that measures them.
    """

    file: str
    marker: str
    needs: str
    again: str

    def last(self, machine: Mapping[str, Any], threads: int, folder: Path | None = None) -> F | None:
        """The figures last measured on this machine with this PyTorch and number of threads.

        Raises:
            ValueError: the file cannot be read; the message names it.
        """
        path = (folder or cache_folder()) / self.file
        try:
            return next(
                (entry for entry in self._read(path) if self.needs in entry and _same(entry, machine, threads)), None
            )
        except (OSError, ValueError) as error:
            raise ValueError(f"{path}: {error}; remove it, and measure again with {self.again}") from None

    def save(self, figures: F, folder: Path | None = None) -> Path:
        """Replace the earlier figures of the same machine, completely or not at all; returns the file.

        Raises:
            OSError: it cannot be written.
        """
        folder = folder or cache_folder()
        path = folder / self.file
        folder.mkdir(parents=True, exist_ok=True)
        try:
            of_others = [entry for entry in self._read(path) if not _same(entry, figures, figures["threads"])]
        except ValueError:
            of_others = []  # a damaged file is replaced
        write_json([figures, *of_others], path)
        return path

    def _read(self, path: Path) -> list[F]:
        """The figures in the file.

        Raises:
            ValueError: it is not a file that this class writes.
        """
        try:
            entries = json.loads(read_text(path))
        except (FileNotFoundError, NotADirectoryError):
            return []
        if not isinstance(entries, list) or not all(
            isinstance(entry, dict) and self.marker in entry for entry in entries
        ):
            raise ValueError("not a list of such figures")
        return cast("list[F]", entries)


def _same(figures: Mapping[str, Any], machine: Mapping[str, Any], threads: int) -> bool:
    return figures.get("threads") == threads and all(figures.get(name) == machine.get(name) for name in SAME)


REPRODUCTION = Kept[ReproductionRecord](
    "reproduction.json", marker="disjoint", needs="groups", again="torchduet selfcheck reproduce"
)
DUET_CHECK = Kept[DuetCheckRecord](
    "duet_check.json", marker="false_alarms", needs="confirmed", again="torchduet selfcheck duet"
)


def add_last(record: RunRecord, machine: Mapping[str, Any], threads: int) -> None:
    """Add to a run's record what was last measured of reproduction and of duets; a warning where that is unreadable."""
    reproduction = _last_or_warning(REPRODUCTION, machine, threads, record["warnings"])
    duet_check = _last_or_warning(DUET_CHECK, machine, threads, record["warnings"])
    if reproduction is not None:
        record["reproduction"] = reproduction
    if duet_check is not None:
        record["duet_check"] = duet_check


def _last_or_warning(kept: Kept[F], machine: Mapping[str, Any], threads: int, warnings: list[str]) -> F | None:
    try:
        return kept.last(machine, threads)
    except ValueError as error:
        warnings.append(str(error))
        return None
