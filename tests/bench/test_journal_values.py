"""A journal on disk: what is kept of a damaged one, what is cut off, and when it is refused or set aside."""

from __future__ import annotations

import errno
import json
import os
import stat
import zlib
from pathlib import Path

import pytest

from torchduet.bench.record import journal
from torchduet.bench.record.journal import (
    Journal,
    JournalBusyError,
    JournalError,
    Span,
    decode,
    encode,
    parse,
    path_for,
    set_aside,
)

FAMILY = {"kind": "family", "name": "s.w"}
PILOTS = {"kind": "pilots", "at": 1.5}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "run.json.journal"


def written(path: Path, *entries: dict[str, object]) -> list[Span]:
    """A closed journal with these entries; returns where they lie."""
    made = Journal.create(path, {"identity": {}})
    spans = [made.append(entry) for entry in entries]
    made.close()
    assert None not in spans
    return [span for span in spans if span is not None]


def test_a_line_has_the_checksum_of_its_entry() -> None:
    line = encode(FAMILY)
    body = json.dumps(FAMILY, separators=(",", ":")).encode()
    assert line.endswith(b"}\n")
    assert json.loads(line)["entry"] == FAMILY
    assert json.loads(line)["crc32"] == f"{zlib.crc32(line[line.index(b'entry') + 7 : -2]):08x}"
    assert len(body) > 2
    assert decode(line) == FAMILY


@pytest.mark.parametrize("spoil", ["end", "begin", "middle", "body", "checksum", "short"])
def test_a_line_that_differs_in_any_part_is_no_entry(spoil: str) -> None:
    line = encode(FAMILY)
    spoiled = {
        "end": line[:-1],
        "begin": b" " + line,
        "middle": line.replace(b'","entry":', b'","entrY":'),
        "body": line.replace(b"s.w", b"s.v"),
        "checksum": line.replace(line[10:18], b"00000000"),
        "short": line[:20],
    }[spoil]
    assert spoiled != line
    assert decode(spoiled) is None


def test_an_entry_is_an_object() -> None:
    body = b"[1]"
    head, rest = encode(FAMILY).split(b'","entry":')
    line = head[:-8] + b"%08x" % zlib.crc32(body) + b'","entry":' + body + b"}\n"
    assert rest
    assert decode(line) is None


def test_entries_are_read_in_order_with_their_places_and_what_is_damaged_is_counted(path: Path) -> None:
    spans = written(path, FAMILY, PILOTS, FAMILY)
    content = path.read_bytes()
    found = parse(content, "it")
    assert found.entries == (FAMILY, PILOTS, FAMILY)
    assert list(found.spans) == spans
    assert [decode(content[span.start : span.start + span.length]) for span in spans] == [FAMILY, PILOTS, FAMILY]
    assert (found.dropped, found.intact, found.families) == (0, len(content), 2)
    broken = bytearray(content)
    broken[spans[1].start + 40] ^= 1
    found = parse(bytes(broken), "it")
    assert (found.entries, found.dropped, found.intact) == ((FAMILY, FAMILY), 1, len(content))
    assert list(found.spans) == [spans[0], spans[2]]
    cut = parse(content[:-3], "it")
    assert (cut.entries, cut.dropped, cut.intact) == ((FAMILY, PILOTS), 1, spans[2].start)


def test_what_does_not_begin_with_a_run_is_no_journal() -> None:
    for content in (b"", b"{}\n", encode(FAMILY), encode({"kind": "run", "format": 1})[:-5]):
        with pytest.raises(JournalError, match=r"^it is not the journal of a run, .*: delete it$"):
            parse(content, "it")


def test_a_damaged_end_is_cut_off_when_the_first_entry_is_added(path: Path) -> None:
    written(path, FAMILY)
    whole = path.read_bytes()
    path.write_bytes(whole + encode(PILOTS)[:-4])
    again, content = Journal.reopen(path)
    assert (content.entries, content.dropped) == ((FAMILY,), 1)
    span = again.append(PILOTS)
    assert span == Span(len(whole), len(encode(PILOTS)))
    assert again.read(span) == PILOTS
    again.close()
    assert path.read_bytes() == whole + encode(PILOTS)
    assert again.read(span) == PILOTS  # from its file, once it is closed
    assert again.append(PILOTS) is None
    assert again.problem == f"{path} is closed"


def test_two_runs_cannot_write_one_journal(path: Path) -> None:
    first = Journal.create(path, {"identity": {}})
    with pytest.raises(JournalBusyError, match="is being written by another run: wait for it"):
        Journal.reopen(path)
    with pytest.raises(JournalBusyError):
        set_aside(path)
    with pytest.raises(JournalError, match="cannot be written: File exists"):
        Journal.create(path, {})
    first.close()
    again, content = Journal.reopen(path)
    assert content.entries == ()
    again.remove()
    assert not path.exists()
    with pytest.raises(JournalError, match="cannot be opened: No such file"):
        Journal.reopen(path)


