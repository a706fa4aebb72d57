"""A real ``pytest bench/`` to be killed, interrupted and resumed, and what it leaves on the machine."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
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

    def until_families(self, number: int) -> None:
        """Wait until so many families are in the journal."""
        deadline = monotonic() + SECONDS
        while self.families() < number:
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
    """Case id → its record in a journal."""
    found = read(journal)
    assert found is not None
    outcomes: list[tuple[str, Mapping[str, Any]]] = [
        pair for entry in found.entries if entry["kind"] == "family" for pair in entry["outcomes"].items()
    ]
    return {case: outcome["record"] for case, outcome in outcomes if "record" in outcome}


def timing(records: Mapping[str, Any]) -> dict[str, Any]:
    """What was measured of each: with another measurement all of it would differ."""
    return {case: record["timing"] for case, record in records.items()}
