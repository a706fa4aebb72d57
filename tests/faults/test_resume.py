"""A run that is killed goes on with what is missing, and nothing that was measured is lost or measured twice."""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.engine import journal
from tests.bench.test_left_behind import ROOT, Traces, until
from tests.faults.run import Bench, journaled, read, records, timing


@pytest.fixture
def traces() -> Iterator[Traces]:
    folder = Path(tempfile.mkdtemp(prefix="td-", dir="/tmp"))
    yield Traces(folder)
    shutil.rmtree(folder, ignore_errors=True)


def test_killed_then_resumed_it_holds_the_same_cases_and_what_was_measured_before(
    traces: Traces, tmp_path: Path
) -> None:
    run = tmp_path / "run.json"
    killed = Bench(traces, run, budget="2m")  # so much that a busy machine leaves nothing out
    killed.until_families(1)
    killed.signal(signal.SIGKILL)
    killed.end()
    before = journaled(killed.journal)
    assert 1 <= len(before) <= 4
    assert not run.exists()
    with killed.journal.open("ab") as file:
        file.write(b'{"crc32":"00000000","entry":{"kind":"fam')  # torn off in the middle of a line

    refused_code, refused = Bench(traces, run, "--resume", "--tier", "full", budget="2m").end()
    assert refused_code == 4
    assert "option tier: quick there, full here" in refused
    assert "Traceback" not in refused

    page = tmp_path / "cut.html"
    rendered = subprocess.run(
        [sys.executable, "-m", "reports", "render", str(killed.journal), "-o", str(page)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert rendered.returncode == 0, rendered.stderr
    assert f"This run was stopped: {len(before)} of 4 cases" in page.read_text()

    code, output = Bench(traces, run, "--resume", budget="2m").end()
    assert code == 0, output
    assert f"resumed from {killed.journal}" in output
    assert "1 damaged line(s)" in output
    after = records(run)
    assert len(after) == 4
    assert not json.loads(run.read_text())["torchduet"]["unreached"]
    assert {case: after[case]["timing"] for case in before} == timing(before)
    assert not killed.journal.exists()
    (resumed,) = json.loads(run.read_text())["torchduet"]["resumed"]
    assert resumed["families"] == len({record["case"]["family"] for record in before.values()})
    assert until(lambda: not traces.processes(), 10), traces


def test_from_its_whole_journal_a_run_is_the_same_to_the_last_digit(traces: Traces, tmp_path: Path) -> None:
    run, kept = tmp_path / "run.json", tmp_path / "kept"
    first = Bench(traces, run)
    while first.process.poll() is None:  # a link to the journal outlives its removal
        if not kept.exists() and first.journal.exists():
            os.link(first.journal, kept)
    code, output = first.end()
    assert code == 0, output
    undisturbed = json.loads(run.read_text())
    run.unlink()
    kept.rename(first.journal)
    code, output = Bench(traces, run, "--resume").end()
    assert code == 0, output
    resumed = json.loads(run.read_text())
    for one, other in zip(undisturbed["benchmarks"], resumed["benchmarks"], strict=True):
        assert one["extra_info"] == other["extra_info"]
        assert one["stats"] == other["stats"]
    changed = {name for name, value in undisturbed["torchduet"].items() if resumed["torchduet"][name] != value}
    assert changed <= {"seconds", "warnings"}  # the total, and the load as of each start
    assert undisturbed["torchduet"]["noise"] == resumed["torchduet"]["noise"]


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
from bench.engine.journal import Journal
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
    assert found.whole == len(lines[0]) + len(lines[1])
    flipped = content.replace(b"pilot", b"pixot")
    assert journal.parse(flipped, "it").entries == ()
