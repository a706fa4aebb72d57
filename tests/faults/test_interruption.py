"""Ctrl-C or SIGTERM once: what there is is written; twice: it stops at once. Nothing is lost or left behind."""

import json
import shutil
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.bench.test_left_behind import Traces, until
from tests.faults.run import Bench, journaled, records, timing


@pytest.fixture
def traces() -> Iterator[Traces]:
    folder = Path(tempfile.mkdtemp(prefix="td-", dir="/tmp"))
    yield Traces(folder)
    shutil.rmtree(folder, ignore_errors=True)


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"])
def test_once_what_there_is_is_written_and_the_rest_can_be_resumed(traces: Traces, tmp_path: Path, name: str) -> None:
    number = getattr(signal, name)
    bench = Bench(traces, tmp_path / "run.json", budget="20s")
    bench.until_families(1)
    bench.signal(number)
    code, output = bench.end()
    assert code == 128 + number, output
    assert "Traceback" not in output
    assert f"the run stopped early, it was interrupted by {name}" in output
    assert "give the same options and --resume" in output
    about = json.loads(bench.run.read_text())["torchduet"]
    assert about["stopped"] == f"it was interrupted by {name}"
    found = records(bench.run)
    assert len(found) >= 1
    assert len(found) + len(about["unreached"]) == 4
    assert all(len(record["timing"]["blocks"]) >= 8 for record in found.values())
    assert timing(found) == timing(journaled(bench.journal))
    assert until(traces.none, 10), traces


def test_twice_it_stops_at_once_and_the_journal_is_intact(traces: Traces, tmp_path: Path) -> None:
    bench = Bench(traces, tmp_path / "run.json", budget="20s")
    bench.until_families(1)
    bench.signal(signal.SIGINT)
    bench.signal(signal.SIGTERM)
    code, output = bench.end()
    assert code == 130, output
    assert not bench.run.exists()
    assert len(journaled(bench.journal)) >= 1
    assert until(traces.none, 10), traces
