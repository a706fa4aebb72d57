"""A run that is killed goes on with what is missing, and nothing that was measured is lost or measured twice.

After Ctrl-C or SIGTERM once what there is is written; twice: it stops at once.
"""

import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.bench.test_left_behind import ROOT, Traces
from tests.faults.run import kept, read, timing
from tests.faults.story import FAMILIES, Stage, Story
from torchduet.bench.host.run_clock import MIN_STOPPED
from torchduet.bench.record import journal
from torchduet.bench.timing.stopping import MIN_VISIT_PLACEMENTS


@dataclass
class Told:
    """What became of one run, process by process."""

    killed: list[Stage]
    torn: bytes
    refused: Stage
    page: str
    stopped: Stage
    terminated: Stage
    twice: Stage
    finished: Stage
    again: tuple[Any, Any]


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Told]:
    folder = Path(tempfile.mkdtemp(prefix="td-", dir="/tmp"))
    story = Story(tmp_path_factory.mktemp("story"), Traces(folder))
    killed = [story.killed(more=2)]
    torn = b'{"crc32":"00000000","entry":{"kind":"fam'  # in the middle of a line
    with story.run.with_name("run.json.journal").open("ab") as file:
        file.write(torn)
    refused = story.refused()
    page = story.rendered()
    killed += [story.killed_at_its_start(), story.killed("--resume", after=0.1)]
    stopped = story.stopped()
    terminated = story.signalled(signal.SIGTERM)
    twice = story.signalled(signal.SIGINT, signal.SIGTERM)
    killed.append(story.killed("--resume", after=0.3))
    finished = story.finished()
    yield Told(killed, torn, refused, page, stopped, terminated, twice, finished, story.finished_again())
    shutil.rmtree(folder, ignore_errors=True)


def test_killed_then_resumed_it_holds_the_same_cases_and_what_was_measured_before(told: Told) -> None:
    assert [stage.code for stage in told.killed] == [-signal.SIGKILL] * 4
    assert all(stage.about is None for stage in told.killed)
    assert told.finished.code == 0, told.finished.output
    found = timing(told.finished.records)
    assert len(found) == FAMILIES
    assert not told.finished.about["unreached"]
    known: dict[str, Any] = {}
    for stage in (*told.killed[:3], told.stopped, told.terminated, told.twice, told.killed[3]):
        assert kept(known, stage.known)
        known = stage.known
    assert kept(known, found)
    assert 7 <= len(known) < FAMILIES
    resumed = told.finished.about["resumed"]
    assert len(resumed) >= 5
    assert [one["families"] for one in resumed] == sorted(one["families"] for one in resumed)


def test_killed_once_it_loses_nothing_of_what_was_measured(tmp_path: Path) -> None:
    folder = Path(tempfile.mkdtemp(prefix="td-", dir="/tmp"))
    try:
        story = Story(tmp_path, Traces(folder), families=5)
        killed, finished = story.killed(), story.finished()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    assert (killed.code, finished.code) == (-signal.SIGKILL, 0), finished.output
    found = timing(finished.records)
    assert (len(found), finished.about["unreached"]) == (5, [])
    assert killed.known
    assert kept(killed.known, found)
    assert not killed.left + finished.left


def test_the_torn_end_of_a_journal_is_left_out_and_said(told: Told) -> None:
    assert "1 damaged line of" in told.killed[2].output or "1 damaged line of" in told.stopped.output


def test_with_other_options_it_is_refused(told: Told) -> None:
    assert told.refused.code == 4
    assert "option tier: quick there, full here" in told.refused.output
    assert "Traceback" not in told.refused.output
    assert told.refused.known == told.killed[0].known


def test_the_report_of_its_journal_says_that_it_was_stopped(told: Told) -> None:
    assert f"This run ended early: {len(told.killed[0].known)} of {FAMILIES} cases" in told.page


def test_ctrl_z_stops_the_worker_too_and_the_run_says_so(told: Told) -> None:
    assert "pytest was suspended for" in told.stopped.output
    assert told.stopped.about["passing"]["stopped"] >= MIN_STOPPED
    assert any("pytest was suspended for" in one for one in told.finished.about["warnings"])


