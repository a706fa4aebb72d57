"""Two live interpreters: what reaches whom, what each failure costs, and that nothing is left behind."""

import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from threading import Event, Thread
from time import monotonic, sleep
from typing import Any, ClassVar

import pytest

from torchduet.bench.cases.case import Case, Family, cases_of, group
from torchduet.bench.duet import process_groups
from torchduet.bench.duet.duet import Duet
from torchduet.bench.duet.pairs import Ledger, Taken
from torchduet.bench.duet.placements import time_blocks
from torchduet.bench.duet.pool import MAX_LIVE, Pool
from torchduet.bench.duet.processes import Server, SideError, link_packages
from torchduet.bench.duet.profile import profile_both
from torchduet.bench.duet.sides import Side, interpreter, sides
from torchduet.bench.passes.pilots import PILOTS
from torchduet.bench.plan.options import OptionError
from torchduet.bench.record.schema import GRADES
from torchduet.bench.record.visits.sides import pair_of
from torchduet.bench.run.profile_selection import Profiling
from torchduet.bench.workers.launcher import EndedEarlyError
from torchduet.suites.cpus import usable_cpus
from torchduet.suites.registry import load

ROOT = Path(__file__).parents[2]
WORKLOADS = Path(__file__).parent / "workloads"
SIDED, SMALL = str(WORKLOADS / "sided.py"), str(WORKLOADS / "small.py")
MARK = "TORCHDUET_DUET_MARK"


def family(source: str, words: str) -> list[Case]:
    """The cases of the one family with these words in its name."""
    (suite,) = load(source)
    (found,) = [one for one in group(cases_of(source, suite, tier="quick", devices=["cpu"])) if words in one.name]
    return list(found.reported)


