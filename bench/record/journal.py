"""The journal beside a run's JSON: one checked line for each thing that came out, on disk before the next begins.

JSON lines, ``{"crc32":"…","entry":{…}}``. A line whose checksum does not fit was being written when the
machine or the process stopped: it is left out, and what it held is measured again. What the entries mean
is said by ``journal_events``.
"""

from __future__ import annotations

import contextlib
import json
import os
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from torchduet.bench.record.schema import JOURNAL

try:
    import fcntl
except ModuleNotFoundError:  # Windows
    fcntl = None  # type: ignore[assignment]

FORMAT = 1
MIDDLE = b'","entry":'
END = b"}\n"
SUFFIX = ".journal"

Entry = dict[str, Any]


class Place(NamedTuple):
    """Where an entry stands in its journal, in bytes."""

    start: int
    length: int


class JournalError(Exception):
    """A journal that cannot be used; the message names it, what is wrong and what to do."""


class JournalBusyError(JournalError):
    """Another run is writing the journal."""


def path_for(run: Path) -> Path:
    """Where the journal of a run's JSON file lies."""
    return run.with_name(run.name + SUFFIX)


def encode(entry: Mapping[str, Any]) -> bytes:
    """An entry as its line."""
    body = json.dumps(entry, separators=(",", ":")).encode()
    return JOURNAL + b"%08x" % zlib.crc32(body) + MIDDLE + body + END


def decode(line: bytes) -> Entry | None:
    """The entry of a line, None if the line is not whole."""
    start = len(JOURNAL) + 8
    body = line[start + len(MIDDLE) : -len(END)]
    if not line.startswith(JOURNAL) or line[start:][: len(MIDDLE)] != MIDDLE or not line.endswith(END):
        return None
    if line[len(JOURNAL) : start] != b"%08x" % zlib.crc32(body):
        return None
    try:
        entry = json.loads(body)
    except (ValueError, RecursionError):  # none of ours
        return None
    return entry if isinstance(entry, dict) else None


@dataclass(frozen=True)
class Content:
    """What a journal holds: its first entry, those after it, and how much of it cannot be read.

    Attributes:
        dropped: damaged lines.
        whole: bytes up to the end of the last good line.
        places: of the entries after the first.
    """

    header: Entry
    entries: tuple[Entry, ...]
    dropped: int
    whole: int
    places: tuple[Place, ...] = ()

    @property
    def families(self) -> int:
        """How many finished families it holds."""
        return sum(entry.get("kind") == "family" for entry in self.entries)


def parse(content: bytes, name: str) -> Content:
    """A journal from its bytes.

    Raises:
        JournalError: it is not one, or one of another version.
    """
    entries: list[Entry] = []
    places: list[Place] = []
    dropped = at = whole = 0
    for line in content.splitlines(keepends=True):
        at += len(line)
        entry = decode(line)
        if entry is None:
            dropped += 1
            continue
        whole = at
        entries.append(entry)
        places.append(Place(at - len(line), len(line)))
    if not entries or entries[0].get("kind") != "run":
        raise JournalError(f"{name} is not the journal of a run, or its first line is damaged: delete it")
    if entries[0].get("format") != FORMAT:
        raise JournalError(f"{name} was written by another version of Torchduet (format {entries[0].get('format')})")
    return Content(entries[0], tuple(entries[1:]), dropped, whole, tuple(places[1:]))


class Journal:
    """A journal that is being written; no other process can open it meanwhile.

    Attributes:
        problem: why it is not written any more, "" while it is.
    """

    def __init__(self, path: Path, handle: int, size: int) -> None:
        self.path, self._handle, self._size = path, handle, size
        self.problem = ""

    @classmethod
    def create(cls, path: Path, header: Mapping[str, Any]) -> Journal:
        """Begin a journal; one that lies there is in the way, see :func:`set_aside`.

        Raises:
            JournalError: it cannot be written.
        """
        try:
            handle = os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_APPEND | _binary(), 0o666)
        except OSError as error:
            raise JournalError(f"{path} cannot be written: {error.strerror}") from None
        journal = cls(path, handle, 0)
        journal._lock()
        journal.append({"kind": "run", "format": FORMAT, **header})
        _sync_folder(path.parent)
        if journal.problem:
            journal.remove()
            raise JournalError(journal.problem)
        return journal

    @classmethod
    def reopen(cls, path: Path) -> tuple[Journal, Content]:
        """Go on with a journal; what was torn off at its end is cut off when the first entry is added.

        Raises:
            JournalError: it cannot be used; a JournalBusyError where another run is writing it.
        """
        try:
            handle = os.open(path, os.O_RDWR | os.O_APPEND | _binary())
        except OSError as error:
            raise JournalError(f"{path} cannot be opened: {error.strerror}") from None
        journal = cls(path, handle, 0)
        try:
            journal._lock()
            content = parse(path.read_bytes(), str(path))
            journal._size = content.whole
        except BaseException:
            journal.close()
            raise
        return journal, content

    def append(self, entry: Mapping[str, Any]) -> Place | None:
        """Add an entry: whole and on disk when this returns, or not at all, and then ``problem`` says why."""
        if self.problem:
            return None
        line = encode(entry)
        try:
            os.ftruncate(self._handle, self._size)  # what is torn off at the end of one that is gone on with
            written = os.write(self._handle, line)
            if written < len(line):  # a full disk takes what fits
                written += os.write(self._handle, line[written:])
            os.fsync(self._handle)
        except OSError as error:
            self.problem = f"{self.path} cannot be written any more: {error.strerror}"
            with contextlib.suppress(OSError):
                os.ftruncate(self._handle, self._size)
            return None
        self._size += len(line)
        return Place(self._size - len(line), len(line))

    def read(self, place: Place) -> Entry | None:
        """An entry that was added before; None if it cannot be read any more."""
        try:
            # While it is written, by its descriptor: the folder may have vanished.
            with os.fdopen(os.dup(self._handle), "rb") if self._handle >= 0 else self.path.open("rb") as file:
                file.seek(place.start)  # what is added goes to the end all the same
                return decode(file.read(place.length))
        except OSError:
            return None

    def close(self) -> None:
        """Leave it where it is."""
        if self._handle >= 0:
            os.close(self._handle)
            self._handle = -1
            self.problem = self.problem or f"{self.path} is closed"

    def remove(self) -> None:
        """The run is written: it has served."""
        self.close()
        self.path.unlink(missing_ok=True)

    def _lock(self) -> None:
        if fcntl is None:
            return
        try:
            fcntl.flock(self._handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise JournalBusyError(
                f"{self.path} is being written by another run: wait for it, or name another --benchmark-json"
            ) from None
        except OSError:  # a file system without locks
            return


def set_aside(path: Path) -> Path | None:
    """Give a journal that lies at ``path`` another name if it holds families; returns that, None if it held none.

    Raises:
        JournalBusyError: another run is writing it.
    """
    if not path.exists():
        return None
    try:
        journal, content = Journal.reopen(path)
    except JournalBusyError:
        raise
    except JournalError:
        families = path.stat().st_size  # what it is cannot be said: it is kept
    else:
        journal.close()
        families = content.families
    if not families:
        path.unlink()
        return None
    number = 1
    while (kept := path.with_name(f"{path.name}.{number}")).exists():
        number += 1
    return path.rename(kept)


def _binary() -> int:
    return getattr(os, "O_BINARY", 0)


def _sync_folder(folder: Path) -> None:
    """The new file's name is on disk, too; Windows has no such call, and some file systems refuse it."""
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
