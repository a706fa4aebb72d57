"""The harness measured by itself: its overhead per call, and what it says of identical code.

``python -m bench.selfcheck overhead`` and ``python -m bench.selfcheck aa``; see ``--help``.
"""

from __future__ import annotations

import argparse
import contextlib
import math
import multiprocessing
import sys
import timeit
from collections.abc import Iterator, Sequence
from dataclasses import replace
from statistics import median

from bench.engine.budget import Budget
from bench.engine.case import Case, Family, cases_of, group
from bench.engine.conductor import Conductor, WorkerError
from bench.engine.estimate import Speedup, speedup
from bench.engine.options import OptionError, parse_duration, parse_list, parse_threads
from bench.engine.task import CaseResult
from suites.registry import load, names
from suites.workload import MODES, TIERS, SuiteError, cores

ROUNDS = 200
BLOCK_CALLS = 1000
NEAR = 0.01


def nothing() -> None:
    """The empty function whose cost is all overhead."""


def overhead() -> list[str]:
    """Own overhead beside ``timeit`` and ``torch.utils.benchmark``, interleaved in this process."""
    import torch
    import torch.utils.benchmark

    from bench.engine.clock import CpuClock

    torch.set_num_threads(1)
    clock = CpuClock()
    x, y = torch.ones(1), torch.ones(1)
    add = torch.add
    plain = timeit.Timer("f()", globals={"f": nothing})
    theirs = torch.utils.benchmark.Timer("f(x, y)", globals={"f": add, "x": x, "y": y})
    ours_empty, timeit_empty, ours_add, theirs_add = [], [], [], []
    for _ in range(ROUNDS):
        ours_empty.append(clock.block(nothing, (), BLOCK_CALLS).seconds)
        timeit_empty.append(plain.timeit(BLOCK_CALLS) / BLOCK_CALLS)
        ours_add.append(clock.block(add, (x, y), BLOCK_CALLS).seconds)
        theirs_add.append(theirs.timeit(BLOCK_CALLS).median)
    empty, bare = median(ours_empty) * 1e9, median(timeit_empty) * 1e9
    ratio = math.exp(median(math.log(a / b) for a, b in zip(ours_add, theirs_add, strict=True)))
    return [
        f"{ROUNDS} rounds of blocks of {BLOCK_CALLS} calls, interleaved; medians per call",
        f"empty function      block {empty:8.1f} ns   timeit                {bare:8.1f} ns   "
        f"difference {empty - bare:+.1f} ns",
        f"torch.add, 1 value  block {median(ours_add) * 1e9:8.1f} ns   torch.utils.benchmark "
        f"{median(theirs_add) * 1e9:8.1f} ns   ratio {ratio:.4f}",
    ]


def with_twins(family: Family) -> Family:
    """The family with an identical copy of each case: compiled, checked and timed like any other."""
    twins = tuple(replace(case, twin=1) for case in family.cases)
    return Family(cases=family.cases + twins, reported=twins)


def busy_loop() -> None:
    """Keep one core busy."""
    while True:
        sum(range(10_000))


@contextlib.contextmanager
def neighbour(wanted: bool) -> Iterator[None]:
    """Another process that keeps one core busy meanwhile."""
    process = multiprocessing.get_context("spawn").Process(target=busy_loop, daemon=True)
    if wanted:
        process.start()
    try:
        yield
    finally:
        if wanted:
            process.kill()
            process.join()


def select(suites: Sequence[str], tier: str, modes: Sequence[str] | None) -> list[Family]:
    """The CPU families of the suites, each case with its twin."""
    from bench.engine.machine import probe

    machine = probe()
    selected = [
        pair
        for source in suites
        for suite in load(source)
        for pair in cases_of(source, suite, tier=tier, devices=["cpu"], modes=modes)
        if machine.unavailable(pair[0]) is None
    ]
    return [with_twins(family) for family in group(selected)]


