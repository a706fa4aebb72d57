"""Visits take turns between several interpreters, whose start disturbs the timing as little as possible."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from torchduet.bench.cases.case import Case, Family
from torchduet.bench.run import interpreters
from torchduet.bench.run.interpreters import INTERPRETERS, MAX_SHARE, Interpreters
from torchduet.bench.run.progress import Progress
from torchduet.bench.workers import servers as servers_module
from torchduet.bench.workers.launcher import Launcher
from torchduet.bench.workers.servers import Servers
from torchduet.suites.registry import libraries


def parent_of_worker(_: object, __: object) -> int:
    """A worker's job: the process that it was forked from."""
    return os.getppid()


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="reads /proc")
def test_workers_come_from_all_interpreters_in_turn_and_none_outlives_the_run() -> None:
    launcher = Launcher()
    servers = launcher.servers
    try:
        launcher.start(compiler=False)
        servers.start(compiler=False)
        servers.wait(120)
        assert servers.all_ready
        parents = []
        for number in range(4):
            servers.choose(number)
            parents.append(launcher._run(parent_of_worker, None, int))
        assert parents[0] == parents[2] != parents[1] == parents[3]
        servers.choose(1, compiler=True)  # none has imported it: any will do
        assert launcher._run(parent_of_worker, None, int) == parents[1]
        assert servers.cpu_seconds() > 0
        assert (servers.seconds_of_first() or 0) > 0
    finally:
        launcher.close()
    assert not Path(f"/proc/{parents[1]}").exists()


def imported(names: tuple[str, ...], _: object) -> list[str]:
    """A worker's job: which of these modules its process has."""
    return [name for name in names if name in sys.modules]


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="reads /proc")
def test_a_fork_server_imports_the_packages_of_the_suites_that_are_measured_and_of_no_others() -> None:
    names = libraries(["transformers", "speech"])
    for suites in (["transformers", "mlp"], ["mlp"]):
        launcher = Launcher()
        try:
            launcher.start(compiler=False, suites=suites)
            expected = [name for name in libraries(suites) if find_spec(name.partition(".")[0])]
            assert launcher._run(imported, names, list[str]) == expected
        finally:
            launcher.close()


def test_a_package_that_is_missing_or_broken_is_left_to_the_workers(tmp_path: Path) -> None:
    (tmp_path / "broken_package.py").write_text("print('noise')\nraise RuntimeError('broken')\n")
    code = (
        "from torchduet.bench.workers.imported_once import import_libraries\n"
        "import_libraries(['no_such_package.part', 'broken_package', 'wave'])\n"
        "import sys; print('wave' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], env=os.environ | {"PYTHONPATH": str(tmp_path)}, capture_output=True, text=True
    )
    assert (done.stdout, done.stderr, done.returncode) == ("True\n", "", 0)


class Made(Servers):
    """Servers that are ready when they are told to be, and what was asked of them."""

    def __init__(self, first: float | None = 5.0) -> None:
        super().__init__(Path(), lambda _: {})
        self.started, self.waited, self.ready, self.first = [False], 0, True, first

    def __len__(self) -> int:
        return len(self.started)

    def start(self, *, compiler: bool) -> None:
        self.started.append(compiler)

    @property
    def all_ready(self) -> bool:
        return self.ready

    def wait(self, seconds: float) -> None:
        assert seconds > 0
        self.waited += 1

    def seconds_of_first(self) -> float | None:
        return self.first


@pytest.fixture
def two_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(interpreters, "cores", lambda: 2)
    monkeypatch.setattr(interpreters, "_free_memory", lambda: 1e12)


def progress(*modes: str) -> Progress:
    cases = tuple(Case("s", "s", "w", "", (), "w", True, "cpu", mode, "fp32") for mode in modes)
    return Progress(families=[Family(cases, cases)])


@pytest.mark.usefixtures("two_cores")
def test_beside_the_timing_where_a_core_is_free_one_after_the_other() -> None:
    servers = Made()
    growing = Interpreters(servers, 1, progress("eager", "compile"))
    servers.ready = False
    growing.grow(60.0)
    assert servers.started == [False]  # the first is not ready
    servers.ready = True
    for _ in range(10):
        growing.grow(60.0)
    assert servers.started == [False, True, False, False]  # the compiler is imported once more, for compiled cases
    assert len(servers.started) == INTERPRETERS
    assert servers.waited == 0


@pytest.mark.usefixtures("two_cores")
def test_where_no_core_is_free_the_run_waits_if_that_takes_a_small_part_of_its_time() -> None:
    servers = Made()
    growing = Interpreters(servers, 2, progress("eager"))
    growing.grow(1e6)
    growing.grow(0.9 * 5.0 / MAX_SHARE, later=True)
    assert servers.started == [False]
    growing.grow(1.1 * 5.0 / MAX_SHARE, later=True)
    assert (servers.started, servers.waited) == ([False, False], 1)


@pytest.mark.usefixtures("two_cores")
@pytest.mark.parametrize("first", [None, 300.0])
def test_an_interpreter_that_takes_long_or_does_not_say_stays_the_only_one(first: float | None) -> None:
    servers = Made(first)
    Interpreters(servers, 1, progress("eager")).grow(1e6, later=True)
    assert servers.started == [False]


def test_none_is_added_where_memory_is_short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(interpreters, "cores", lambda: 64)
    monkeypatch.setattr(interpreters, "_free_memory", lambda: 1e9)
    servers = Made()
    Interpreters(servers, 1, progress("eager")).grow(1e6, later=True)
    assert servers.started == [False]


def test_without_a_fork_server_there_is_nothing_to_add(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(interpreters, "cores", lambda: 64)
    servers: Any = Servers(Path(), lambda _: {})
    Interpreters(servers, 1, progress("eager")).grow(1e6, later=True)
    servers.choose(3, compiler=True)
    assert (len(servers), servers.cpu_seconds(), servers.seconds_of_first()) == (0, 0.0, None)


def test_an_interpreter_that_still_imports_when_the_run_ends_writes_nothing_any_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(servers_module, "STOP_SECONDS", 0.1)
    servers = Servers(tmp_path, lambda _: {})
    with servers.in_use():
        servers.start(compiler=False, light=True)
        servers.start(compiler=False, light=True)
        pid = servers._states[1]["_forkserver_pid"]
        servers.stop()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