def processes(mark: str) -> list[str]:
    """Command lines of the live processes that have a mark in their environment."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if f"{MARK}={mark}".encode() in (folder / "environ").read_bytes():
                found.append((folder / "cmdline").read_text().replace("\0", " "))
        except OSError:
            continue
    return found


@pytest.fixture(scope="module")
def duet() -> Iterator[Duet]:
    """This interpreter against itself with SIDED=1, one pair of servers."""
    made = Duet((Side(sys.executable), Side(sys.executable, (("SIDED", "1"), (MARK, "live")))), compiler=False)
    servers = made.pool.start()
    monkeypatch = pytest.MonkeyPatch()
    monkeypatch.setattr(made.pool, "unused", lambda _: made.pool.any())  # the same interpreters for every test
    yield made
    monkeypatch.undo()
    made.close()
    assert not any(server._process.poll() is None for server in servers)
    assert processes("live") == []


def pair(duet: Duet, cases: list[Case]) -> tuple[Ledger, Taken]:
    """The first pair of workers of a family."""
    return duet.first(cases, 10.0, lambda: None)


def difference(taken: Taken, case: Case) -> float:
    """log(A's time / B's time)."""
    return pair_of(*taken.blocks[case])[0]


def test_both_sides_time_the_same_turns(duet: Duet) -> None:
    (case,) = family(SIDED, "equal")
    ledger, taken = pair(duet, [case])
    assert not ledger.failures
    base, against = taken.blocks[case]
    # As many as fit into the time: all that are planned only where nothing else keeps the cores busy.
    assert list(map(len, base)) == list(map(len, against))
    assert 1 <= len(base) <= ledger.paces[case].placements
    assert all(1 <= len(turns) <= ledger.paces[case].turns for turns in base)
    assert min(min(turns) for turns in base + against) > 0
    assert taken.switches[case].blocks >= 2 * sum(map(len, base))
    assert taken.telemetry is not None
    assert 0 < taken.seconds < 2 * taken.telemetry.seconds
    assert ledger.first[case]["check"]["relative_error"] <= ledger.first[case]["check"]["tolerance"]
    stages = dict(taken.stages)
    assert stages.keys() >= {"interpreters", "checking", "warming", "handing_over", "timed", "peak_memory"}
    assert all(seconds >= 0 for seconds in stages.values())
    assert stages["timed"] == taken.seconds
    assert stages["checking"] > 0
    assert len(processes("live")) == 1  # the server; its worker has ended


def test_a_side_that_does_more_is_slower(duet: Duet) -> None:
    (case,) = family(SIDED, "more")
    _, taken = pair(duet, [case])
    assert -3 < difference(taken, case) < -0.4  # log(2/9) is -1.5; on a loaded machine one pair may be far off


@pytest.mark.parametrize(
    ("words", "skip", "reason"),
    [
        ("raises", False, "it raised ValueError: not on this side (sided.py:"),
        ("lacking", True, "something is not installed: pip install something"),
        ("aborts", False, "was killed by SIGABRT"),
    ],
)
def test_what_fails_on_one_side_says_which_and_why(duet: Duet, words: str, skip: bool, reason: str) -> None:
    (case,) = family(SIDED, words)
    ledger, taken = pair(duet, [case])
    assert ledger.failures[case].side == 1
    assert ledger.failures[case].skip is skip
    assert reason in ledger.failures[case].reason
    assert case not in taken.blocks


def test_a_case_that_only_one_side_can_run_has_no_profile(duet: Duet, tmp_path: Path) -> None:
    (case,) = family(SIDED, "raises")
    records: Any = {case: {"timing": {"seconds": 1.0}, "against": {}}}
    profiling = Profiling("all", tmp_path, tmp_path)
    profiles, (warning,) = profile_both(duet, profiling, [Family((case,), (case,))], records, str, lambda _: None)
    assert "raises cpu eager fp32 has no profile" in warning
    assert "not on this side" in warning
    assert profiles == {}


def test_after_a_crash_the_next_family_is_timed(duet: Duet) -> None:
    pair(duet, family(SIDED, "aborts"))
    assert not pair(duet, family(SIDED, "equal"))[0].failures


def test_a_later_pair_times_the_cases_in_the_same_way(duet: Duet) -> None:
    cases = family(SIDED, "equal")
    ledger, _ = pair(duet, cases)
    paces = dict(ledger.paces)
    taken = duet.later(ledger, lambda: None)
    assert (ledger.pairs, ledger.paces) == (2, paces)
    assert list(taken.blocks) == cases


def test_a_pair_ends_at_the_next_placement_if_the_run_is_to_end(duet: Duet) -> None:
    placements: list[int] = []

    def report() -> None:
        placements.append(1)
        if len(placements) == 2:
            raise EndedEarlyError

    with pytest.raises(EndedEarlyError):
        duet.first(family(SIDED, "equal"), 10.0, report)
    assert len(placements) == 2
    assert len(processes("live")) == 1  # its worker has ended


def test_the_pilots_are_timed_by_a_worker_of_side_a(duet: Duet) -> None:
    pilots = duet.pilots(1, 0.03)
    assert set(pilots) == set(PILOTS)
    assert min(pilots.values()) > 0


def test_another_pair_of_a_family_comes_from_other_interpreters() -> None:
    class FakeServer:
        live: ClassVar[list[int]] = []

        def __init__(self) -> None:
            self.live.append(id(self))

        def ready(self) -> None: ...

        def close(self) -> None:
            self.live.remove(id(self))

    started: list[Any] = []

    def start() -> Any:
        started.append((FakeServer(), FakeServer()))
        return started[-1]

    pool = Pool(start)
    assert pool.unused("f") is started[0]
    assert not pool.has_unused("f")
    assert pool.has_unused("g")
    assert pool.unused("g") is started[0]
    assert pool.unused("f") is started[1]
    assert pool.unused("g") is started[1]
    for _ in range(2 * MAX_LIVE):
        pool.unused("f")
    assert len(FakeServer.live) == 2 * MAX_LIVE
    assert pool.any() is started[-1]
    pool.close()
    assert FakeServer.live == []


def test_a_worker_stands_still_between_its_turns(duet: Duet) -> None:
    base, _ = duet.pool.any()
    own_end, other_end = socket.socketpair()
    worker = base.fork(own_end)
    try:
        worker.pause()
        deadline = monotonic() + 5
        while state(worker.pid) != "T" and monotonic() < deadline:
            worker.pause()  # it may not have had a group of its own before
            sleep(0.01)
        assert state(worker.pid) == "T"
        for _ in range(20):
            process_groups.resume(worker.pid)
            worker.pause()
            assert state(worker.pid) == "T"  # at once: the other side's turn comes next
    finally:
        worker.end()
        own_end.close()
        other_end.close()
    assert not Path(f"/proc/{worker.pid}").exists()


@pytest.mark.parametrize(
    ("words", "threads", "stops"),
    [
        ("equal", 1, False),
        pytest.param("equal", 2, True, marks=pytest.mark.skipif(len(usable_cpus()) < 2, reason="needs two cores")),
        ("forks", 1, True),
    ],
)
def test_a_side_is_stopped_while_it_waits_only_if_it_would_use_a_core(
    words: str, threads: int, stops: bool, duet: Duet, monkeypatch: pytest.MonkeyPatch
) -> None:
    waited: list[bool] = []

    def watched(pair: Any, *rest: Any) -> Taken:
        waited.append(pair[0].stops)
        assert pair[0].stops == pair[1].stops
        return time_blocks(pair, *rest)

    monkeypatch.setattr("torchduet.bench.duet.duet.time_blocks", watched)
    monkeypatch.setattr(duet, "threads", threads)
    (case,) = family(SIDED, words)
    ledger, taken = pair(duet, [case])
    assert not ledger.failures
    assert waited == [stops]
    base, against = taken.blocks[case]
    assert len(base) == len(against) >= 1


@pytest.mark.parametrize(
    ("words", "reason"), [("stumbles", "was killed by SIGABRT"), ("hangs", "reported nothing for ")]
)
def test_a_side_that_ends_or_hangs_in_a_block_is_named(
    words: str, reason: str, duet: Duet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("torchduet.bench.duet.placements.SILENT_SECONDS", 1.0)
    monkeypatch.setattr("torchduet.bench.duet.placements.ANSWER_SECONDS", 1.0)
    (case,) = family(SIDED, words)
    ledger, taken = pair(duet, [case])
    assert ledger.failures[case].side == 1
    assert reason in ledger.failures[case].reason
    assert case not in taken.blocks
    assert not pair(duet, family(SIDED, "equal"))[0].failures  # and the next family is timed


def test_a_side_that_is_suspended_meanwhile_takes_the_turn_again(duet: Duet, monkeypatch: pytest.MonkeyPatch) -> None:
    groups: list[int] = []
    ended = Event()
    (case,) = family(SIDED, "waits")

    def watched(pair: Any, *rest: Any) -> Taken:
        groups.append(pair[1].pid)
        return time_blocks(pair, *rest)

    def suspend() -> None:
        while not groups:
            sleep(0.01)
        while not ended.wait(0.05):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(groups[0], signal.SIGSTOP)
                sleep(0.2)
                os.killpg(groups[0], signal.SIGCONT)

    monkeypatch.setattr("torchduet.bench.duet.duet.time_blocks", watched)
    monkeypatch.setattr("torchduet.bench.duet.pairs.PAIR_SECONDS", 1.0)
    disturbing = Thread(target=suspend)
    disturbing.start()
    try:
        ledger, taken = pair(duet, [case])
    finally:
        ended.set()
        disturbing.join()
    assert not ledger.failures
    assert taken.left_out[case] >= 1
    _, against = taken.blocks[case]
    assert median(value for turns in against for value in turns) < 0.1  # such a block is left out


def state(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]


def test_a_revision_is_timed_as_it_was(tmp_path: Path) -> None:
    repository = tmp_path / "repository"
    repository.mkdir()

    def git(*arguments: str) -> None:
        identity = ("-c", "user.name=t", "-c", "user.email=t@example.org")
        subprocess.run(["git", "-C", str(repository), *identity, *arguments], check=True, capture_output=True)

    file = repository / "mine.py"
    before = Path(SMALL).read_text().replace('"small"', '"mine"').replace("return x + y\n", "return x + y + y - y\n")
    file.write_text(before)
    git("init")
    git("add", "mine.py")
    git("commit", "-m", "before")
    file.write_text(
        before.replace("x + y + y - y", "x + y")
        + '\nsuite.compare("new", {"f": add}, inputs=vectors, axes={"n": [9]})\n'
    )
    both = sides(None, None, "HEAD", [str(file)], tmp_path / "there").both
    assert Path(both[0].sources[str(file)]).read_text() == before
    assert "x + y + y" not in file.read_text()
    made = Duet(both, compiler=False)
    try:
        old, taken = pair(made, family(str(file), "add[n=4000]"))
        (case,) = old.cases
        assert difference(taken, case) > 0.1  # the base takes longer
        new, _ = pair(made, family(str(file), "new")[:1])
        (failure,) = new.failures.values()
        assert failure.skip
        assert failure.reason == "there is no workload mine.new there"
    finally:
        made.close()
    absent = rf"^--against-rev nosuch: the repository {repository} has no such revision; [^\n]*$"
    with pytest.raises(OptionError, match=absent):
        sides(None, None, "nosuch", [str(file)], tmp_path / "again")
    with pytest.raises(OptionError, match="needs --suite FILE"):
        sides(None, None, "HEAD", ["mlp"], tmp_path / "again")
    with pytest.raises(OptionError, match=r"^--against-rev HEAD: .* is not in a git repository; [^\n]*$"):
        sides(None, None, "HEAD", [str(tmp_path / "mine.py")], tmp_path / "again")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", str(tmp_path))
        with pytest.raises(OptionError, match=r"^--against-rev HEAD: git is not installed$"):
            sides(None, None, "HEAD", [str(file)], tmp_path / "again")


@pytest.mark.parametrize("option", ["--against", "--against-env", "--against-rev"])
def test_an_empty_side_is_an_error(option: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "bench/", "--suite", SMALL, option, ""],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == pytest.ExitCode.USAGE_ERROR
    (line,) = done.stderr.strip().splitlines()
    assert line.startswith(f"ERROR: {option}: is empty")


@pytest.mark.parametrize(
    ("python", "env", "message"),
    [
        ("/no/such/python", None, "--against /no/such/python: there is no such interpreter"),
        ("/tmp", None, "--against /tmp: is a folder; name the interpreter in it, e.g. /tmp/bin/python"),
        (__file__, None, "is not executable"),
        (None, ["OMP_NUM_THREADS"], "--against-env 'OMP_NUM_THREADS': use NAME=VALUE"),
        (None, ["OMP_NUM_THREADS=many"], "use a whole number"),
    ],
)
def test_a_wrong_side_is_one_clear_line(
    python: str | None, env: list[str] | None, message: str, tmp_path: Path
) -> None:
    with pytest.raises(OptionError) as raised:
        sides(python, env, None, None, tmp_path)
    assert message in str(raised.value)


@pytest.mark.parametrize(
    ("script", "message"),
    [
        ("exit 3", "did not start: it ended with exit code 3"),
        ("echo broken linker >&2; exit 1", "did not start: broken linker"),
        (f'exec {sys.executable} -S -E "$@"', "has no numpy"),
        (
            f'PYTHONPATH={{folder}} exec {sys.executable} "$@"',
            "has torch 2.4.1, which is too old: 2.9 or newer is needed",
        ),
    ],
)
def test_an_interpreter_that_cannot_be_a_side_says_why(script: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "torch").mkdir()
    (tmp_path / "torch" / "__init__.py").write_text("__version__ = '2.4.1'")
    python = tmp_path / "python"
    python.write_text(f"#!/bin/sh\n{script.format(folder=tmp_path)}\n")
    python.chmod(0o755)
    server = Server(Side(str(python)), link_packages(tmp_path / "packages"), tmp_path / "server.log", {})
    try:
        with pytest.raises(SideError) as raised:
            server.ready()
    finally:
        server.close()
    assert message in str(raised.value)


def test_threads_of_a_side_are_what_its_environment_says() -> None:
    assert Side("python", (("OMP_NUM_THREADS", "3"),)).threads(8) == 3
    assert Side("python").threads(8) == 8


def test_sides_are_named_by_what_sets_them_apart() -> None:
    a, b = Side("/a/python"), Side("/b/python")
    assert a.words("2.12.0", b, "2.13.0") == "torch 2.12.0"
    assert a.words("2.13.0", b, "2.13.0") == "/a/python"
    threads = Side("/a/python", (("OMP_NUM_THREADS", "1"),))
    assert threads.words("2.13.0", a, "2.13.0") == "OMP_NUM_THREADS=1"
    assert a.words("2.13.0", threads, "2.13.0") == "without OMP_NUM_THREADS"
    assert Side("/a/python", rev="HEAD~1").words("2.13.0", a, "2.13.0") == "HEAD~1"


def test_a_run_finds_the_slow_down_and_renders(tmp_path: Path) -> None:
    path = tmp_path / "run.json"
    done = subprocess.run(
        [
            *(sys.executable, "-m", "pytest", "bench/", "--suite", SIDED, "-k", "more or equal or raises"),
            *("--against-env", "SIDED=1", "--against-env", f"{MARK}=run", "--threads", "1", "--budget", "45s"),
            *("--benchmark-json", str(path), "--profile=*more*"),
        ],
        cwd=ROOT,
        env=os.environ | {"COLUMNS": "200"},
        capture_output=True,
        text=True,
        timeout=400,
        check=False,
    )
    assert done.returncode == 1, done.stdout + done.stderr
    run: dict[str, Any] = json.loads(path.read_text())
    assert re.search(r"With SIDED=1 \S+: sided\.more takes \d", done.stdout)
    assert "on the side of SIDED=1, " in done.stdout
    against = run["torchduet"]["against"]
    assert (against["screened"], against["base"]["env"]["SIDED"]) == (2, "1")
    records = {one["params"]["workload"]: one["extra_info"]["torchduet"] for one in run["benchmarks"]}
    found = records["more"]["against"]
    assert (found["stage"], found["verdict"]) == ("confirmed", "faster")
    assert found["peak_bytes"] > 0
    assert found["base_peak_bytes"] > 0
    assert len(found["blocks"]) == len(found["base_blocks"]) == len(found["pair_ratios"]) == found["pairs"] >= 3
    assert records["equal"]["against"]["verdict"] in ("same", "unclear")
    assert len(records["more"]["timing"]["visits"]) == found["pairs"]
    assert run["torchduet"]["visits"]["fewest"] >= 3
    assert run["torchduet"]["noise"]["grade"] in GRADES
    seconds = dict(run["torchduet"]["seconds"])
    assert seconds.pop("total") > sum(seconds.values())
    assert seconds["interpreters"] > seconds["timed"] > 0  # a pair needs interpreters that import torch
    assert {pilot["before"] for pilot in run["torchduet"]["pilots"]} >= {"sided.equal", ""}
    assert all(record["noise"]["grade"] in GRADES for record in records.values())
    assert not path.with_name("run.json.journal").exists()
    assert [name for name, record in records.items() if "profile" in record["against"]] == ["more"]
    assert processes("run") == []
    page = tmp_path / "report.html"
    rendered = subprocess.run(
        [sys.executable, "-m", "torchduet", "render", str(path), "-o", str(page)],
        cwd=ROOT,
        capture_output=True,
        check=False,
    )
    assert rendered.returncode == 0, rendered.stderr
    assert re.search(r"<h1>With SIDED=1 \S+: sided\.more takes \d", page.read_text())
    counted = re.search(
        r"without runs (\d+) operators and kernels per call instead of the (\d+) of with", page.read_text()
    )
    assert counted is not None
    assert int(counted[1]) < int(counted[2])


def test_when_pytest_is_killed_both_sides_end() -> None:
    run = subprocess.Popen(
        [sys.executable, "-m", "pytest", "bench/", "--suite", SMALL, "--against-env", f"{MARK}=killed"],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    deadline = monotonic() + 120
    while len(processes("killed")) < 2 and monotonic() < deadline:  # an interpreter and a worker
        sleep(0.01)
    assert len(processes("killed")) >= 2
    run.kill()
    run.communicate(timeout=120)
    while processes("killed") and monotonic() < deadline:
        sleep(0.05)
    assert processes("killed") == []


@pytest.mark.parametrize("spelled", ["{folder}/../{folder_name}/{name}", "{folder}/./{name}"])
def test_this_interpreter_is_itself_however_its_path_is_spelled(spelled: str) -> None:
    """Else a variable on its side alone would be a difference between two interpreters, and the sides be swapped."""
    ours = Path(sys.executable)
    words = spelled.format(folder=ours.parent, folder_name=ours.parent.name, name=ours.name)
    assert interpreter(words) == sys.executable
    assert interpreter(os.path.relpath(ours)) == sys.executable