def test_an_entry_that_does_not_fit_on_the_disk_leaves_the_journal_as_it_was(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = Journal.create(path, {"identity": {}})
    made.append(FAMILY)
    before = path.read_bytes()
    write = os.write
    rest = [5]

    def full(handle: int, data: bytes) -> int:
        if not rest:
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(handle, data[: rest.pop()])

    monkeypatch.setattr(journal.os, "write", full)
    assert made.append(PILOTS) is None
    assert made.problem == f"{path} cannot be written any more: No space left on device"
    monkeypatch.undo()
    assert path.read_bytes() == before
    assert made.append(PILOTS) is None  # not after what is missing
    made.close()
    assert "No space left" in made.problem


def test_an_entry_that_is_written_in_two_parts_is_whole(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = Journal.create(path, {"identity": {}})
    write = os.write
    parts = [5]

    def halting(handle: int, data: bytes) -> int:
        return write(handle, data[: parts.pop()] if parts else data)

    monkeypatch.setattr(journal.os, "write", halting)
    span = made.append(FAMILY)
    monkeypatch.undo()
    assert span is not None
    assert made.read(span) == FAMILY
    assert parse(path.read_bytes(), "it").entries == (FAMILY,)
    made.close()


def test_a_journal_with_families_is_set_aside_under_the_next_free_name_and_one_without_is_removed(path: Path) -> None:
    assert set_aside(path) is None
    written(path, PILOTS)
    assert set_aside(path) is None
    assert not path.exists()
    for number in (1, 2):
        written(path, FAMILY)
        assert set_aside(path) == path.with_name(f"{path.name}.{number}")
        assert not path.exists()
    path.write_text("something else")
    assert set_aside(path) == path.with_name(f"{path.name}.3")
    path.write_text("")
    assert set_aside(path) is None
    assert not path.exists()
    assert path_for(path.with_name("run.json")) == path


def test_the_name_of_a_new_journal_is_on_disk_before_anything_is_measured(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[bool] = []
    folders: list[int] = []
    fsync = os.fsync

    def noting(handle: int) -> None:
        synced.append(stat.S_ISDIR(os.fstat(handle).st_mode))
        folders.extend([handle] if synced[-1] else [])
        fsync(handle)

    monkeypatch.setattr(journal.os, "fsync", noting)
    made = Journal.create(path, {"identity": {}})
    assert synced == [False, True]  # the first entry, then its folder
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(folders[0])  # is closed again
    made.append(FAMILY)
    assert synced == [False, True, False]
    made.close()


def test_a_journal_that_cannot_be_begun_is_removed(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(journal.os, "write", full)
    with pytest.raises(JournalError, match="cannot be written any more: No space left on device"):
        Journal.create(path, {"identity": {}})
    monkeypatch.undo()
    assert not path.exists()
    Journal.create(path, {"identity": {}}).close()


def test_what_is_no_journal_is_not_locked_by_those_that_looked_into_it(path: Path) -> None:
    path.write_text("something else")
    for _ in range(2):
        with pytest.raises(JournalError, match="is not the journal of a run"):
            Journal.reopen(path)


def test_a_program_without_standard_input_may_have_its_journal_under_descriptor_0(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (span,) = written(path, FAMILY)
    closed: list[int] = []
    duplicate = os.dup
    with path.open("rb") as file:
        under = Journal(path.with_name("removed"), 0, 0)
        monkeypatch.setattr(journal.os, "dup", lambda handle: duplicate(file.fileno() if handle == 0 else handle))
        monkeypatch.setattr(journal.os, "close", closed.append)
        found = under.read(span)
        under.close()
        monkeypatch.undo()
    assert found == FAMILY
    assert closed == [0]
    assert under.problem == f"{under.path} is closed"
    assert under.read(span) is None  # its file is gone


def test_a_journal_that_was_removed_while_it_was_opened_is_no_more_used(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written(path, FAMILY)
    lock = Journal._lock

    def removing(of: Journal) -> None:
        path.unlink()
        lock(of)

    monkeypatch.setattr(Journal, "_lock", removing)
    with pytest.raises(JournalBusyError, match="was removed just now, by the run that it belonged to"):
        Journal.reopen(path)


def test_what_lies_in_the_way_of_a_journal_is_named(path: Path) -> None:
    path.mkdir()
    with pytest.raises(JournalError, match=r"is a folder, not a file: remove it, or name another --benchmark-json"):
        set_aside(path)
    path.rmdir()
    path.symlink_to(path.with_name("nowhere"))
    with pytest.raises(JournalError, match=r"is a link, not a file"):
        set_aside(path)


def test_a_removed_journal_is_closed_and_may_be_gone_already(path: Path) -> None:
    made = Journal.create(path, {"identity": {}})
    path.unlink()
    made.remove()
    assert made.append(FAMILY) is None
    assert made.problem == f"{path} is closed"


def test_a_journal_that_was_set_aside_can_be_opened_and_nobody_may_execute_it(path: Path) -> None:
    written(path, FAMILY)
    assert path.stat().st_mode & 0o111 == 0
    kept = set_aside(path)
    assert kept is not None
    again, content = Journal.reopen(kept)
    assert content.entries == (FAMILY,)
    again.close()


def test_journals_of_this_format_stay_readable() -> None:
    found = parse(encode({"kind": "run", "format": 1, "identity": {}}) + encode(FAMILY), "it")
    assert (found.header["format"], found.entries) == (1, (FAMILY,))
