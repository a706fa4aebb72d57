"""Long runs of many tiny families: what the parent takes in memory and descriptors, and what 20 kills leave of a run.

``nox -s soak`` runs both; ``python -m tests.faults.soak memory 5000`` or ``… kills 20`` one of them. What they saw is
printed; the exit code is 1 where it is not what docs/reliability.md says.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import signal
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from time import monotonic, sleep
from typing import Any

from tests.bench.test_left_behind import Traces, until
from tests.faults.run import WORKLOADS, Bench, journaled, kept, records, timing

MANY = WORKLOADS / "many.py"
NUMBER = "TORCHDUET_TEST_FAMILIES"
FROM = 500  # families: what is imported and cached has been by then
MAX_GROWTH = 20e6  # bytes
EVERY_SECONDS = 0.2
PAGE = os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True)
class Sample:
    """The parent at one moment."""

    families: int
    visits: int
    bytes: int
    descriptors: int


def watched(bench: Bench, every: float = EVERY_SECONDS) -> list[Sample]:
    """Looks at a run until it ends. Families and later visits are counted in its journal."""
    found: list[Sample] = []
    folder, families, visits, journal = Path(f"/proc/{bench.process.pid}"), 0, 0, None
    while bench.process.poll() is None:
        if journal is None and bench.journal.exists():
            journal = bench.journal.open("rb")
        if journal is not None:
            content = journal.read()
            families += content.count(b'"kind":"family"')
            visits += content.count(b'"kind":"visit"')
        try:
            resident = int((folder / "statm").read_text().split()[1]) * PAGE
            found.append(Sample(families, visits, resident, len(list((folder / "fd").iterdir()))))
        except OSError:  # it has just ended
            break
        sleep(every)
    if journal is not None:
        journal.close()
    return found


def growth(samples: list[Sample], first: int, last: int) -> tuple[float, int]:
    """Bytes and descriptors that a run has more of around its ``last`` family than around its ``first``.

    Medians over some of its looks: memory goes up and down with what is being done.
    """
    early = [one for one in samples if first <= one.families < first + max(20, (last - first) // 20)]
    late = [one for one in samples if last - max(20, (last - first) // 20) < one.families < last]
    bytes_more = median(one.bytes for one in late) - median(one.bytes for one in early)
    return bytes_more, round(median(one.descriptors for one in late) - median(one.descriptors for one in early))


def many(traces: Traces, run: Path, families: int, *options: str, budget: str, quiet: bool = True) -> Bench:
    """A run of so many families; quiet, its output goes nowhere, as nobody may be reading it."""
    traces.environment[NUMBER] = str(families)
    return Bench(traces, run, *options, suite=MANY, budget=budget, quiet=quiet)


def memory(families: int, *options: str) -> bool:
    """Whether a run of so many real families grew by less than 20 MB after its first 500, without a descriptor more."""
    folder = Path(tempfile.mkdtemp(prefix="td-", dir="/tmp"))
    try:
        began = monotonic()
        options = options or ("-p", "tests.faults.hurried")
        bench = many(Traces(folder), folder / "run.json", families, *options, budget="10h")
        samples = watched(bench)
        print(f"{families} families in {monotonic() - began:.0f} s, exit code {bench.process.returncode}")
        for number in range(0, families + 1, max(families // 10, 1)):
            one = next((one for one in samples if one.families >= number), samples[-1])
            print(f"{one.families:6} families: {one.bytes / 2**20:6.1f} MiB, {one.descriptors} descriptors")
        first = min(FROM, families // 2)
        more, descriptors = growth(samples, first, families)
        print(f"from {first} to {families} families: {more / 1e6:+.1f} MB, {descriptors:+} descriptors")
        print(f"at the most, while the JSON was written: {max(one.bytes for one in samples) / 2**20:.0f} MiB")
        return bench.process.returncode == 0 and more < MAX_GROWTH and not descriptors
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def kills(number: int, seed: int = 1, families: int | None = None) -> bool:
    """Whether a run that is killed at so many random moments ends with an undisturbed one's cases.

    It is resumed each time; what its journal held has to be in the end what it was.
    """
    chance = random.Random(seed)
    families = families or 6 * number
    folder = Path(tempfile.mkdtemp(prefix="td-", dir="/tmp"))
    try:
        traces = Traces(folder)
        run, lost, done, killed = folder / "run.json", 0, [], 0
        known: dict[str, Any] = {}
        while killed < number:
            bench = many(traces, run, families, "-p", "tests.faults.hurried", "--resume", budget="10h")
            begun = chance.random() < 0.7  # else at any moment, its start among them
            if begun:
                before = bench.families()
                until(
                    lambda bench=bench, before=before: bench.families() > before or bench.process.poll() is not None, 60
                )  # type: ignore[misc]
            moment = chance.uniform(0.0, 2.0 if begun else 8.0)
            sleep(moment)
            if bench.process.poll() is not None:
                print(f"it ended by itself with exit code {bench.process.returncode}")
                break
            bench.signal(signal.SIGKILL)
            bench.process.wait()
            killed += 1
            now = timing(journaled(bench.journal)) if bench.journal.exists() else {}
            lost += sum(not kept({case: blocks}, now) for case, blocks in known.items())
            known = now
            done.append(len(known))
            print(f"kill {killed:2}, {moment:.1f} s after {'a family' if begun else 'the start'}: {len(known)} known")
        bench = many(traces, run, families, "-p", "tests.faults.hurried", "--resume", budget="10h")
        assert bench.process.wait() == 0
        found = timing(records(run))
        lost += sum(not kept({case: blocks}, found) for case, blocks in known.items())
        expected = {f"many.add[n={n}] cpu eager fp32" for n in range(1, families + 1)}
        left = [] if until(lambda: not traces.processes(), 20) else traces.processes()
        print(
            f"{killed} kills: {len(found)} of {families} cases in the end, {lost} measurements lost, "
            f"{left or 'no'} processes left"
        )
        return killed == number and set(found) == expected and not lost and not left
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def main() -> int:
    """``memory N`` or ``kills N``."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=["memory", "kills"])
    parser.add_argument("number", type=int)
    asked = parser.parse_args()
    return not {"memory": memory, "kills": kills}[asked.what](asked.number)


if __name__ == "__main__":
    sys.exit(main())
