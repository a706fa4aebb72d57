"""A session of pytest that collects the tests once, and runs those that concern a fault in a fork for each fault."""

from __future__ import annotations

import gc
import hashlib
import json
import os
import resource
import signal
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic, process_time
from types import FrameType

import coverage
import coverage.exceptions
import pytest
from _pytest.runner import runtestprotocol

from tests.mutants.living import ROOT, NotApplied, functions, put_in
from tests.mutants.operators import Mutant, mutated

FAST = 1.0  # seconds of the CPU's time
MAX_FILE = 40  # seconds of the CPU's time, for the tests of a file under coverage
MAX_TESTS = 8.0  # seconds of the CPU's time for one fault, by what its tests took before
SHARED = 0.3  # seconds that a fixture of the session takes, about
TIME_LIMIT = "time limit"  # instead of the name of a test
KILLED, SURVIVED, NOT_APPLIED, BROKEN = 1, 0, 3, 70
STARTS = ("subprocess.Popen", "os.fork", "os.forkpty", "os.posix_spawn", "os.system", "os.exec")


@dataclass
class Covered:
    """A fast test: its seconds, and the lines that it runs of each module."""

    seconds: float
    lines: dict[str, set[int]]


@dataclass(frozen=True)
class Result:
    """What became of a fault: killed, survived, not run (no fast test runs its line) or not applied."""

    mutant: Mutant
    outcome: str
    by: str = ""


def _has_shared(item: pytest.Item) -> bool:
    """Whether a test has fixtures of the whole session.

    Not those that every test of a folder has: they replace something, and make nothing.
    """
    always = set(item.session._fixturemanager._getautousenames(item))
    fixtures = getattr(item, "_fixtureinfo").name2fixturedefs.items()  # noqa: B009
    return any(
        name not in always and one[-1].scope == "session" and "tests/" in one[-1].baseid for name, one in fixtures
    )


