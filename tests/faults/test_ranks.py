"""Whatever becomes of one rank, its family fails with the reason, in bounded time, and nothing of it is left."""

import os
import shutil
import signal
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from time import monotonic

import pytest

from tests.bench.test_left_behind import Traces, until
from tests.faults import table
from tests.faults.run import WORKLOADS, Bench, records
from torchduet.bench.cases.case import Family, cases_of, group
from torchduet.bench.cases.exchange import CaseResult, FamilyResult, ProfileTask, Task
from torchduet.bench.workers.launcher import EndedEarlyError, Launcher, WorkerError
from torchduet.suites.registry import load

FILE = str(WORKLOADS / "ranks.py")
BOUND = 30.0  # seconds
LONG_SHARE = 20.0  # seconds of a family: on a busy machine blocks are too long for less, and the control is left out
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
        share = LONG_SHARE if name == "in_the_control" else 0.0
        result = launcher.measure(Task(families[name], 0.1, 1, share=share), lambda _: None)
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


def test_a_rank_that_is_killed_in_a_later_visit_costs_that_visit(
    launcher: Launcher, families: dict[str, Family]
) -> None:
    task = Task(families["killed_in_a_later_visit"], 0.1, 1)
    first = launcher.measure(task, lambda _: None)
    assert all(one.error is None and one.blocks for one in first.results)
    paces = {one.case: one.pace for one in first.results if one.pace is not None}
    later = launcher.visit(replace(task, number=1, paces=paces), lambda _: None)
    assert all("rank 1 of 2 was killed by SIGKILL" in (one.error or "") for one in later.results)
    assert not any(one.blocks for one in later.results)


def test_a_rank_that_is_killed_while_the_first_is_profiled_costs_the_profiles(
    launcher: Launcher, families: dict[str, Family], tmp_path: Path
) -> None:
    family = families["profiled"]
    job = ProfileTask(Task(family, 0.1, 1), {case: str(tmp_path) for case in family.reported})
    start = monotonic()
    found = launcher.profile(job, lambda _: None)
    assert monotonic() - start < BOUND
    assert not found.records
    assert all("rank 1 of 2 was killed by SIGKILL" in error for error in found.errors.values())
    assert set(found.errors) == set(family.reported)


def test_ranks_that_compute_for_long_are_waited_for(launcher: Launcher, families: dict[str, Family]) -> None:
    task = Task(families["computes_for_long"], 0.1, 1, check_only=True)
    assert [one.error for one in launcher.measure(task, lambda _: None).results] == [None, None]


def test_other_families_of_a_run_are_intact(traces: Traces, tmp_path: Path) -> None:
    words = "fine or in_a_block or control_characters or (raises_in_all and later)"
    bench = Bench(traces, tmp_path / "run.json", "-k", words, suite=Path(FILE), budget="25s")
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


@dataclass
class Meanwhile:
    """A family that is measured by this process' launcher, in a thread of its own."""

    launcher: Launcher
    own: Traces

    def until_hanging(self, family: Family, then: Callable[[int], object]) -> FamilyResult:
        """Measure it; as soon as one of its ranks waits, ``then`` is called with the process of its worker."""
        self.own.hanging.unlink(missing_ok=True)
        with ThreadPoolExecutor(1) as beside:
            measuring = beside.submit(self.launcher.measure, Task(family, 1.0, 1), lambda _: None)
            assert until(self.own.hanging.exists, 60)
            worker = int(self.own.hanging.read_text().split()[1])
            assert self.own.in_group(worker) == 3  # with two ranks
            then(worker)
            try:
                return measuring.result(BOUND)
            finally:
                self.launcher.stop_requested = lambda: False
                assert until(lambda: not self.own.in_group(worker), 5), str(self.own)

    def stop(self, _: int) -> None:
        """End the run early."""
        self.launcher.stop_requested = lambda: True


@pytest.fixture
def meanwhile(launcher: Launcher, own: Traces) -> Meanwhile:
    return Meanwhile(launcher, own)


def test_no_rank_outlives_its_worker(meanwhile: Meanwhile, families: dict[str, Family]) -> None:
    with pytest.raises(WorkerError, match="the worker was killed by SIGKILL"):
        meanwhile.until_hanging(families["blocked"], lambda worker: os.kill(worker, signal.SIGKILL))


def test_a_stop_request_ends_ranks_that_wait_for_each_other(meanwhile: Meanwhile, families: dict[str, Family]) -> None:
    start = monotonic()
    try:
        result = meanwhile.until_hanging(families["blocked"], meanwhile.stop)
        assert all(one.error for one in result.results)  # they were given up before the worker was
    except EndedEarlyError:
        pass
    assert monotonic() - start < BOUND


@pytest.mark.parametrize("stage", ["call", "memory"])
def test_a_stop_request_during_the_passes_after_the_timing_costs_no_result(
    meanwhile: Meanwhile, families: dict[str, Family], stage: str
) -> None:
    result = meanwhile.until_hanging(families[f"interrupted_{stage}"], meanwhile.stop)
    assert all(one.error is None and one.blocks for one in result.results)


def at_the_fault(traces: Traces, run: Path, name: str) -> tuple[Bench, int]:
    """A run whose family has come to its fault, and the process of its worker."""
    bench = Bench(traces, run, "-k", name, suite=Path(FILE), budget="25s")
    assert until(traces.hanging.exists, 60), bench.process.kill()
    return bench, int(traces.hanging.read_text().split()[1])


def test_no_rank_outlives_pytest(traces: Traces, tmp_path: Path) -> None:
    traces.environment["PATIENCE_WITH_RANKS"] = "100"
    bench, worker = at_the_fault(traces, tmp_path / "run.json", "blocked")
    assert traces.in_group(worker) == 3  # with two ranks
    bench.signal(signal.SIGKILL)
    assert bench.end()[0] == -signal.SIGKILL
    assert until(lambda: not traces.in_group(worker), 5), str(traces)


def test_after_sigterm_in_the_control_the_results_are_written_and_nothing_is_left(
    traces: Traces, tmp_path: Path
) -> None:
    bench, _ = at_the_fault(traces, tmp_path / "run.json", "interrupted_call")
    bench.signal(signal.SIGTERM)
    code, output = bench.end()
    assert code == 128 + signal.SIGTERM, output
    assert {record["case"]["implementation"] for record in records(bench.run).values()} == {"harmless", "faulty"}
    assert until(traces.none, 20), str(traces)
