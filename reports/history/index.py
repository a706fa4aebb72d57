"""Stores what was read of a folder's runs in one Parquet file, so that thousands of runs open in a second.

It is a Parquet file and not a database: it is always read as a whole, no query needs an engine, and any tool can open
it. A file that is replaced by renaming is never half-written and needs no lock: two reports at a time each write a
complete one, the last wins, and the other's additions are read again. It holds a row per run, with a list per column
for the run's cases, so that adding a run reads that run only.

The runs' JSON files stay the source of truth: a row counts only while its file has the same size and modification time.
An index with any fault is rebuilt.
"""

from __future__ import annotations

import hashlib
import io
import os
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from torchduet.bench.files.atomic import real_path, status_of, write_atomically
from torchduet.bench.files.places import home
from torchduet.bench.files.regular import NotAFileError, kind_of
from torchduet.bench.record.schema import SCHEMA
from torchduet.reports.history.reader import FIELDS, RUN, Entry
from torchduet.reports.text.settings import FILTERS

NAME = "torchduet-history.parquet"
VERSION = f"6 {','.join(FILTERS)}".encode()  # of the columns and their meaning; a change rebuilds every index
MARK, READER = b"torchduet.history", b"torchduet.reader"


def _version() -> str:
    """Torchduet's version; empty where it runs without being installed."""
    try:
        return version("torchduet")
    except PackageNotFoundError:
        return ""


_TEXT, _TEXTS, _NUMBERS = pa.string(), pa.list_(pa.string()), pa.list_(pa.float64())
_TYPES = {
    **dict.fromkeys(("path", "kind", "why", "content", "started", "commit", "grade", "facts"), _TEXT),
    **dict.fromkeys(("size", "modified"), pa.int64()),
    "when": pa.float64(),
    **dict.fromkeys(("case", "about", "against", "parts", "pilot_family", "pilot_kind"), _TEXTS),
    "reference": pa.list_(pa.bool_()),
    **dict.fromkeys(("seconds", "low", "high", "speedup", "speedup_low", "speedup_high", "pilot_seconds"), _NUMBERS),
}
# Another version may read files that this one refuses: it reads those again and keeps the rows of runs.
COLUMNS = pa.schema(
    [(name, _TYPES[name]) for name in FIELDS],
    metadata={MARK: VERSION, READER: f"{_version()} {SCHEMA}".encode()},
)


@dataclass(frozen=True)
class Stored:
    """The content of an index.

    Attributes:
        table: a row per run; empty without an index that can be used.
        note: why the index was not used; empty without a problem.
    """

    table: pa.Table
    note: str = ""


def stored(folder: Path) -> Stored:
    """The index of a folder, beside the runs or in the user's cache; the later of two (the folder became read-only)."""
    path = max(filter(Path.is_file, locations(folder)), key=_modified, default=None)
    if path is None:
        return Stored(COLUMNS.empty_table())
    try:
        content = pq.read_table(path, page_checksum_verification=True)
        metadata = content.schema.metadata or {}
        if metadata.get(MARK) != VERSION:
            return Stored(COLUMNS.empty_table(), f"{path}: was written by another version; all runs are read again")
        table = content.select(list(FIELDS)).cast(COLUMNS)
        if metadata.get(READER) != COLUMNS.metadata[READER]:
            table = table.filter(pc.equal(table["kind"], RUN))
        return Stored(table)
    except (pa.ArrowException, OSError, KeyError, ValueError) as error:
        reason = " ".join(str(error).split())[:120]
        return Stored(COLUMNS.empty_table(), f"{path}: cannot be used ({reason}); all runs are read again")


def _modified(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0


def table_of(entries: Sequence[Entry]) -> pa.Table:
    """Entries as rows."""
    columns = {name: [getattr(entry, name) for entry in entries] for name in FIELDS}
    return pa.table({name: pa.array(column, _TYPES[name]) for name, column in columns.items()}, schema=COLUMNS)


def store(table: pa.Table, folder: Path) -> str:
    """Write the index, completely or not at all; returns a note if it could be written nowhere."""
    reason = ""
    for path in locations(folder):
        try:
            if path.parent != folder:
                path.parent.mkdir(parents=True, exist_ok=True)
            _replace(table, path)
        except OSError as error:
            reason = reason or f"{path}: cannot be written: {error.strerror or error}"
            continue
        return ""
    return f"{reason}; without an index, all runs are read again next time"


def locations(folder: Path) -> list[Path]:
    """The possible paths of an index: beside the runs, or in the user's cache if the folder is read-only."""
    digest = hashlib.sha256(str(folder.resolve()).encode("utf-8", "surrogateescape")).hexdigest()[:16]
    cache = Path(os.environ.get("XDG_CACHE_HOME") or home() / ".cache") / "torchduet" / "history"
    return [folder / NAME, cache / f"{digest}.parquet"]


def _replace(table: pa.Table, target: Path) -> None:
    status = status_of(real_path(target))
    if status is not None and (kind := kind_of(status.st_mode)):
        raise NotAFileError(kind, target)
    content = io.BytesIO()
    pq.write_table(table, content, compression="zstd", write_page_checksum=True)
    write_atomically(content.getvalue(), target)
