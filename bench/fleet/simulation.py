"""Simulates a fleet to see how its cost grows: made-up durations and deaths, the real queue, journal and merge.

``python -m torchduet.bench.fleet.simulation --like run.json`` prints a table. Each size runs in a process of its own,
whose memory is that of the driver. Nothing is measured; records are those of ``run.json`` under other names.
"""

from __future__ import annotations

import argparse
import heapq
import itertools
import json
import math
import random
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from time import process_time
from typing import Any

from torchduet.bench.files.regular import read_text
from torchduet.bench.fleet.queue import Queue
from torchduet.bench.record.journal import Journal
from torchduet.bench.record.schema import KEY

MODULE = "torchduet.bench.fleet.simulation"
KIND = "one kind"
SIZES = ((1000, 10), (3000, 30), (10_000, 100))  # families, machines
COLUMNS = (
    *("families", "machines", "lost, joined", "makespan", "of the ideal"),
    *("queue", "journal", "merge", "memory: driver", "with merge"),
)


@dataclass(frozen=True)
class Fleet:
    """What is simulated. Times are seconds.

    Attributes:
        families, machines: how many there are; all machines are of one kind.
        median, spread: of the families' durations, which are log-normal; ``spread`` is of their logarithm.
        error: the same spread of what a family takes about what the plan expects.
        lifetime: of a machine, exponential; then it dies with what it has in hand.
        away: until another machine joins in its place, exponential.
    """

    families: int
    machines: int = 100
    seed: int = 1
    median: float = 20.0
    spread: float = 1.0
    error: float = 0.3
    lifetime: float = 7200.0
    away: float = 600.0


@dataclass(frozen=True)
class Simulated:
    """What came out.

    Attributes:
        makespan: seconds until the last family was measured.
        ideal: seconds in which the machines that were there could have measured all, had none been lost or idle; at
            least the longest family.
        lost, joined: machines that died, and that joined later.
        requeued: families that a machine was lost with.
        measured: machine → its families, in the order in which they were measured.
        failed: families that were given up.
    """

    makespan: float
    ideal: float
    lost: int
    joined: int
    requeued: int
    measured: Mapping[str, Sequence[str]]
    failed: int


def simulate(fleet: Fleet) -> Simulated:
    """Measure all families, by events: a family is done, a machine dies, a machine joins."""
    rng = random.Random(fleet.seed)
    expected = {
        f"family {index}": rng.lognormvariate(math.log(fleet.median), fleet.spread) for index in range(fleet.families)
    }
    seconds = {name: each * rng.lognormvariate(0, fleet.error) for name, each in expected.items()}
    queue = Queue(split=True)
    queue.plan(KIND, expected)
    events: list[tuple[float, int, str, str]] = []
    numbers, nodes = itertools.count(), itertools.count()
    measured: dict[str, list[str]] = {}
    present: dict[str, float] = {}  # machine → when it joined
    spans: list[tuple[float, float]] = []
    idle: set[str] = set()
    lost = requeued = 0
    now = makespan = 0.0

    def at(time: float, what: str, node: str) -> None:
        heapq.heappush(events, (time, next(numbers), what, node))

    def give(node: str) -> None:
        family = queue.take(node)
        if family is not None:
            idle.discard(node)
            at(now + seconds[family], "done", node)
        else:
            idle.add(node)

    def leave(node: str) -> None:
        spans.append((present.pop(node), now))
        idle.discard(node)

    for _ in range(fleet.machines):
        at(0.0, "join", f"machine {next(nodes)}")
    while queue.number(KIND)[0] < fleet.families:  # a machine that dies is replaced: there is always an event
        now, _, what, node = heapq.heappop(events)
        if what == "join":
            queue.joined(node, KIND)
            present[node], measured[node] = now, []
            at(now + rng.expovariate(1 / fleet.lifetime), "death", node)
            give(node)
        elif node not in present:
            continue  # what a machine that died would have done
        elif what == "done":
            family = queue.in_hand(node)
            assert family is not None
            queue.done(node, family)
            measured[node].append(family)
            makespan = now
            give(node)
        else:
            lost += 1
            requeued += queue.lost(node) is not None
            leave(node)
            at(now + rng.expovariate(1 / fleet.away), "join", f"machine {next(nodes)}")
            for other in sorted(idle):
                give(other)
    spans += [(joined, math.inf) for joined in present.values()]
    done = {name for names in measured.values() for name in names}
    work = sum(seconds[name] for name in done)
    ideal = max(_until(spans, work), max((seconds[name] for name in done), default=0.0))
    joined = len(spans) - fleet.machines
    return Simulated(makespan, ideal, lost, joined, requeued, measured, len(queue.failed(KIND)))


def _until(spans: Sequence[tuple[float, float]], work: float) -> float:
    """When machines that are present in these spans have worked so many seconds together."""
    changes = sorted([(begin, 1) for begin, _ in spans] + [(end, -1) for _, end in spans if end < math.inf])
    done, before, present = 0.0, 0.0, 0
    for time, change in changes:
        if done + present * (time - before) >= work:
            break
        done += present * (time - before)
        before, present = time, present + change
    return before + (work - done) / present if present else before


