"""The journal beside a run's JSON: one line with a checksum for each event, on disk before the next one begins.

JSON lines, ``{"crc32":"…","entry":{…}}``. A line with a wrong checksum was being written when the machine or the
process ended: it is left out, and its cases are measured again. The meaning of entries is left to ``journal_events``.
"""

from __future__ import annotations

import contextlib
import json
import os
import stat
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from torchduet.bench.files import regular
from torchduet.bench.record.schema import JOURNAL
from torchduet.bench.record.strict_json import dumps

try:
    import fcntl
except ModuleNotFoundError:  # Windows
    fcntl = None  # type: ignore[assignment]

FORMAT = 1
RUN = "run"  # the kind of a run's first entry
MIDDLE = b'","entry":'
END = b"}\n"
NAME_ANOTHER = "remove it, or name another --benchmark-json"
SUFFIX = ".journal"

Entry = dict[str, Any]


class Span(NamedTuple):
    """The position of an entry in its journal, in bytes."""

    start: int
    length: int


class JournalError(Exception):
    """A journal that cannot be used; the message names it, the problem and what to do."""


class JournalBusyError(JournalError):
    """The journal is being written by another run."""


def path_for(run: Path) -> Path:
    """The path of the journal of a run's JSON file."""
    return run.with_name(run.name + SUFFIX)


def encode(entry: Mapping[str, Any]) -> bytes:
    """An entry as its line, in strict JSON: null for NaN and infinity."""
    body = dumps(entry).encode()
    return JOURNAL + b"%08x" % zlib.crc32(body) + MIDDLE + body + END


def decode(line: bytes) -> Entry | None:
    """The entry of a line; None if the line is damaged."""
    start = len(JOURNAL) + 8
    body = line[start + len(MIDDLE) : -len(END)]
    if not line.startswith(JOURNAL) or line[start:][: len(MIDDLE)] != MIDDLE or not line.endswith(END):
        return None
    if line[len(JOURNAL) : start] != b"%08x" % zlib.crc32(body):
        return None
    try:
        entry = json.loads(body)
    except (ValueError, RecursionError):  # not written by this module
        return None
    return entry if isinstance(entry, dict) else None


@dataclass(frozen=True)
class Content:
    """The content of a journal: its first entry, the entries after it, and how much of it is damaged.

    Attributes:
        dropped: number of damaged lines.
        intact: bytes up to the end of the last intact line.
        spans: positions of the entries after the first.
    """

    header: Entry
    entries: tuple[Entry, ...]
    dropped: int
    intact: int
    spans: tuple[Span, ...] = ()

    @property
    def families(self) -> int:
        """The number of finished families."""
        return sum(entry.get("kind") == "family" for entry in self.entries)


def parse(content: bytes, name: str) -> Content:
    """A journal from its bytes.

    Raises:
        JournalError: it is not a journal, or one of another version.
    """
    entries: list[Entry] = []
    spans: list[Span] = []
    dropped = at = intact = 0
    for line in content.splitlines(keepends=True):
        at += len(line)
        entry = decode(line)
        if entry is None:
            dropped += 1
            continue
        intact = at
        entries.append(entry)
        spans.append(Span(at - len(line), len(line)))
    if not entries or entries[0].get("kind") != "run":
        raise JournalError(f"{name} is not the journal of a run, or its first line is damaged: delete it")
    if entries[0].get("format") != FORMAT:
        raise JournalError(f"{name} was written by another version of Torchduet (format {entries[0].get('format')})")
    return Content(entries[0], tuple(entries[1:]), dropped, intact, tuple(spans[1:]))


