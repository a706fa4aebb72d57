"""Long runs of many tiny families: what the parent takes in memory and descriptors, and what 30 kills leave of a run.

``nox -s soak`` runs all; ``python -m tests.faults.soak memory 5000`` or ``… kills 30`` one of them. What they saw is
printed; the exit code is 1 where it is not what docs/reliability.md says.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import random
import shutil
import signal
import sys
import tempfile
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from time import monotonic, sleep
from typing import Any

from tests.bench.test_left_behind import Traces, until
from tests.faults.run import WORKLOADS, Bench, journaled, kept, records, timing
from torchduet.bench.host.temporary import ALIVE, sweep

MANY, MIXED = WORKLOADS / "many.py", WORKLOADS / "mixed.py"
DUET = ("--against-env", "TORCHDUET_TEST_SIDE=1")
NUMBER = "TORCHDUET_TEST_FAMILIES"
FROM = 500  # families: what is imported and cached has been by then
MAX_GROWTH = 20e6  # bytes
EVERY_SECONDS = 0.2
END_SECONDS = 120.0  # for the processes of a run to end after pytest was killed, on a busy machine
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


def _victims(traces: Traces, parent: int) -> dict[int, str]:
    """The processes of a run → what each is: pytest, one that it has started, a worker, or a child of a worker."""
    found: dict[int, str] = {parent: "pytest"}
    parents = {pid: _parent_of(pid) for pid in traces.pids()}
    for pid in parents:
        depth, above = 0, pid
        while above in parents and above != parent:
            depth, above = depth + 1, parents[above]
        if depth == 1:
            found[pid] = "tracker" if "resource_tracker" in _command(pid) else "server"
        elif depth:
            found[pid] = "worker" if depth == 2 else "child of a worker"
    return found


def _parent_of(pid: int) -> int:
    with contextlib.suppress(OSError, IndexError):
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    return 0


def _command(pid: int) -> str:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_text()
    return ""


def kills(number: int, seed: int = 1, families: int | None = None, *options: str) -> bool:
    """Whether a run of which so many processes are killed at random moments ends with an undisturbed one's cases.

    Any process of the run is killed: pytest itself, or first one of the others and pytest some moments later. The run
    is resumed each time; what its journal held has to be in the end what it was.

    Args:
        options: of every start, such as those of a duet.
    """
    chance = random.Random(seed)
    families = families or 6 * number
    folder = Path(tempfile.mkdtemp(prefix="td-", dir="/tmp"))
    try:
        traces = Traces(folder)
        traces.environment[NUMBER] = str(families)
        run, lost, killed, seen = folder / "run.json", 0, 0, Counter[str]()
        known: dict[str, Any] = {}

        def started(*, quiet: bool = True) -> Bench:
            hurried = ("-p", "tests.faults.hurried", "--resume", *options)
            budget = f"{number}m" if options else "10h"  # pairs of a duet are taken until it is used up
            return Bench(traces, run, *hurried, suite=MIXED, budget=budget, quiet=quiet)

        while killed < number:
            bench = started()
            begun = chance.random() < 0.7  # else at any moment, its start among them
            if begun:
                before = bench.families()
                until(
                    lambda bench=bench, before=before: bench.families() > before or bench.process.poll() is not None, 60
                )  # type: ignore[misc]
            moment, wanted = chance.uniform(0.0, 2.0 if begun else 8.0), chance.random()
            sleep(moment)
            if bench.process.poll() is not None:
                print(f"it ended by itself with exit code {bench.process.returncode}")
                break
            victims = _victims(traces, bench.process.pid)
            kinds = sorted(set(victims.values()))
            kind = kinds[int(wanted * len(kinds))]
            victim = chance.choice(sorted(pid for pid, what in victims.items() if what == kind))
            with contextlib.suppress(ProcessLookupError):
                os.kill(victim, signal.SIGKILL)
            seen[kind] += 1
            killed += 1
            if kind != "pytest":
                sleep(chance.uniform(0.0, 2.0))
                bench.signal(signal.SIGKILL)
            bench.process.wait()
            # A server that imports ends when it has imported.
            assert until(lambda: not traces.processes(), END_SECONDS), (kind, traces.processes())
            now = timing(journaled(bench.journal)) if bench.journal.exists() else {}
            lost += sum(not kept({case: blocks}, now) for case, blocks in known.items())
            known = now
            when = f"{moment:.1f} s after {'a family' if begun else 'the start'}"
            print(f"kill {killed:2}, {kind}, {when}: {len(known)} known", flush=True)
        last = started(quiet=False).process
        output, _ = last.communicate()
        assert last.returncode == 0, output
        found = timing(records(run))
        lost += sum(not kept({case: blocks}, found) for case, blocks in known.items())
        left = [] if until(lambda: not traces.processes(), END_SECONDS) else traces.processes()
        for mark in folder.glob(f"*/{ALIVE}"):
            os.utime(mark, (0, 0))  # else it is too young to be removed
        before_sweep, tempfile.tempdir = tempfile.tempdir, str(folder)
        sweep()
        tempfile.tempdir = before_sweep
        stays = ("run.json", "torchduet.lock")  # the lock's file is every user's
        left += [path.name for path in folder.iterdir() if not path.name.startswith(stays)]
        print(
            f"{killed} kills ({', '.join(f'{count} × {kind}' for kind, count in sorted(seen.items()))}): "
            f"{len(found)} of {families} cases in the end, {lost} measurements lost, left: {left or 'nothing'}"
        )
        return killed == number and len(found) == families and not lost and not left
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def main() -> int:
    """``memory N``, ``kills N`` or ``duet-kills N``."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=["memory", "kills", "duet-kills"])
    parser.add_argument("number", type=int)
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    if asked.what == "memory":
        return not memory(asked.number)
    return not kills(asked.number, asked.seed, None, *(DUET if asked.what == "duet-kills" else ()))


if __name__ == "__main__":
    sys.exit(main())