def aa(families: Sequence[Family], *, threads: int, seconds: float) -> tuple[dict[Case, Speedup], list[str]]:
    """Every case against its twin: (speed-up per case, reasons of what could not be measured)."""
    conductor = Conductor()
    found: dict[Case, Speedup] = {}
    failures = []
    try:
        conductor.start(compiler=any(case.mode != "eager" for family in families for case in family.cases))
        conductor.machine()
        budget = Budget(seconds, families)
        for number, family in enumerate(families, 1):
            allotted = budget.allot(family) or 1.0
            print(f"\r\x1b[K[{number}/{len(families)}] {family.name}", end="", file=sys.stderr, flush=True)
            try:
                outcome = conductor.measure(
                    family, seconds=allotted, threads=threads, check_only=False, listen=lambda _: None
                )
            except WorkerError as error:
                failures.append(f"{family.name}: {error}")
                budget.done(family)
                continue
            spent = sum(outcome.seconds[stage] for stage in ("compiling", "checking"))
            budget.done(family, spent)
            results = {result.case: result for result in outcome.results}
            for twin in family.reported:
                case = replace(twin, twin=0)
                if reason := _missing(results[case]) or _missing(results[twin]):
                    failures.append(f"{case.id}: {reason}")
                else:
                    found[case] = speedup(results[case].blocks, results[twin].blocks)
    finally:
        print("\r\x1b[K", end="", file=sys.stderr)
        conductor.close()
    return found, failures


def _missing(result: CaseResult) -> str | None:
    return result.error or result.skip


def table(found: dict[Case, Speedup]) -> list[str]:
    """One line per case, the furthest from 1 first, and the shares that count."""
    width = max((len(case.id) for case in found), default=4)
    lines = [f"{'case':<{width}}  twin's speed-up  99 % interval     placements  verdict"]
    for case, estimate in sorted(found.items(), key=lambda item: -abs(math.log(item[1].ratio))):
        lines.append(
            f"{case.id:<{width}}  {estimate.ratio:>15.4f}  {estimate.low:.4f} to {estimate.high:.4f}"
            f"  {estimate.placements:>10}  {estimate.verdict()}"
        )
    near = sum(abs(estimate.ratio - 1) <= NEAR for estimate in found.values())
    alarms = sum(estimate.verdict() in ("faster", "slower") for estimate in found.values())
    outside = sum(not estimate.low <= 1 <= estimate.high for estimate in found.values())
    total = max(len(found), 1)
    lines.append(
        f"{len(found)} cases: {near} ({near / total:.0%}) within ±{NEAR:.0%}; {alarms} verdicts of faster or "
        f"slower; {outside} intervals without 1"
    )
    return lines


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m bench.selfcheck", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("overhead", help="time per call that the harness itself adds")
    twins = commands.add_parser("aa", help="every case against its own twin: what identical code looks like")
    twins.add_argument("--suite", action="append", metavar="NAME|FILE", help="default: all built-in suites")
    twins.add_argument("--tier", choices=TIERS, default="quick")
    twins.add_argument("--mode", metavar="LIST", help="default: the tier's")
    twins.add_argument("--threads", metavar="N", help="default: all cores")
    twins.add_argument("--budget", metavar="TIME", default="3m", help="default: %(default)s")
    twins.add_argument("--busy", action="store_true", help="keep one core busy with another process meanwhile")
    chosen = parser.parse_args(arguments)
    if chosen.command == "overhead":
        print("\n".join(overhead()))
        return 0
    try:
        threads = parse_threads(chosen.threads) or cores()
        seconds = parse_duration("--budget", chosen.budget)
        families = select(chosen.suite or names(), chosen.tier, parse_list("--mode", chosen.mode, MODES))
    except (OptionError, SuiteError) as error:
        parser.error(str(error))
    with neighbour(chosen.busy):
        found, failures = aa(families, threads=threads, seconds=seconds)
    print(f"{threads} threads, {'one core kept busy by another process' if chosen.busy else 'no load of ours'}")
    print("\n".join([*table(found), *(f"not measured: {failure}" for failure in failures)]))
    return 1 if failures or not found else 0


if __name__ == "__main__":
    sys.exit(main())