@pytest.mark.parametrize(("name", "stage"), [("SIGINT", "stopped"), ("SIGTERM", "terminated")])
def test_once_what_there_is_is_written_and_the_rest_can_be_resumed(told: Told, name: str, stage: str) -> None:
    found: Stage = getattr(told, stage)
    assert found.code == 128 + getattr(signal, name), found.output
    assert "Traceback" not in found.output
    assert f"the run ended early (stopped by {name})" in found.output
    assert "give the same options and --resume" in found.output
    assert found.about["stopped"] == f"stopped by {name}"
    assert len(found.records) + len(found.about["unreached"]) == FAMILIES
    assert timing(found.records) == found.known
    # A family whose budget a loaded machine used up has as many as there was time for.
    assert all(len(blocks) >= MIN_VISIT_PLACEMENTS for blocks in found.cut_short.values())


def test_twice_it_stops_at_once_and_the_journal_is_intact(told: Told) -> None:
    assert told.twice.code == 130, told.twice.output
    assert told.twice.about is None
    assert len(told.twice.known) > len(told.terminated.known)


def test_nothing_is_left_behind(told: Told) -> None:
    for stage in (*told.killed, told.refused, told.stopped, told.terminated, told.twice, told.finished):
        assert stage.left == []


def test_from_its_whole_journal_a_run_is_the_same_to_the_last_digit(told: Told) -> None:
    before, now = told.again
    for one, other in zip(before["benchmarks"], now["benchmarks"], strict=True):
        assert one["extra_info"] == other["extra_info"]
        assert one["stats"] == other["stats"]
    changed = {name for name, value in before["torchduet"].items() if now["torchduet"][name] != value}
    assert changed <= {"seconds", "warnings", "resumed"}  # the total, and the load as of each start
    assert before["torchduet"]["noise"] == now["torchduet"]["noise"]


def test_an_unfinished_journal_is_kept_when_all_is_measured_anew(tmp_path: Path) -> None:
    path = journal.path_for(tmp_path / "run.json")
    one = journal.Journal.create(path, {})
    with pytest.raises(journal.JournalError, match="written by another run"):
        journal.set_aside(path)
    one.append({"kind": "pilot", "at": 1.0})
    one.close()
    assert journal.set_aside(path) is None  # no family is lost
    two = journal.Journal.create(path, {})
    two.append({"kind": "family", "name": "s.w"})
    two.close()
    assert journal.set_aside(path) == path.with_name("run.json.journal.1")
    found = read(path.with_name("run.json.journal.1"))
    assert found is not None
    assert found.families == 1


def test_a_full_disk_ends_the_journal_and_not_the_run(tmp_path: Path) -> None:
    path = tmp_path / "run.json.journal"
    script = f"""
import resource, signal
from pathlib import Path
from torchduet.bench.record.journal import Journal
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
journal = Journal.create(Path({str(path)!r}), {{}})
journal.append({{"kind": "family", "name": "a"}})
resource.setrlimit(resource.RLIMIT_FSIZE, (400, 400))
journal.append({{"kind": "family", "name": "b" * 1000}})
print(journal.problem)
"""
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    assert "cannot be written any more: File too large" in done.stdout
    found = read(path)
    assert found is not None
    assert [entry["name"] for entry in found.entries] == ["a"]
    assert found.dropped == 0


@pytest.mark.parametrize("cut", [1, 20, 50])
def test_whatever_is_torn_off_the_lines_before_it_stand(cut: int) -> None:
    lines = [journal.encode({"kind": kind, "format": 1}) for kind in ("run", "pilot", "family")]
    content = b"".join(lines)[:-cut]
    found = journal.parse(content, "it")
    assert [entry["kind"] for entry in found.entries] == ["pilot"]
    assert found.intact == len(lines[0]) + len(lines[1])
    flipped = content.replace(b"pilot", b"pixot")
    assert journal.parse(flipped, "it").entries == ()
