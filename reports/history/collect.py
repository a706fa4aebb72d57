"""Finds a folder's runs, reads those that the index does not know, and says what became of every file."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pyarrow as pa

from torchduet.reports.history import index
from torchduet.reports.history.reader import BAD, OTHER, RUN, Entry, read
from torchduet.reports.html.helper_process import cores

FEW = 64  # so many files are read before other processes would have started
AT_A_TIME = 8
MAX_PROCESSES = 8


class FolderError(Exception):
    """A folder without a history; the message is one line: the folder, what is wrong, what to do."""


@dataclass(frozen=True)
class Collection:
    """The runs of a folder.

    Attributes:
        runs: a row per run as in ``reader.Entry``, by the time it began; copies left out.
        bad: files that should be runs and cannot be used: (path, why).
        others: other tools' JSON files: (path, why).
        copies: (path of a copy, path of the run that counts).
        parts: (path of a run that was stopped and written, path of the whole one that it was resumed to).
        undated: paths of runs that do not say when they began; they stand at their files' time of change.
        fresh: how many files were read; the others were known.
        notes: what was wrong with the index.
    """

    runs: pa.Table
    bad: tuple[tuple[str, str], ...]
    others: tuple[tuple[str, str], ...]
    copies: tuple[tuple[str, str], ...]
    parts: tuple[tuple[str, str], ...]
    undated: tuple[str, ...]
    fresh: int
    notes: tuple[str, ...]

    @property
    def paths(self) -> list[str]:
        """Every file that was found."""
        named = (path for path, _ in (*self.bad, *self.others, *self.copies, *self.parts))
        return [*self.runs["path"].to_pylist(), *named]


def collect(folder: Path) -> Collection:
    """All runs below a folder, however deep.

    Raises:
        FolderError: there is no such folder, or no run in it.
    """
    found, unnameable, closed = _files(folder)
    kept = index.stored(folder)
    known = _still_there(kept.table, folder, found)
    fresh = [path for path in found if path not in known]
    entries = [one for one in _read_all(folder, fresh) if one is not None]
    table = kept.table.take(pa.array(list(known.values()), pa.int64()))
    table = pa.concat_tables([table, index.table_of(entries)]).sort_by("path")
    notes = [kept.note] if kept.note else []
    if (entries or kept.note or len(known) < len(kept.table)) and (note := index.keep(table, folder)):
        notes.append(note)
    if RUN not in table["kind"].to_pylist():
        raise FolderError(_nothing(folder, table))
    bad = (*_of(table, BAD), *((path, "its name is not UTF-8; rename it") for path in unnameable), *closed)
    return _sorted(table, bad, len(fresh), notes)


def _files(folder: Path) -> tuple[list[str], list[str], list[tuple[str, str]]]:
    """Paths of all JSON files below the folder, and of those with a name that no text can hold, made printable.

    Last, the folders in it that cannot be read, with why. Hidden folders are left out; links to folders are not
    followed.
    """
    try:
        if not folder.is_dir():
            there = "is a file, not a folder; name the folder it lies in" if folder.exists() else "no such folder"
            raise FolderError(f"{folder}: {there}")
        os.scandir(folder).close()
    except (OSError, ValueError) as error:
        raise FolderError(f"{folder}: cannot be read: {getattr(error, 'strerror', None) or error}") from None
    found: list[str] = []
    closed: list[tuple[str, str]] = []

    def refused(error: OSError) -> None:
        below = os.path.relpath(error.filename or folder, folder).encode("utf-8", "backslashreplace").decode()
        closed.append((below, f"this folder cannot be read: {error.strerror or error}"))

    for top, inner, names in os.walk(folder, onerror=refused):
        inner[:] = sorted(name for name in inner if not name.startswith("."))
        below = Path(top).relative_to(folder)
        found += [(below / name).as_posix() for name in names if name.endswith(".json") and not name.startswith(".")]
    if not found:
        raise FolderError(
            f"{folder}: holds no JSON file, nor does a folder in it; keep runs there: "
            f"`pytest bench/ --benchmark-json {folder / 'run.json'}`"
        )
    named = {path: path.encode("utf-8", "backslashreplace").decode() for path in sorted(found)}
    whole = [path for path, name in named.items() if path == name]
    return whole, [name for path, name in named.items() if path != name], closed


def _still_there(table: pa.Table, folder: Path, found: Sequence[str]) -> dict[str, int]:
    """Which files are as the index knows them: path → its row."""
    rows = zip(table["path"].to_pylist(), table["size"].to_pylist(), table["modified"].to_pylist(), strict=True)
    known = {path: (place, size, modified) for place, (path, size, modified) in enumerate(rows)}
    same = {}
    for path in found:
        if path in known:
            place, size, modified = known[path]
            try:
                status = (folder / path).stat()
            except OSError:
                continue
            if (status.st_size, status.st_mtime_ns) == (size, modified):
                same[path] = place
    return same


def _read_all(folder: Path, paths: Sequence[str]) -> list[Entry | None]:
    """The entries of files; many are shared among processes."""
    one: Callable[[str], Entry | None] = partial(read, folder)
    workers = min(cores(), MAX_PROCESSES)
    if len(paths) >= FEW and workers > 1:
        try:
            # Threads of libraries that are loaded here would not survive a fork.
            with ProcessPoolExecutor(workers, multiprocessing.get_context("spawn")) as pool:
                return list(pool.map(one, paths, chunksize=AT_A_TIME))
        except (OSError, NotImplementedError, BrokenProcessPool):
            pass  # without semaphores or memory for more, this process reads them, only slower
    return [one(path) for path in paths]


def _nothing(folder: Path, table: pa.Table) -> str:
    bad, others = _of(table, BAD), _of(table, OTHER)
    if bad:
        path, why = bad[0]
        more = f" (and {len(bad) - 1} more)" if len(bad) > 1 else ""
        return f"{folder}: none of its {len(table)} JSON files can be used; {path}: {why}{more}"
    path, why = others[0] if others else ("", "its files vanished while they were read")
    return f"{folder}: none of its {len(table)} JSON files is a run of Torchduet; {path}: {why}"


def _of(table: pa.Table, kind: str) -> tuple[tuple[str, str], ...]:
    rows = table.select(["path", "kind", "why"]).to_pylist()
    return tuple((row["path"], row["why"]) for row in rows if row["kind"] == kind)


def _sorted(table: pa.Table, bad: tuple[tuple[str, str], ...], fresh: int, notes: Sequence[str]) -> Collection:
    rows = [
        (place, row)
        for place, row in enumerate(table.select(["path", "kind", "content", "when", "modified"]).to_pylist())
        if row["kind"] == RUN
    ]
    rows.sort(key=lambda one: (_moment(one[1]), one[1]["path"]))
    first: dict[str, str] = {}
    chosen: dict[int, str] = {}
    copies = []
    for place, row in rows:
        if row["content"] in first:
            copies.append((row["path"], first[row["content"]]))
        else:
            chosen[place] = first[row["content"]] = row["path"]
    parts = _parts(table, list(chosen))
    undated = tuple(row["path"] for _, row in rows if row["when"] is None)
    runs = table.take(pa.array([place for place in chosen if place not in parts], pa.int64()))
    return Collection(
        runs=runs,
        bad=bad,
        others=_of(table, OTHER),
        copies=tuple(copies),
        parts=tuple((chosen[place], chosen[whole]) for place, whole in parts.items()),
        undated=undated,
        fresh=fresh,
        notes=tuple(notes),
    )


def _parts(table: pa.Table, places: Sequence[int]) -> dict[int, int]:
    """Runs of which another holds all and more, as of one that was stopped, written and resumed: place → the other's.

    Both began at the same time, and what both have is the same to the last digit.
    """
    began: dict[str, list[int]] = {}
    for place, started in zip(places, table["started"].take(pa.array(places, pa.int64())).to_pylist(), strict=True):
        began.setdefault(started, []).append(place)
    found: dict[int, int] = {}
    for together in began.values():
        if len(together) > 1:
            rows = table.select(["case", "seconds"]).take(pa.array(together, pa.int64())).to_pylist()
            held = [set(zip(one["case"], one["seconds"], strict=True)) for one in rows]
            for place, own in zip(together, held, strict=True):
                most = max(range(len(held)), key=lambda at: len(held[at]) if held[at] > own else -1)
                if held[most] > own:
                    found[place] = together[most]
    return found


def _moment(row: dict[str, float]) -> float:
    return row["when"] if row["when"] is not None else row["modified"] / 1e9
