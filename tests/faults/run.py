"""A real ``pytest bench/`` to be killed, interrupted and resumed, and what it leaves on the machine."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from time import monotonic, sleep
from typing import Any

from tests.bench.test_left_behind import ROOT, Traces
from torchduet.bench.record.journal import Content, JournalError, parse

WORKLOADS = Path(__file__).parent / "workloads"
SMALL = Path(__file__).parents[1] / "bench" / "workloads" / "small.py"
SECONDS = 120.0


class Bench:
    """One ``pytest bench/`` in a process of its own."""

    def __init__(
        self,
        traces: Traces,
        run: Path,
        *options: str,
        suite: Path = SMALL,
        budget: str = "3s",
        quiet: bool = False,
    ) -> None:
        self.run = run
        self.journal = run.with_name(run.name + ".journal")
        fixed = ("--suite", str(suite), "--budget", budget, "--threads", "1", "--benchmark-json", str(run))
        self.process = subprocess.Popen(
            [sys.executable, "-m", "pytest", "bench/", *fixed, "--benchmark-quiet", *options],
            cwd=ROOT,
            env={**traces.environment, "COLUMNS": "200"},
            stdout=subprocess.DEVNULL if quiet else subprocess.PIPE,  # a pipe that nobody empties fills up
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def end(self) -> tuple[int, str]:
        """Wait for its end; its exit code and what it printed."""
        output, _ = self.process.communicate(timeout=SECONDS)
        return self.process.returncode, output

    def families(self) -> int:
        """How many are in its journal."""
        found = read(self.journal)
        return 0 if found is None else found.families

    def visits(self) -> int:
        """How many later visits are in its journal."""
        found = read(self.journal)
        return 0 if found is None else sum(entry["kind"] == "visit" for entry in found.entries)

    def until_families(self, number: int) -> None:
        """Wait until so many families are in the journal."""
        self._until(lambda: self.families() >= number)

    def until_visits(self, number: int) -> None:
        """Wait until so many later visits are in the journal."""
        self._until(lambda: self.visits() >= number)

    def _until(self, condition: Callable[[], bool]) -> None:
        deadline = monotonic() + SECONDS
        while not condition():
            assert self.process.poll() is None, self.process.communicate()[0]
            assert monotonic() < deadline, "the journal does not grow"
            sleep(0.02)

    def signal(self, number: int) -> None:
        """Send a signal to pytest alone."""
        os.kill(self.process.pid, number)


def read(journal: Path) -> Content | None:
    """What a journal holds, None if there is none yet."""
    try:
        return parse(journal.read_bytes(), str(journal))
    except (FileNotFoundError, JournalError):
        return None


def records(run: Path) -> dict[str, Any]:
    """Case id → its record in a run's JSON."""
    found = (one["extra_info"]["torchduet"] for one in json.loads(run.read_text())["benchmarks"])
    return {record["case"]["id"]: record for record in found}


def journaled(journal: Path) -> dict[str, Any]:
    """Case id → its record in a journal, with the blocks of later visits."""
    content = read(journal)
    assert content is not None
    found: dict[str, Any] = {}
    for entry in content.entries:
        if entry["kind"] == "family":
            found |= {case: outcome["record"] for case, outcome in entry["outcomes"].items() if "record" in outcome}
        if entry["kind"] == "visit":
            for case, visit in entry["cases"].items():
                found[case]["timing"]["blocks"] += visit["blocks"]
    return found


def timing(records: Mapping[str, Any]) -> dict[str, Any]:
    """The blocks of each, of all visits: with another measurement all of them would differ."""
    return {case: record["timing"]["blocks"] for case, record in records.items()}


def kept(before: Mapping[str, Any], now: Mapping[str, Any]) -> bool:
    """Whether all blocks that were known before are known now, with those of later visits after them."""
    return all(case in now and now[case][: len(blocks)] == blocks for case, blocks in before.items())
