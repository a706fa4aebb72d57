"""Ctrl-Z: the worker stands still with pytest, both go on together, and the run says so."""

import json
import shutil
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path
from time import sleep

import pytest

from bench.engine.passing import LEAST_STOPPED
from tests.bench.test_left_behind import Traces, until
from tests.faults.run import Bench, records


@pytest.fixture
def traces() -> Iterator[Traces]:
    folder = Path(tempfile.mkdtemp(prefix="td-", dir="/tmp"))
    yield Traces(folder)
    shutil.rmtree(folder, ignore_errors=True)


def stop(bench: Bench, traces: Traces) -> None:
    """Stop pytest while one of its workers is at work."""
    for _ in range(100):
        bench.signal(signal.SIGTSTP)
        if until(lambda: traces.stopped() >= 2, 2):
            return
        bench.signal(signal.SIGCONT)  # it was between two workers
        sleep(0.1)
    raise AssertionError(str(traces))


def test_both_stand_still_and_go_on_and_the_run_says_so(traces: Traces, tmp_path: Path) -> None:
    bench = Bench(traces, tmp_path / "run.json", budget="6s")
    bench.until_families(1)
    stop(bench, traces)
    before = bench.journal.stat().st_size
    sleep(LEAST_STOPPED + 1)
    assert bench.journal.stat().st_size == before
    bench.signal(signal.SIGCONT)
    code, output = bench.end()
    assert code == 0, output
    assert "pytest was stopped for" in output
    about = json.loads(bench.run.read_text())["torchduet"]
    assert about["passing"]["stopped"] >= LEAST_STOPPED
    assert any("pytest was stopped for" in warning for warning in about["warnings"])
    assert len(records(bench.run)) + len(about["skipped"]) == 4
    assert until(traces.none, 10), traces
