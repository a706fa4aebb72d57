"""The files of a fleet: one for each machine, whatever becomes of it, and the merged one."""

from __future__ import annotations

import errno
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.bench.fleet.pretended import SUITE, Machine, Process, case_of
from torchduet.bench.fleet.journal import FleetJournal, Header
from torchduet.bench.fleet.kinds import kind_of
from torchduet.bench.fleet.result import Result
from torchduet.bench.fleet.results import Results
from torchduet.bench.record.journal_events import RunLog

HEADER = Header(options={}, sources={}, started="")
KIND = "CPU aaaa (aaaa)"


def result(unreached: Sequence[str] = (), failed: dict[str, str] | None = None) -> Result:
    kinds = {KIND: kind_of(Machine("a").planned(), "machine")}
    return Result(kinds, {KIND: list(unreached)} if unreached else {}, {KIND: failed} if failed else {})


def process(host: str, *families: str) -> Process:
    made = Process(Machine(host))
    made.measured = list(families)
    return made


def merge(paths: Sequence[Path], target: Path) -> None:
    target.write_text(json.dumps({"merged": [path.name for path in paths]}), "utf-8")


def so_far(_: RunLog) -> dict[str, Any]:
    raise AssertionError("no machine is gone")


def read(path: Path) -> Any:
    return json.loads(path.read_bytes())


@pytest.fixture
def journal(tmp_path: Path) -> FleetJournal:
    return FleetJournal.create(tmp_path / "fleet.journal", HEADER)


def test_each_machine_has_a_file_of_its_name_and_key_and_the_commit_of_the_command(
    tmp_path: Path, journal: FleetJournal
) -> None:
    results = Results(tmp_path, so_far, {"id": "1234"})
    for host in ("vm/1", "vm_1"):
        results.keep(journal.new_log(Machine(host).planned()), process(host, "long").document())
    path = results.finish(journal, result(), "machine", merge)
    assert path == tmp_path / "merged.json"
    assert read(path) == {"merged": ["vm_1-aaaa.json", "vm_1-aaaa-2.json"]}
    assert read(tmp_path / "machines" / "vm_1-aaaa.json")["commit_info"] == {"id": "1234"}


def test_one_machine_alone_is_not_merged(tmp_path: Path, journal: FleetJournal) -> None:
    results = Results(tmp_path, so_far, {})
    results.keep(journal.new_log(Machine("a").planned()), process("a", *SUITE).document())
    path = results.finish(journal, result(), "machine", merge)
    assert path is not None
    assert len(read(path)["benchmarks"]) == len(SUITE)


def test_files_name_as_unreached_what_no_machine_of_the_kind_has_measured(
    tmp_path: Path, journal: FleetJournal
) -> None:
    results = Results(tmp_path, so_far, {})
    for host, family in (("a", "long"), ("b", "short")):
        results.keep(journal.new_log(Machine(host).planned()), process(host, family).document())
    results.finish(journal, result(["middle"], {"last": "3 machines were lost"}), "machine", merge)
    a, b = (read(tmp_path / "machines" / f"{host}-aaaa.json")["torchduet"] for host in "ab")
    assert a["unreached"] == b["unreached"] == [case_of("middle")["id"]]
    assert a["failed"] == [{"case": case_of("last"), "reason": "last: 3 machines were lost"}]
    assert b["failed"] == []
    assert results.failed == 1


def test_a_file_that_the_disk_does_not_take_is_written_at_the_end_or_elsewhere(
    tmp_path: Path, journal: FleetJournal, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    results = Results(tmp_path, so_far, {})

    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("torchduet.bench.fleet.results.write_atomically", full)
    results.keep(journal.new_log(Machine("a").planned()), process("a", *SUITE).document())
    path = results.finish(journal, result(), "machine", merge)
    assert path == elsewhere / "merged.json"
    assert len(read(elsewhere / "a-aaaa.json")["benchmarks"]) == len(SUITE)
    assert "No space left on device; it is in" in results.problems[0]
    assert not (tmp_path / "merged.json").exists()


def test_a_machine_that_has_measured_nothing_has_no_file(tmp_path: Path, journal: FleetJournal) -> None:
    gone = process("gone")
    log = journal.new_log(gone.machine.planned())
    header = gone._header()
    journal.add(log, header)
    assert Results(tmp_path, so_far, {}).finish(journal, result(), "machine", merge) is None
    assert not (tmp_path / "machines").exists()