@dataclass
class Mutants:
    """The plugin. ``results`` has one entry a mutant once the session is over, fewer if the time was up."""

    chosen: Sequence[Mutant]
    seconds: float
    jobs: int
    say: Callable[[str], None]
    kept: Path | None = None
    results: list[Result] = field(default_factory=list)
    tests: dict[str, Covered] = field(default_factory=dict)
    items: dict[str, pytest.Item] = field(default_factory=dict)
    _shares: dict[str, bool] = field(default_factory=dict)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        """Instead of running the tests."""
        end = monotonic() + self.seconds
        session.config._tmp_path_factory.getbasetemp()  # type: ignore[attr-defined]  # children make folders in it
        items = self.items = {item.nodeid: item for item in session.items}
        with tempfile.TemporaryDirectory() as folder:
            self._cover(session, Path(folder), end)
            self.say(f"{len(self.tests)} of {len(items)} tests are fast and start no process")
            self._kill(items, Path(folder), end)
        return True

    def _cover(self, session: pytest.Session, folder: Path, end: float) -> None:
        """Which test runs which lines; each file of tests in a process of its own."""
        files: dict[Path, list[pytest.Item]] = {}
        for item in session.items:
            files.setdefault(item.path, []).append(item)
        paths = sorted({mutant.path for mutant in self.chosen})
        digests = {path: _digest(path) for path in files}
        known = json.loads(self.kept.read_text("utf-8")) if self.kept and self.kept.exists() else {}
        work: list[tuple[object, Callable[[], int]]] = [
            (path, lambda path=path, items=items: _covered(items, paths, folder / digests[path]))
            for path, items in files.items()
            if not set(paths) <= set(known.get(digests[path], {}).get("paths", ()))
        ]
        for path, status in _forked(work, self.jobs, end, cpu=lambda _: MAX_FILE, wall=lambda _: 3.0 * MAX_FILE):
            assert isinstance(path, Path)
            lines = (folder / digests[path]).read_text("utf-8").splitlines()
            if status != 0:
                self.say(f"{path.name} takes too long; {len(lines)} of its tests are used")
            known[digests[path]] = {"paths": paths, "tests": [json.loads(line) for line in lines if line[-1] == "}"]}
            if self.kept:
                self.kept.write_text(json.dumps(known), "utf-8")
        for digest in digests.values():
            for entry in known.get(digest, {}).get("tests", ()):
                if entry["seconds"] <= FAST:
                    lines_of = {path: set(numbers) for path, numbers in entry["lines"].items()}
                    self.tests[entry["test"]] = Covered(entry["seconds"], lines_of)

    def _cost(self, name: str) -> float:
        """Seconds of a test by itself: what a whole session shares is made anew in each fork."""
        if name not in self._shares:
            self._shares[name] = _has_shared(self.items[name])
        return self.tests[name].seconds + SHARED * self._shares[name]

    def _concerned(self, mutant: Mutant) -> list[str]:
        """The tests that run the line, the fastest first; for what the import runs, those of the module."""
        lines = set(mutant.lines)
        found = [name for name, test in self.tests.items() if lines & test.lines.get(mutant.path, set())]
        if not found and mutant.at_import:
            found = [name for name, test in self.tests.items() if test.lines.get(mutant.path)]
        return sorted(found, key=lambda name: (self._cost(name), name))

    def _limited(self, names: Sequence[str]) -> list[str]:
        total, kept = 0.0, []
        for name in names:
            total += self._cost(name)
            if kept and total > MAX_TESTS:
                break
            kept.append(name)
        return kept

    def _kill(self, items: dict[str, pytest.Item], folder: Path, end: float) -> None:
        """Each fault in a fork of its own."""
        sources = {path: (ROOT / path).read_text("utf-8") for path in {mutant.path for mutant in self.chosen}}
        living = functions()
        gc.collect()
        gc.freeze()  # forks share what they do not touch
        work: list[tuple[object, Callable[[], int]]] = []
        chosen: dict[Mutant, list[str]] = {}
        for mutant in self.chosen:
            chosen[mutant] = self._limited(self._concerned(mutant))
            if not chosen[mutant]:
                self.results.append(Result(mutant, "not run"))

        def run(mutant: Mutant) -> int:
            try:
                put_in(mutant.path, sources[mutant.path], mutated(sources[mutant.path], mutant.index), living)
            except NotApplied:
                return NOT_APPLIED
            except Exception as error:  # noqa: BLE001  # the module cannot even be imported
                (folder / f"by-{self.chosen.index(mutant)}").write_text(f"the import: {error}", "utf-8")
                return KILLED
            failed = _first_failure([items[name] for name in chosen[mutant]])
            (folder / f"by-{self.chosen.index(mutant)}").write_text(failed or "", "utf-8")
            return KILLED if failed else SURVIVED

        work = [(mutant, lambda mutant=mutant: run(mutant)) for mutant in self.chosen if chosen[mutant]]

        def limit(mutant: object) -> float:
            return 3.0 * sum(self.tests[name].seconds for name in chosen[mutant]) + 5.0  # type: ignore[index]

        words = {SURVIVED: "survived", NOT_APPLIED: "not applied", BROKEN: "not applied"}
        forks = _forked(work, self.jobs, end, cpu=limit, wall=lambda mutant: 4 * limit(mutant) + 20)
        for done, (mutant, status) in enumerate(forks, 1):
            assert isinstance(mutant, Mutant)
            by = folder / f"by-{self.chosen.index(mutant)}"
            result = Result(mutant, words.get(status, "killed"), by.read_text("utf-8") if by.exists() else TIME_LIMIT)
            self.results.append(result)
            if result.outcome == "survived":
                self.say(f"survived: {mutant.lines.start} {mutant.name}")
            if done % 50 == 0:
                self.say(f"{done} of {len(work)}")
        self._without_false_alarms(items, end)

    def _without_false_alarms(self, items: dict[str, pytest.Item], end: float) -> None:
        """A test that fails without any fault, too, kills nothing."""
        by: dict[str, list[Result]] = {}
        for result in self.results:
            if result.by in items:
                by.setdefault(result.by, []).append(result)
        work = [(name, lambda name=name: int(_first_failure([items[name]]) is not None)) for name in sorted(by)]
        forks = _forked(work, self.jobs, end + 120, cpu=lambda _: 60.0, wall=lambda _: 240.0)
        for name, status in forks:
            if status:
                self.say(f"fails without a fault: {name}")
                for result in by[str(name)]:
                    self.results[self.results.index(result)] = Result(result.mutant, "survived")


