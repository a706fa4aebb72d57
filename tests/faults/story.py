"""One run to which everything happens in turn, each time resumed: a start takes seconds, and serves several tests."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from time import sleep
from typing import Any

from tests.bench.test_left_behind import ROOT, Traces, until
from tests.faults.run import Bench, journaled, read, records, timing
from tests.faults.soak import many
from torchduet.bench.host.run_clock import MIN_STOPPED
from torchduet.bench.timing.stopping import INTERRUPTED

FAMILIES = 24
# Families that may be timed beyond those that are waited for: a signal comes in the middle of one, or of a wait.
AHEAD = 2


@dataclass
class Stage:
    """What one process did and left.

    Attributes:
        known: case id → what was measured of it, in the journal, when it had ended; empty without one.
        cut_short: the same of cases whose first visit was cut short.
        about: the run's own record, and its cases', in the JSON that it wrote; None if it wrote none.
        left: the processes of which anything was left.
    """

    code: int
    output: str
    known: dict[str, Any] = field(default_factory=dict)
    cut_short: dict[str, Any] = field(default_factory=dict)
    about: Any = None
    records: dict[str, Any] = field(default_factory=dict)
    left: list[str] = field(default_factory=list)


class Story:
    """A run of small families in a folder; each method is one process that goes on with it.

    Args:
        folder: of the run.
        traces: what its processes leave on the machine.
        families: how many there are.
    """

    def __init__(self, folder: Path, traces: Traces, families: int = FAMILIES) -> None:
        self.run, self.traces, self.families = folder / "run.json", traces, families
        self.kept = folder / "kept"  # a link to the last journal, which outlives its removal
        self.limit = folder / "limit"
        traces.environment["TORCHDUET_TEST_LIMIT"] = str(self.limit)

    def _start(self, *options: str, limit: int | None = None) -> Bench:
        """Begin, or go on, as far as that family."""
        self.run.unlink(missing_ok=True)
        self._limit(limit or self.families)
        hurried = ("-p", "tests.faults.hurried", *options)
        return many(self.traces, self.run, self.families, *hurried, budget="10m", quiet=False)

    def _limit(self, family: int) -> None:
        new = self.limit.with_suffix(".new")
        new.write_text(str(family))
        new.replace(self.limit)

    def _known(self) -> int:
        found = read(self.run.with_name("run.json.journal"))
        return 0 if found is None else found.families

    def _ended(self, bench: Bench) -> Stage:
        code, output = bench.end()
        until(lambda: not self.traces.processes(), 20)
        stage = Stage(code, output, left=self.traces.processes())
        if bench.journal.exists():
            found = journaled(bench.journal)
            stage.known = timing(found)
            stage.cut_short = {
                case: stage.known[case] for case in found if found[case]["timing"]["stop"] == INTERRUPTED
            }
        if self.run.exists():
            stage.about, stage.records = json.loads(self.run.read_text())["torchduet"], records(self.run)
        return stage

    def killed(self, *options: str, more: int = 1, after: float = 0.0) -> Stage:
        """SIGKILL some seconds after so many more families are known."""
        known = self._known()
        bench = self._start(*options, limit=known + more + AHEAD)
        bench.until_families(known + more)
        sleep(after)
        bench.signal(signal.SIGKILL)
        return self._ended(bench)

    def killed_at_its_start(self) -> Stage:
        """SIGKILL while it imports."""
        bench = self._start("--resume", limit=self._known() + AHEAD)
        sleep(random.Random(1).uniform(0.5, 1.5))
        bench.signal(signal.SIGKILL)
        return self._ended(bench)

    def refused(self) -> Stage:
        """Asked to go on with other options."""
        return self._ended(self._start("--resume", "--tier", "full"))

    def stopped(self) -> Stage:
        """Ctrl-Z, ``fg`` some seconds later, Ctrl-C."""
        known = self._known()
        bench = self._start("--resume", limit=known + 1)
        bench.until_families(known + 1)
        for _ in range(100):
            bench.signal(signal.SIGTSTP)
            if until(lambda: self.traces.stopped() >= 2, 2):  # pytest and a worker
                break
            bench.signal(signal.SIGCONT)  # it was between two workers
            sleep(0.1)
        before = bench.journal.stat().st_size
        sleep(MIN_STOPPED + 0.5)
        assert bench.journal.stat().st_size == before
        bench.signal(signal.SIGCONT)
        self._limit(known + 2 + AHEAD)
        bench.until_families(known + 2)
        bench.signal(signal.SIGINT)
        return self._ended(bench)

    def signalled(self, *numbers: signal.Signals) -> Stage:
        """These signals, one after the other, once one more family is known."""
        known = self._known()
        bench = self._start("--resume", limit=known + 1 + AHEAD)
        bench.until_families(known + 1)
        for number in numbers:
            bench.signal(number)
        return self._ended(bench)

    def rendered(self) -> str:
        """The report of the journal as it is."""
        page = self.run.with_name("cut.html")
        journal = self.run.with_name("run.json.journal")
        command = [sys.executable, "-m", "torchduet", "render", str(journal), "-o", str(page)]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return page.read_text()

    def finished(self) -> Stage:
        """To its end."""
        bench = self._start("--resume")
        self.kept.unlink(missing_ok=True)
        os.link(bench.journal, self.kept)
        return self._ended(bench)

    def finished_again(self) -> tuple[Any, Any]:
        """To its end from its whole journal: the JSON before, and now."""
        before = json.loads(self.run.read_text())
        shutil.copy(self.kept, self.run.with_name("run.json.journal"))
        stage = self._ended(self._start("--resume"))
        assert stage.code == 0, stage.output
        return before, json.loads(self.run.read_text())
