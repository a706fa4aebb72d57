"""The process that measures on a machine, with real measurements: it carries out orders, and ends with its driver."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from torchduet.bench.fleet.actor import working_folder
from torchduet.bench.fleet.child import Child, copy
from torchduet.bench.fleet.journal import FleetJournal, Header
from torchduet.bench.fleet.kinds import kind_of
from torchduet.bench.fleet.messages import (
    Begin,
    End,
    Finished,
    Gone,
    Measure,
    Measured,
    Message,
    Order,
    Planned,
    Problem,
    Ready,
    Reply,
    Showing,
    Start,
    Stop,
    Visit,
    Visited,
    Wrote,
    reply_of,
)
from torchduet.bench.fleet.node.measurer import NodeProgress
from torchduet.bench.fleet.result import Result
from torchduet.bench.fleet.results import Results
from torchduet.bench.fleet.running import merge
from torchduet.bench.record.journal import Journal
from torchduet.bench.record.journal_events import Ended, entry_of
from torchduet.reports.read.run_file import load
from torchduet.reports.read.run_so_far import run_so_far

MANY = Path(__file__).parents[2] / "faults" / "workloads" / "many.py"
SECONDS = 120.0
GIVEN: dict[str, Any] = {"tier": "quick", "suite": [str(MANY)], "data": None, "threads": "1", "budget": "30s"}


class Driver:
    """Sends orders and waits for their answers."""

    def __init__(self, child: Child) -> None:
        self.child, self.number = child, 0
        self.entries: list[dict[str, Any]] = []

    def order(self, order: Order) -> Any:
        self.child.send(order)
        return self.answer()

    def answer(self) -> Reply:
        while True:
            first, lines = self.child.replies(self.number, SECONDS)
            assert lines, "no answer"
            self.number = first + 1
            reply = reply_of(lines[0])
            if isinstance(reply, Wrote):
                self.entries.append(reply.entry)
            elif not isinstance(reply, Showing):
                return reply

    def begin(self, families: int, **given: Any) -> Planned:
        planned = self.order(Start(options={**GIVEN, **given}, when_busy="go"))
        assert isinstance(planned, Planned), planned
        assert len(planned.families) == families
        return planned


@pytest.fixture
def starting(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], Driver]]:
    monkeypatch.setenv("TORCHDUET_TEST_FAMILIES", "3")
    children: list[Child] = []

    def start() -> Driver:
        children.append(Child())
        return Driver(children[-1])

    yield start
    for child in children:
        child.end()


def ids(finished: Finished) -> list[str]:
    return [benchmark["extra_info"]["torchduet"]["case"]["id"] for benchmark in finished.document["benchmarks"]]


def test_it_measures_the_families_it_is_told_to_and_another_process_continues_from_its_entries(
    starting: Callable[[], Driver], tmp_path: Path
) -> None:
    first = starting()
    planned = first.begin(3)
    assert planned.versions["torch"]
    names = [family.name for family in planned.families]
    ready = first.order(Begin())
    assert isinstance(ready, Ready)
    assert ready.measured == []
    for name in names[:2]:
        measured = first.order(Measure(family=name, seconds=20.0))
        assert isinstance(measured, Measured)
        assert measured.whole
        assert not measured.stopped
    visited = first.order(Visit(seconds=20.0))
    assert isinstance(visited, Visited)
    assert visited.more
    os.killpg(first.child.pid, signal.SIGKILL)
    gone = first.answer()
    assert isinstance(gone, Gone)
    assert "was killed by SIGKILL" in gone.why
    assert_readable_as_a_run(first.entries, planned, tmp_path)

    second = starting()
    assert second.begin(3).identity == planned.identity
    ready = second.order(Begin(entries=first.entries))
    assert isinstance(ready, Ready)
    assert ready.measured == names[:2]
    assert ready.used > 0
    assert not second.order(Visit(seconds=0.0)).more, "its part of the budget is used up"
    assert second.order(Measure(family=names[2], seconds=20.0)).whole
    finished = second.order(End())
    assert isinstance(finished, Finished)
    assert len(ids(finished)) == 3
    run = finished.document["torchduet"]
    assert run["resumed"][0]["families"] == 2
    assert run["unreached"] == []
    assert [entry["kind"] for entry in second.entries].count("family") == 1
    assert second.entries[-1]["kind"] == "end"


def assert_readable_as_a_run(entries: list[dict[str, Any]], planned: Planned, folder: Path) -> None:
    """What a machine has measured that does not come back is a run's file, of what it has measured only."""
    journal = FleetJournal.create(folder / "fleet.journal", Header(options={}, sources={}, started=""))
    log = journal.new_log(planned)
    for entry in entries:
        journal.add(log, entry)
    kind = kind_of(planned, "machine")
    results = Results(folder, run_so_far, {})
    path = results.finish(journal, Result({kind.name: kind}, {}, {}), "machine", merge)
    journal.close()
    assert path is not None
    run = load(str(path))
    ids_of = [record["case"]["id"] for record in run.records]
    assert ids_of == ["many.add[n=1] cpu eager fp32", "many.add[n=2] cpu eager fp32"]
    about = json.loads(path.read_bytes())["torchduet"]
    assert (about["stopped"], about["unreached"]) == ("the machine was lost", [])
    assert not any("--resume" in warning for warning in about["warnings"])


