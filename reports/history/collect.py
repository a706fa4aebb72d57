"""Collects a folder's runs: reads the files that are not in the index, and sorts out all that are no runs."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from functools import partial
from itertools import chain
from pathlib import Path

import pyarrow as pa

from torchduet.bench.host.without_main import without_main
from torchduet.reports.history import index
from torchduet.reports.history.reader import BAD, DUET, OTHER, RUN, Entry, read
from torchduet.reports.html.helper_process import cores
from torchduet.reports.read.folders import json_files, not_searched

MIN_PARALLEL = 64  # files; fewer are read before other processes have started
CHUNK = 8  # files per task of a process
MAX_PROCESSES = 8


class FolderError(Exception):
    """A folder without a history; the message is one line: the folder, what is wrong, what to do."""


@dataclass(frozen=True)
class Collection:
    """The runs of a folder.

    Attributes:
        runs: a row per run as in ``reader.Entry``, by the time it began; without copies.
        bad: files that should be runs and cannot be used: (path, reason).
        duets: runs of two sides, whose times are those of another interpreter or revision: (path, reason).
        others: JSON files of other tools: (path, reason).
        copies: (path of a copy, path of the run that counts).
        parts: (path of a run that ended early, path of the complete run that it was resumed to).
        undated: paths of runs without a time of their begin; the files' modification times stand in for it.
        fresh: number of files that were read now; the others are in the index.
        notes: problems with the index, and cases of runs that cannot be read.
        merged: (path of a run, path of the merged run that it is in).
    """

    runs: pa.Table
    bad: tuple[tuple[str, str], ...]
    duets: tuple[tuple[str, str], ...]
    others: tuple[tuple[str, str], ...]
    copies: tuple[tuple[str, str], ...]
    parts: tuple[tuple[str, str], ...]
    undated: tuple[str, ...]
    fresh: int
    notes: tuple[str, ...]
    merged: tuple[tuple[str, str], ...] = ()

    @property
    def paths(self) -> list[str]:
        """Every file of the folder."""
        left_out = (path for path, _ in (*self.bad, *self.duets, *self.others, *self.copies, *self.parts, *self.merged))
        return [*self.runs["path"].to_pylist(), *left_out]


def collect(folder: Path) -> Collection:
    """All runs in a folder and the folders below it.

    Raises:
        FolderError: there is no such folder, or no run in it.
    """
    paths, unnameable, closed = _files(folder)
    stored = index.stored(folder)
    known = _unchanged(stored.table, folder, paths)
    fresh = [path for path in paths if path not in known]
    entries = _read_all(folder, fresh)
    table = stored.table.take(pa.array(list(chain.from_iterable(known.values())), pa.int64()))
    table = pa.concat_tables([table, index.table_of(entries)]).sort_by("path")
    notes = [stored.note] if stored.note else []
    changed = entries or stored.note or sum(map(len, known.values())) < len(stored.table)
    if changed and (note := index.store(table, folder)):
        notes.append(note)
    notes += [f"{path}: {why}" for path, why in _of(table, RUN) if why]
    if RUN not in table["kind"].to_pylist():
        raise FolderError(_nothing(folder, table))
    bad = (*_of(table, BAD), *((path, "its name is not UTF-8; rename it") for path in unnameable), *closed)
    return _sorted(table, bad, len(fresh), notes)


def _files(folder: Path) -> tuple[list[str], list[str], list[tuple[str, str]]]:
    """The paths of all JSON files below the folder, of those whose names are not text, and of unreadable folders.

    Names that are not UTF-8 are made printable; unreadable folders come with a reason. See ``json_files``
    for what is left out.
    """
    try:
        if not folder.is_dir():
            reason = "is a file, not a folder; name the folder it lies in" if folder.exists() else "no such folder"
            raise FolderError(f"{folder}: {reason}")
        os.scandir(folder).close()
    except (OSError, ValueError) as error:
        raise FolderError(f"{folder}: cannot be read: {getattr(error, 'strerror', None) or error}") from None
    closed: list[tuple[str, str]] = []

    def refused(error: OSError) -> None:
        below = os.path.relpath(error.filename or folder, folder).encode("utf-8", "backslashreplace").decode()
        closed.append((below, f"this folder cannot be read: {error.strerror or error}"))

    hidden: list[str] = []
    paths = list(json_files(folder, hidden, refused))
    if not paths:
        raise FolderError(
            f"{folder}: holds no JSON file, nor does a folder in it{not_searched(hidden)}; keep runs there: "
            f"`torchduet run --benchmark-json {folder / 'run.json'}`"
        )
    named = {path: path.encode("utf-8", "backslashreplace").decode() for path in sorted(paths)}
    readable = [path for path, name in named.items() if path == name]
    return readable, [name for path, name in named.items() if path != name], closed


def _unchanged(table: pa.Table, folder: Path, paths: Sequence[str]) -> dict[str, list[int]]:
    """The files that have not changed since they were stored in the index: path → its rows, one for each machine."""
    known: dict[str, tuple[int, int, list[int]]] = {}
    columns = zip(table["path"].to_pylist(), table["size"].to_pylist(), table["modified"].to_pylist(), strict=True)
    for row, (path, size, modified) in enumerate(columns):
        known.setdefault(path, (size, modified, []))[2].append(row)
    same = {}
    for path in paths:
        if path in known:
            size, modified, rows = known[path]
            try:
                status = (folder / path).stat()
            except OSError:
                continue
            if (status.st_size, status.st_mtime_ns) == (size, modified):
                same[path] = rows
    return same


def _read_all(folder: Path, paths: Sequence[str]) -> list[Entry]:
    """The entries of files; many files are read by several processes."""
    read_path: Callable[[str], list[Entry]] = partial(read, folder)
    workers = min(cores(), MAX_PROCESSES)
    if len(paths) >= MIN_PARALLEL and workers > 1:
        try:
            # Spawned, not forked: threads of the libraries that are loaded here would not survive a fork.
            with ProcessPoolExecutor(workers, multiprocessing.get_context("spawn")) as pool:
                with without_main():
                    entries = pool.map(read_path, paths, chunksize=CHUNK)
                return list(chain.from_iterable(entries))
        except (OSError, NotImplementedError, BrokenProcessPool):
            pass  # no semaphores, or no memory for processes: this process reads them, only slower
    return [entry for path in paths for entry in read_path(path)]


def _nothing(folder: Path, table: pa.Table) -> str:
    bad, duets, others = (_of(table, kind) for kind in (BAD, DUET, OTHER))
    if bad:
        path, why = bad[0]
        more = f" (and {len(bad) - 1} more)" if len(bad) > 1 else ""
        return f"{folder}: none of its {len(table)} JSON files can be used; {path}: {why}{more}"
    if duets:
        path, why = duets[0]
        return f"{folder}: none of its {len(table)} JSON files is a run of one side; {path}: {why}"
    path, why = others[0] if others else ("", "its files vanished while they were read")
    return f"{folder}: none of its {len(table)} JSON files is a run of Torchduet; {path}: {why}"


def _of(table: pa.Table, kind: str) -> tuple[tuple[str, str], ...]:
    rows = table.select(["path", "kind", "why"]).to_pylist()
    return tuple((row["path"], row["why"]) for row in rows if row["kind"] == kind)


def _sorted(table: pa.Table, bad: tuple[tuple[str, str], ...], fresh: int, notes: Sequence[str]) -> Collection:
    rows = [
        (number, row)
        for number, row in enumerate(table.select(["path", "kind", "content", "when", "modified"]).to_pylist())
        if row["kind"] == RUN
    ]
    rows.sort(key=lambda item: (_moment(item[1]), item[1]["path"]))
    originals: dict[str, str] = {}  # content → path of the first run with it
    path_of: dict[int, str] = {}  # row → path, without copies
    copies = []
    for number, row in rows:
        if row["content"] in originals:
            copies.append((row["path"], originals[row["content"]]))
        else:
            path_of[number] = originals[row["content"]] = row["path"]
    merged = _merged(table, list(path_of))
    parts = _parts(table, [row for row in path_of if row not in merged])
    undated = tuple(row["path"] for _, row in rows if row["when"] is None)
    runs = table.take(
        pa.array([number for number in path_of if number not in parts and number not in merged], pa.int64())
    )
    return Collection(
        runs=runs,
        bad=bad,
        duets=_of(table, DUET),
        others=_of(table, OTHER),
        copies=tuple(copies),
        parts=tuple((path_of[part], path_of[complete]) for part, complete in parts.items()),
        undated=undated,
        fresh=fresh,
        notes=tuple(notes),
        merged=tuple((path_of[part], path_of[whole]) for part, whole in merged.items()),
    )


def _merged(table: pa.Table, rows: Sequence[int]) -> dict[int, int]:
    """Runs that are in a merged run: row → row of the largest that has all parts of it, and more."""
    parts = dict(zip(rows, map(frozenset, table["parts"].take(pa.array(rows, pa.int64())).to_pylist()), strict=True))
    wholes = sorted((row for row in rows if len(parts[row]) > 1), key=lambda row: -len(parts[row]))
    found = {row: next((whole for whole in wholes if parts[row] < parts[whole]), None) for row in rows}
    return {row: whole for row, whole in found.items() if whole is not None}


def _parts(table: pa.Table, rows: Sequence[int]) -> dict[int, int]:
    """Runs that are a part of another, because they ended early and were resumed: row → row of the complete run.

    Both began at the same time, and the cases of the part have exactly the same times in the complete run.
    """
    by_begin: dict[str, list[int]] = {}
    for row, started in zip(rows, table["started"].take(pa.array(rows, pa.int64())).to_pylist(), strict=True):
        by_begin.setdefault(started, []).append(row)
    parts: dict[int, int] = {}
    for same_begin in by_begin.values():
        if len(same_begin) > 1:
            columns = table.select(["case", "seconds"]).take(pa.array(same_begin, pa.int64())).to_pylist()
            times = [set(zip(run["case"], run["seconds"], strict=True)) for run in columns]
            for row, own in zip(same_begin, times, strict=True):
                largest = max(range(len(times)), key=lambda at: len(times[at]) if times[at] > own else -1)
                if times[largest] > own:
                    parts[row] = same_begin[largest]
    return parts


def _moment(row: dict[str, float]) -> float:
    return row["when"] if row["when"] is not None else row["modified"] / 1e9


def left_out(collection: Collection) -> list[tuple[str, list[tuple[str, str]]]]:
    """The files that are in no series: (heading, [(path, reason)])."""
    groups = (
        ("Cannot be used", list(collection.bad)),
        ("Duets", list(collection.duets)),
        ("Copies of a run", [(path, f"holds the same as {original}") for path, original in collection.copies]),
        ("Parts of a run", [(path, f"ended early, and was resumed to {run}") for path, run in collection.parts]),
        ("Parts of a merged run", [(path, f"is in {run}, which counts") for path, run in collection.merged]),
        ("Other tools’ files", list(collection.others)),
        ("Without a date", [(path, "is placed by the time its file was last changed") for path in collection.undated]),
    )
    return [(name, rows) for name, rows in groups if rows]
