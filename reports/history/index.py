"""Keeps what was read of a folder's runs in one Parquet file, so that thousands of runs open in a second.

Parquet and not a database: the index has one writer, is always read as a whole and never asked a question that needs
an engine; a file that is replaced by renaming is never half-written and needs no lock (two reports at a time each
write a whole one, the last wins, and what the other added is read again); and any tool can open it. It holds a row
per file, with a list per column for the run's cases, so that adding a run reads that run alone.

The runs' JSON files stay the source of truth: a row counts only while its file has the same size and time of change,
and whatever is wrong with the index, it is made anew.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from torchduet.bench.record.schema import SCHEMA
from torchduet.reports.history.reader import FIELDS, RUN, Entry
from torchduet.reports.text.settings import FILTERS

NAME = "torchduet-history.parquet"
VERSION = f"3 {','.join(FILTERS)}".encode()  # of the columns and of what they mean; a change makes every index anew
MARK, READER = b"torchduet.history", b"torchduet.reader"


def _version() -> str:
    """Torchduet's own; empty where it is not installed but run as it is."""
    try:
        return version("torchduet")
    except PackageNotFoundError:
        return ""


_TEXT, _TEXTS, _NUMBERS = pa.string(), pa.list_(pa.string()), pa.list_(pa.float64())
_TYPES = {
    **dict.fromkeys(("path", "kind", "why", "content", "started", "commit", "grade", "facts"), _TEXT),
    **dict.fromkeys(("size", "modified"), pa.int64()),
    "when": pa.float64(),
    **dict.fromkeys(("case", "about", "against", "pilot_family", "pilot_kind"), _TEXTS),
    "reference": pa.list_(pa.bool_()),
    **dict.fromkeys(("seconds", "low", "high", "speedup", "speedup_low", "speedup_high", "pilot_seconds"), _NUMBERS),
}
# What one version cannot read another may: such files are read again by it, and the runs stay.
COLUMNS = pa.schema(
    [(name, _TYPES[name]) for name in FIELDS],
    metadata={MARK: VERSION, READER: f"{_version()} {SCHEMA}".encode()},
)


@dataclass(frozen=True)
class Kept:
    """What an index held.

    Attributes:
        table: a row per file; empty if there was no index, or none that can be used.
        note: why it was not used; empty where all is well.
    """

    table: pa.Table
    note: str = ""


def stored(folder: Path) -> Kept:
    """The index of a folder, beside the runs or in the user's cache: the later one, where a folder became read-only."""
    place = max(filter(Path.is_file, places(folder)), key=_modified, default=None)
    if place is None:
        return Kept(COLUMNS.empty_table())
    try:
        found = pq.read_table(place, page_checksum_verification=True)
        known = found.schema.metadata or {}
        if known.get(MARK) != VERSION:
            return Kept(COLUMNS.empty_table(), f"{place}: was made by another version; all runs are read again")
        table = found.select(list(FIELDS)).cast(COLUMNS)
        if known.get(READER) != COLUMNS.metadata[READER]:
            table = table.filter(pc.equal(table["kind"], RUN))
        return Kept(table)
    except (pa.ArrowException, OSError, KeyError, ValueError) as error:
        reason = " ".join(str(error).split())[:120]
        return Kept(COLUMNS.empty_table(), f"{place}: cannot be used ({reason}); all runs are read again")


def _modified(place: Path) -> float:
    try:
        return place.stat().st_mtime
    except OSError:
        return 0.0


def table_of(entries: Sequence[Entry]) -> pa.Table:
    """Entries as rows."""
    columns = {name: [getattr(one, name) for one in entries] for name in FIELDS}
    return pa.table({name: pa.array(column, _TYPES[name]) for name, column in columns.items()}, schema=COLUMNS)


def keep(table: pa.Table, folder: Path) -> str:
    """Write the index, whole or not at all; returns a note where it could be kept nowhere."""
    reason = ""
    for place in places(folder):
        try:
            if place.parent != folder:
                place.parent.mkdir(parents=True, exist_ok=True)
            _replace(table, place)
        except OSError as error:
            reason = reason or f"{place}: cannot be written: {error.strerror or error}"
            continue
        return ""
    return f"{reason}; without an index, all runs are read again next time"


def places(folder: Path) -> list[Path]:
    """Where an index may lie: with the runs, or in the user's cache if nothing can be written there."""
    digest = hashlib.sha256(str(folder.resolve()).encode("utf-8", "surrogateescape")).hexdigest()[:16]
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "torchduet" / "history"
    return [folder / NAME, cache / f"{digest}.parquet"]


def _replace(table: pa.Table, target: Path) -> None:
    handle, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.stem}-", suffix=".part")
    temporary = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            pq.write_table(table, file, compression="zstd", write_page_checksum=True)
            file.flush()
            os.fsync(file.fileno())
        mask = os.umask(0)
        os.umask(mask)
        temporary.chmod(0o666 & ~mask)
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)