def test_a_stop_request_while_it_measures_ends_it_with_what_it_has(
    starting: Callable[[], Driver], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    limit = tmp_path / "limit"
    limit.write_text("1")
    monkeypatch.setenv("TORCHDUET_TEST_LIMIT", str(limit))
    driver = starting()
    first, second, _ = (family.name for family in driver.begin(3).families)
    driver.order(Begin())
    assert driver.order(Measure(family=first, seconds=20.0)).whole
    driver.child.send(Measure(family=second, seconds=20.0))  # which waits
    driver.child.send(Stop(number=signal.SIGINT))
    stopped = driver.answer()
    assert isinstance(stopped, Measured)
    assert not stopped.whole
    finished = driver.answer()
    assert isinstance(finished, Finished)
    assert ids(finished) == ["many.add[n=1] cpu eager fp32"]
    assert finished.document["torchduet"]["stopped"] == "stopped by SIGINT"


def test_all_of_its_processes_end_when_what_has_started_it_is_gone(
    starting: Callable[[], Driver], monkeypatch: pytest.MonkeyPatch
) -> None:
    mark = str(uuid.uuid4())
    monkeypatch.setenv("MARKED_BY_A_TEST", mark)
    driver = starting()
    (name, *_) = (family.name for family in driver.begin(3).families)
    driver.order(Begin())
    driver.order(Measure(family=name, seconds=20.0))
    assert len(marked(mark)) > 1
    assert driver.child._process.stdin is not None
    driver.child._process.stdin.close()
    deadline = time.monotonic() + SECONDS
    while marked(mark):
        assert time.monotonic() < deadline
        time.sleep(0.1)


def marked(mark: str) -> list[str]:
    """The processes with this mark among their variables."""
    found = []
    for path in Path("/proc").glob("[0-9]*/environ"):
        with contextlib.suppress(OSError):
            if mark.encode() in path.read_bytes():
                found.append(path.parent.name)
    return found


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"suite": ["absent.py"]}, "does not exist"),
        ({"device": "cuda"}, "--device cuda: "),
        ({"threads": "many"}, "--threads 'many'"),
    ],
)
def test_what_cannot_be_used_is_one_reply(starting: Callable[[], Driver], given: dict[str, Any], says: str) -> None:
    problem = starting().order(Start(options={**GIVEN, **given}, when_busy="go"))
    assert isinstance(problem, Problem)
    assert says in problem.text


def test_entries_go_to_the_driver_whatever_becomes_of_the_journal_here(tmp_path: Path) -> None:
    sent: list[Message] = []
    progress = NodeProgress(send=sent.append)
    ended = Ended(at=1.0)
    assert progress.write(ended) is None, "there is no journal, as on a full disk"
    progress.journal = Journal.create(tmp_path / "run.json.journal", {"identity": {}, "run": {}, "plan": []})
    progress.write(ended)
    progress.journal.close()
    progress.write(ended)
    assert sent == [Wrote(entry=entry_of(ended))] * 3


def test_a_case_that_it_does_not_have_is_told(starting: Callable[[], Driver]) -> None:
    planned = starting().order(Start(options={**GIVEN, "case": ["many.*", "* cuda *"]}, when_busy="go"))
    assert isinstance(planned, Planned)
    assert planned.unmatched == ["* cuda *"]
    assert len(planned.families) == 3


def test_files_that_are_replaced_while_they_are_copied_are_copied_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, real = tmp_path / "source", shutil.copytree
    tries = []

    def replaced(*given: Any, **named: Any) -> Any:
        tries.append(source.exists())
        if len(tries) == 2:
            source.mkdir()
            (source / "suite.py").write_text("")
        return real(*given, **named)

    monkeypatch.setattr(shutil, "copytree", replaced)
    copy(source, tmp_path / "target")
    assert (tries, (tmp_path / "target" / "suite.py").exists()) == ([False, False], True)
    with pytest.raises(FileNotFoundError):
        copy(tmp_path / "absent", tmp_path / "other", 2)


def test_the_path_of_a_working_folder_that_was_removed_is_known(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    assert working_folder() == gone
