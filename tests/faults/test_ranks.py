"""Whatever becomes of one rank, its family fails with the reason, in bounded time, and nothing of it is left."""

import os
import shutil
import signal
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from time import monotonic

import pytest

from tests.bench.test_left_behind import Traces, until
from tests.faults import table
from tests.faults.run import WORKLOADS, Bench, records
from torchduet.bench.cases.case import Family, cases_of, group
from torchduet.bench.cases.exchange import CaseResult, Task
from torchduet.bench.workers.launcher import Launcher
from torchduet.suites.registry import load

FILE = str(WORKLOADS / "ranks.py")
BOUND = 30.0  # seconds
MARK = "TORCHDUET_TEST_MARK"

pytestmark = pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="finds processes in /proc")


@pytest.fixture
def traces() -> Iterator[Traces]:
    folder = Path(tempfile.mkdtemp(prefix="td-", dir="/tmp"))
    yield Traces(folder)
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module")
def own() -> Iterator[Traces]:
    """What the workers of this process leave."""
    folder = Path(tempfile.mkdtemp(prefix="td-", dir="/tmp"))
    yield Traces(folder)
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module")
def launcher(own: Traces) -> Iterator[Launcher]:
    with pytest.MonkeyPatch.context() as patch:
        for name in (MARK, "HANGING", "OMP_NUM_THREADS"):
            patch.setenv(name, own.environment[name])
        launcher = Launcher(silent_seconds=BOUND, files=[FILE])
        launcher.start(compiler=False)
        launcher.machine()
        yield launcher
        launcher.close()


@pytest.fixture(scope="module")
def families() -> dict[str, Family]:
    (suite,) = load(FILE)
    of = group(cases_of(FILE, suite, tier="quick", devices=["cpu"]))
    return {family.reference.workload: family for family in of}


@dataclass
class Found:
    """What became of a family: case → result, in so many seconds."""

    harmless: CaseResult
    faulty: CaseResult
    seconds: float
    left: bool


@pytest.fixture(scope="module")
def measure(launcher: Launcher, families: dict[str, Family], own: Traces) -> Callable[[str], Found]:
    @cache
    def measured(name: str) -> Found:
        before = set(own.pids())
        start = monotonic()
        result = launcher.measure(Task(families[name], 0.1, 1), lambda _: None)
        seconds = monotonic() - start
        left = not until(lambda: set(own.pids()) <= before, 5)
        of = {(one.case.implementation, one.case.ranks): one for one in result.results}
        return Found(of["harmless", min(ranks for _, ranks in of)], of["faulty", 2], seconds, left)

    return measured


@pytest.mark.parametrize("fault", list(table.RANKS))
def test_a_fault_of_a_rank_costs_its_family_or_less_in_bounded_time(
    measure: Callable[[str], Found], fault: str
) -> None:
    _, words, cost = table.RANKS[fault]
    found = measure(fault)
    assert not found.left
    assert found.seconds < BOUND
    if cost == table.NOTHING:
        assert found.faulty.error is None
        assert found.faulty.blocks
        return
    assert found.faulty.error is not None
    assert words in found.faulty.error
    assert found.faulty.error.replace("\n", "").isprintable()
    assert len(found.faulty.error) < 3000
    assert not found.faulty.blocks or cost == table.CASE
    if cost == table.CASE:
        assert found.harmless.error is None
        assert found.harmless.blocks
    else:
        assert found.harmless.error is not None
        assert words in found.harmless.error
        assert not found.harmless.blocks


@pytest.mark.parametrize("fault", [name for name, entry in table.RANKS.items() if entry[0].startswith("SIGKILL")])
def test_the_last_lines_of_a_rank_that_was_killed_are_quoted(measure: Callable[[str], Found], fault: str) -> None:
    error = measure(fault).faulty.error
    assert error is not None
    first, *lines = error.split("\n")
    assert "rank 1 of 2 was killed by SIGKILL" in first
    assert lines[0] == "Its last output:"
    assert "last words of rank 1" in lines[1:]


def test_the_stack_of_a_rank_that_does_not_answer_is_quoted(measure: Callable[[str], Found]) -> None:
    error = measure("sleeps").faulty.error
    assert error is not None
    assert "Stack (most recent call first):" in error
    assert "ranks.py" in error.partition("Stack")[2]


def test_other_families_of_a_run_are_intact(traces: Traces, tmp_path: Path) -> None:
    words = "fine or in_a_block or control_characters or (raises_in_all and later)"
    bench = Bench(traces, tmp_path / "run.json", "-k", words, suite=Path(FILE), budget="5s")
    code, output = bench.end()
    assert code == 1, output
    assert "Traceback" not in output
    assert "rank 1 of 2 was killed by SIGKILL" in output
    assert "\x1b[2J" not in output
    found = {
        record["case"]["workload"] + " " + record["case"]["implementation"] for record in records(bench.run).values()
    }
    assert found == {"fine harmless", "fine faulty", "raises_in_all_later harmless"}
    assert until(traces.none, 20), traces


@pytest.fixture
def patient(traces: Traces) -> Traces:
    """Ranks are waited for, for longer than a test takes."""
    traces.environment["PATIENCE_WITH_RANKS"] = "100"
    return traces


def at_the_fault(traces: Traces, run: Path, name: str) -> tuple[Bench, int]:
    """A run whose family has come to its fault, and the process of its worker."""
    bench = Bench(traces, run, "-k", name, suite=Path(FILE), budget="5s")
    assert until(traces.hanging.exists, 60), bench.process.kill()
    return bench, int(traces.hanging.read_text().split()[1])


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_a_run_whose_ranks_wait_for_each_other(
    patient: Traces, tmp_path: Path, number: signal.Signals
) -> None:
    bench, _ = at_the_fault(patient, tmp_path / "run.json", "blocked")
    start = monotonic()
    bench.signal(number)
    code, output = bench.end()
    assert monotonic() - start < BOUND
    assert code == 128 + number, output
    assert "Traceback" not in output
    assert until(patient.none, 10), patient


@pytest.mark.parametrize("who", ["pytest", "worker"])
def test_no_rank_outlives_what_it_was_started_by(patient: Traces, tmp_path: Path, who: str) -> None:
    bench, worker = at_the_fault(patient, tmp_path / "run.json", "blocked")
    assert patient.in_group(worker) == 3  # with two ranks
    os.kill(bench.process.pid if who == "pytest" else worker, signal.SIGKILL)
    code, output = bench.end()
    assert code == (-signal.SIGKILL if who == "pytest" else 1)
    assert who == "pytest" or "the worker was killed by SIGKILL" in output
    assert until(lambda: not patient.in_group(worker), 5), str(patient)


@pytest.mark.parametrize("stage", ["call", "memory"])
def test_after_a_signal_during_the_passes_after_the_timing_the_results_are_written(
    patient: Traces, tmp_path: Path, stage: str
) -> None:
    bench, _ = at_the_fault(patient, tmp_path / "run.json", f"interrupted_{stage}")
    bench.signal(signal.SIGINT)
    code, output = bench.end()
    assert code == 130, output
    assert {record["case"]["implementation"] for record in records(bench.run).values()} == {"harmless", "faulty"}
