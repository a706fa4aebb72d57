"""The journal of a fleet: the entries of all machines in one file, which another driver continues."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.bench.fleet.pretended import Machine
from torchduet.bench.fleet.journal import FleetJournal, Header, with_plan_of
from torchduet.bench.record.journal import Journal, JournalBusyError, JournalError

HEADER = Header(options={"tier": "quick"}, sources={"mine.py": "1234"}, started="2026-01-01")
RUN = {"kind": "run", "format": 1, "identity": {}, "run": {}, "plan": []}


def family(name: str) -> dict[str, str]:
    return {"kind": "family", "name": name}


def written(path: Path) -> None:
    journal = FleetJournal.create(path, HEADER)
    a, b = journal.new_log(Machine("a").planned()), journal.new_log(Machine("b").planned())
    journal.add(a, RUN)
    journal.add(b, RUN)
    journal.add(b, family("one"))
    journal.add(a, family("two"))
    journal.close()


def test_each_machine_gets_its_own_entries_back(tmp_path: Path) -> None:
    written(tmp_path / "j")
    journal = FleetJournal.reopen(tmp_path / "j")
    assert journal.header == HEADER
    a, b = journal.logs.values()
    assert (a.planned, b.planned) == (Machine("a").planned(), Machine("b").planned())
    assert journal.entries(a) == [RUN, family("two")]
    assert journal.entries(b) == [RUN, family("one")]
    assert (a.families, b.families) == (1, 1)
    journal.add(journal.new_log(Machine("c").planned()), RUN)
    journal.close()
    assert [log.planned.host for log in FleetJournal.reopen(tmp_path / "j").logs.values()] == ["a", "b", "c"]


def test_a_plan_that_machines_share_is_written_and_held_once(tmp_path: Path) -> None:
    journal = FleetJournal.create(tmp_path / "j", HEADER)
    first = Machine("a").planned()
    journal.new_log(first)
    before = (tmp_path / "j").stat().st_size
    journal.new_log(with_plan_of(Machine("b").planned(), first))
    assert (tmp_path / "j").stat().st_size - before < before / 2
    journal.close()
    a, b = (log.planned for log in FleetJournal.reopen(tmp_path / "j").logs.values())
    assert (a, b) == (first, Machine("b").planned())
    assert a.families is b.families


def test_a_line_that_was_being_written_is_left_out_and_cut_off(tmp_path: Path) -> None:
    path = tmp_path / "j"
    written(path)
    whole = path.read_bytes()
    path.write_bytes(whole[:-10])
    journal = FleetJournal.reopen(path)
    assert journal.dropped == 1
    a, _ = journal.logs.values()
    assert journal.entries(a) == [RUN]
    journal.add(a, family("two"))
    journal.close()
    assert path.read_bytes() == whole


def test_a_journal_that_is_being_written_is_not_opened(tmp_path: Path) -> None:
    journal = FleetJournal.create(tmp_path / "j", HEADER)
    with pytest.raises(JournalBusyError):
        FleetJournal.reopen(tmp_path / "j")
    journal.close()


@pytest.mark.parametrize("content", [b"", b"not a journal\n"])
def test_what_is_no_journal_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "j").write_bytes(content)
    with pytest.raises(JournalError, match="is not the journal of a fleet"):
        FleetJournal.reopen(tmp_path / "j")


def test_the_journal_of_a_run_is_refused(tmp_path: Path) -> None:
    Journal.create(tmp_path / "j", {"identity": {}, "run": {}, "plan": []}).close()
    with pytest.raises(JournalError, match="is not the journal of a fleet"):
        FleetJournal.reopen(tmp_path / "j")


def test_entries_that_are_not_those_of_a_fleet_are_refused(tmp_path: Path) -> None:
    journal = FleetJournal.create(tmp_path / "j", HEADER)
    journal._journal.append({"kind": "entry", "log": 7, "entry": {}})
    journal.close()
    with pytest.raises(JournalError, match="whose entries are not those of a fleet"):
        FleetJournal.reopen(tmp_path / "j")