def _digest(path: Path) -> str:
    return f"{path.stem}-{hashlib.sha256(path.read_bytes()).hexdigest()[:16]}"


def _forked(
    work: Sequence[tuple[object, Callable[[], int]]],
    jobs: int,
    end: float,
    cpu: Callable[[object], float],
    wall: Callable[[object], float],
) -> Iterator[tuple[object, int]]:
    """Run each in a fork; yields its key and its exit status, -1 if it was ended by its limits. None begins after
    ``end``."""
    waiting = list(reversed(work))
    running: dict[int, tuple[object, float]] = {}
    while running or (waiting and monotonic() < end):
        while waiting and len(running) < jobs and monotonic() < end:
            key, call = waiting.pop()
            pid = os.fork()
            if pid == 0:
                _child(call, cpu(key))
            running[pid] = (key, monotonic() + wall(key))
        pid, status = os.waitpid(-1, os.WNOHANG)
        if pid in running:
            yield running.pop(pid)[0], os.waitstatus_to_exitcode(status) if os.WIFEXITED(status) else -1
            continue
        for late in [pid for pid, (_, limit) in running.items() if monotonic() > limit]:
            os.kill(late, signal.SIGKILL)
        signal.sigtimedwait([], 0.005)  # a sleep that no test can have replaced


def _child(call: Callable[[], int], cpu: float) -> None:
    """Never returns. It starts no process, and ends when its time is up."""
    status = BROKEN
    try:
        used = int(process_time())
        resource.setrlimit(resource.RLIMIT_CPU, (used + int(cpu) + 1, used + int(cpu) + 5))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        sys.addaudithook(_refuse)
        import multiprocessing.util

        multiprocessing.util.spawnv_passfds = _refused  # type: ignore[attr-defined]
        status = call()
    except BaseException:  # noqa: BLE001
        import traceback

        traceback.print_exc()
    finally:
        os._exit(status)


def _refuse(event: str, _: tuple[object, ...]) -> None:
    if event in STARTS:
        _refused()


def _refused(*_: object) -> None:
    raise PermissionError("this test starts a process, so it is none of the fast ones")


class TooSlow(BaseException):
    """A test takes too long to run it for each fault."""


def _too_slow(_: int, __: FrameType | None) -> None:
    raise TooSlow


def _run(item: pytest.Item, following: pytest.Item | None) -> bool | None:
    """Whether a test passes; None for a skipped one."""
    reports = runtestprotocol(item, nextitem=following, log=False)
    if any(report.failed for report in reports):
        return False
    return None if any(report.skipped for report in reports) else True


def _first_failure(items: Sequence[pytest.Item]) -> str | None:
    for item, following in zip(items, [*items[1:], None], strict=True):
        if _run(item, following) is False:
            return item.nodeid
    return None


def _covered(items: Sequence[pytest.Item], paths: Sequence[str], to: Path) -> int:
    """Run the tests of a file; write what each of the passing ones runs."""
    warnings.simplefilter("ignore", coverage.exceptions.CoverageWarning)  # of tests that run none of these
    measured = coverage.Coverage(data_file=None, config_file=False, include=[str(ROOT / path) for path in paths])
    signal.signal(signal.SIGALRM, _too_slow)
    with to.open("w", encoding="utf-8") as file:
        for item, following in zip(items, [*items[1:], None], strict=True):
            measured.start()
            before = process_time()
            signal.setitimer(signal.ITIMER_REAL, 5 * FAST)
            try:
                passed = _run(item, following)
            except TooSlow:
                passed = False
            finally:
                signal.setitimer(signal.ITIMER_REAL, 0)
            seconds = process_time() - before
            measured.stop()
            data = measured.get_data()
            lines = {path: sorted(data.lines(str(ROOT / path)) or ()) for path in paths}
            measured.erase()
            if passed:
                covered = {path: numbers for path, numbers in lines.items() if numbers}
                file.write(json.dumps({"test": item.nodeid, "seconds": seconds, "lines": covered}) + "\n")
                file.flush()
    return 0