def documents(like: Mapping[str, Any], measured: Mapping[str, Sequence[str]]) -> Iterator[tuple[str, dict[str, Any]]]:
    """A run's document for each machine that measured something: copies of ``like``, whose first family is repeated."""
    records = [benchmark for benchmark in like["benchmarks"] if benchmark["extra_info"].get(KEY)]
    family = records[0]["extra_info"][KEY]["case"]["family"]
    own = [benchmark for benchmark in records if benchmark["extra_info"][KEY]["case"]["family"] == family]
    text = json.dumps(own)
    about = {**like[KEY], "unreached": [], "skipped": [], "failed": []}
    for index, (node, names) in enumerate(measured.items()):
        if not names:
            continue
        benchmarks = [
            {**copy, "name": f"{name} {copy['name']}", "fullname": f"{name} {copy['fullname']}"}
            for name in names
            for copy in json.loads(text.replace(family, f"made.{name.replace(' ', '_')}"))
        ]
        started = f"2026-01-{1 + index // 1440 % 28:02}T{index // 60 % 24:02}:{index % 60:02}:00+00:00"
        yield (
            f"{node}.json",
            {
                **like,
                "machine_info": {**like["machine_info"], "node": node},
                "benchmarks": benchmarks,
                KEY: {**about, "started": started},
            },
        )


@dataclass(frozen=True)
class Row:
    """A line of the table; seconds of CPU time, and MB."""

    families: int
    machines: int
    lost: int
    joined: int
    makespan: float
    ideal: float
    queue: float
    journal: float
    merge: float | None
    driver_mb: float
    merge_mb: float | None

    def __str__(self) -> str:
        merge = ("–", "–") if self.merge is None else (f"{self.merge:.1f} s", f"{self.merge_mb:.0f} MB")
        cells = (
            f"{self.families:,}",
            f"{self.machines:,}",
            f"{self.lost}, {self.joined}",
            f"{self.makespan / 3600:.2f} h",
            f"{self.makespan / self.ideal:.3f}",
            f"{self.queue:.2f} s",
            f"{self.journal:.1f} s",
            merge[0],
            f"{self.driver_mb:.0f} MB",
            merge[1],
        )
        return f"| {' | '.join(cells)} |"


def row(fleet: Fleet, like: Mapping[str, Any] | None) -> Row:
    """Simulate a fleet in this process, whose memory is part of the answer.

    Args:
        like: a run's document; None: neither journal nor merge.
    """
    began = process_time()
    simulated = simulate(fleet)
    took = process_time() - began
    journal = 0.0 if like is None else _journal(like, simulated.measured)
    driver = _peak_mb()
    merge = None if like is None else _merge(like, simulated.measured)
    return Row(
        fleet.families,
        fleet.machines,
        simulated.lost,
        simulated.joined,
        simulated.makespan,
        simulated.ideal,
        took,
        journal,
        merge,
        driver,
        None if like is None else _peak_mb(),
    )


def _journal(like: Mapping[str, Any], measured: Mapping[str, Sequence[str]]) -> float:
    """Seconds of CPU time of writing every family's records to one journal, a machine at a time."""
    with tempfile.TemporaryDirectory() as folder:
        journal, took = Journal.create(Path(folder, "fleet.json.journal"), {"kind": "fleet"}), 0.0
        for node, names in measured.items():
            for _, document in documents(like, {node: names}):
                began = process_time()
                for benchmark in document["benchmarks"]:
                    journal.append({"kind": "node", "node": node, "entry": benchmark["extra_info"][KEY]})
                took += process_time() - began
        journal.close()
    return took


def _merge(like: Mapping[str, Any], measured: Mapping[str, Sequence[str]]) -> float:
    """Seconds of CPU time of merging the documents of all machines."""
    from torchduet.bench.merge.merging import merged

    parts = list(documents(like, measured))
    began = process_time()
    merged(parts)
    return process_time() - began


def _peak_mb() -> float:
    import resource  # Windows has none

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (2**20 if sys.platform == "darwin" else 2**10)  # bytes there, KiB on Linux


def main(given: Sequence[str] | None = None) -> int:
    """Print the table; with ``--size`` one line of it as JSON, in this process."""
    parser = argparse.ArgumentParser(prog="python -m torchduet.bench.fleet.simulation", description=__doc__)
    parser.add_argument("--like", metavar="FILE", type=Path, help="a run's file, for the journal and the merge")
    parser.add_argument("--size", metavar=("FAMILIES", "MACHINES"), nargs=2, type=int, help=argparse.SUPPRESS)
    options = parser.parse_args(given)
    if options.size is not None:
        like = None if options.like is None else json.loads(read_text(options.like))
        print(json.dumps(asdict(row(Fleet(*options.size), like))))
        return 0
    print(f"| {' | '.join(COLUMNS)} |", "|" + " --- |" * len(COLUMNS), sep="\n")
    for size in SIZES:
        command = [sys.executable, "-m", MODULE, "--size", *map(str, size)]
        command += [] if options.like is None else ["--like", str(options.like)]
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
        print(Row(**json.loads(done.stdout)), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