class Journal:
    """A journal that is being written; no other process can open it meanwhile.

    Attributes:
        problem: why it is not written any more, "" while it is.
    """

    def __init__(self, path: Path, handle: int, size: int) -> None:
        self.path, self._handle, self._size = path, handle, size
        self.problem = ""

    @classmethod
    def create(cls, path: Path, header: Mapping[str, Any], kind: str = RUN) -> Journal:
        """Begin a new journal; an existing one must be moved first, see :func:`set_aside`.

        Raises:
            JournalError: the journal exists or cannot be written.
        """
        try:
            handle = os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_APPEND | _binary(), 0o666)
        except OSError as error:
            raise JournalError(f"{path} cannot be written: {error.strerror}") from None
        journal = cls(path, handle, 0)
        journal._lock()
        journal.append({"kind": kind, "format": FORMAT, **header})
        _sync_folder(path.parent)
        if journal.problem:
            journal.remove()
            raise JournalError(journal.problem)
        return journal

    @classmethod
    def reopen(cls, path: Path) -> tuple[Journal, Content]:
        """Continue a journal; a damaged end is cut off when the first entry is added.

        Raises:
            JournalBusyError: another run is writing it.
            JournalError: it cannot be used.
        """
        journal = cls.opened(path)
        try:
            with os.fdopen(os.dup(journal._handle), "rb") as file:
                content = parse(file.read(), str(path))
        except BaseException:
            journal.close()
            raise
        journal.continue_after(content.intact)
        return journal, content

    @classmethod
    def opened(cls, path: Path) -> Journal:
        """Open a journal whose content is read line by line; then :meth:`continue_after` has to be called.

        Raises:
            JournalBusyError: another run is writing it.
            JournalError: it cannot be used.
        """
        try:
            handle = regular.descriptor(path, os.O_RDWR | os.O_APPEND)
        except OSError as error:
            raise JournalError(f"{path} cannot be opened: {error.strerror}; {NAME_ANOTHER}") from None
        journal = cls(path, handle, 0)
        try:
            journal._lock()
            if not os.fstat(handle).st_nlink:
                raise JournalBusyError(f"{path} was removed just now, by the run that it belonged to: {NAME_ANOTHER}")
        except BaseException:
            journal.close()
            raise
        return journal

    def continue_after(self, intact: int) -> None:
        """Continue a journal that was opened: what comes after so many bytes is damaged, and is cut off later."""
        self._size = intact

    def append(self, entry: Mapping[str, Any]) -> Span | None:
        """Add an entry, and wait until it is on disk. On failure nothing is added, and ``problem`` is set."""
        if self.problem:
            return None
        line = encode(entry)
        try:
            os.ftruncate(self._handle, self._size)  # the damaged end of a continued journal
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
        return Span(self._size - len(line), len(line))

    def read(self, span: Span) -> Entry | None:
        """An entry that was added before; None if it cannot be read any more."""
        try:
            # An open journal is read by its descriptor: its folder may have been removed.
            with os.fdopen(os.dup(self._handle), "rb") if self._handle >= 0 else self.path.open("rb") as file:
                file.seek(span.start)  # entries are appended at the end nevertheless
                return decode(file.read(span.length))
        except OSError:
            return None

    def close(self) -> None:
        """Close the journal and keep its file."""
        if self._handle >= 0:
            os.close(self._handle)
            self._handle = -1
            self.problem = self.problem or f"{self.path} is closed"

    def remove(self) -> None:
        """Close the journal and remove its file, once the run itself is written."""
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
    """Rename a journal at ``path`` that holds families, and remove one without; returns the new path, or None.

    Raises:
        JournalBusyError: another run is writing it.
    """
    try:
        status = path.lstat()
    except OSError:
        return None  # if it cannot be made, that has its reason
    mode = path.stat().st_mode if path.exists() else status.st_mode
    if kind := "a folder" if stat.S_ISDIR(mode) else regular.kind_of(mode):
        raise JournalError(f"{path} is {kind}, not a file: {NAME_ANOTHER}")
    try:
        journal, content = Journal.reopen(path)
    except JournalBusyError:
        raise
    except JournalError:
        families = status.st_size  # an unreadable journal is kept unless it is empty
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
    """Wait until a new file's name is on disk, too. Windows has no such call; some file systems refuse it."""
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
