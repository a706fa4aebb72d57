"""Measures how often a history errs; ``python -m tests.reports.history_rates`` prints what ``rates`` publishes.

Series are drawn with a known noise and, if at all, one step at a random run (at least five runs from the begin, four
from the end). What all series have in common is known to the judge as it is in a page: from a hundred of them.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable

import numpy as np
from numpy.random import Generator, default_rng

from torchduet.bench.record.machines.key import Machine
from torchduet.reports.history.changes import noise_of, pooled, shrunk, steps
from torchduet.reports.history.judge import judge
from torchduet.reports.history.rates import LatestRates, Rates, SuspectedRates
from torchduet.reports.history.series import CaseName, History, Numbers, RunMark
from torchduet.reports.history.suspicion import others_of, suspected

THRESHOLD = math.log1p(0.03)
OFF = 2  # runs


def independent(deviation: float) -> Callable[[Generator, int], Numbers]:
    return lambda rng, runs: rng.normal(0, deviation, runs)


def heavy(deviation: float) -> Callable[[Generator, int], Numbers]:
    """Student's t with three degrees of freedom."""
    return lambda rng, runs: rng.standard_t(3, runs) * deviation / math.sqrt(3)


def with_outliers(deviation: float) -> Callable[[Generator, int], Numbers]:
    """Every twentieth run takes up to twice as long."""

    def drawn(rng: Generator, runs: int) -> Numbers:
        return rng.normal(0, deviation, runs) + np.where(rng.random(runs) < 0.05, rng.uniform(0.05, 0.7, runs), 0.0)

    return drawn


def alike(deviation: float, correlation: float = 0.5) -> Callable[[Generator, int], Numbers]:
    """Neighbouring runs are correlated: autoregressive of the first order."""

    def drawn(rng: Generator, runs: int) -> Numbers:
        values = rng.normal(0, deviation, runs)
        for place in range(1, runs):
            values[place] = correlation * values[place - 1] + math.sqrt(1 - correlation**2) * values[place]
        return values

    return drawn


NOISES = {
    "1 %": independent(0.01),
    "3 %": independent(0.03),
    "1 %, heavy tails": heavy(0.01),
    "1 %, every 20th run up to twice as slow": with_outliers(0.01),
    "1 %, neighbouring runs alike (ρ = 0.5)": alike(0.01),
    "3 %, neighbouring runs alike (ρ = 0.5)": alike(0.03),
}


def measure(name: str, runs: int, trials: int, seed: int = 1) -> Rates:
    """The rates at a noise."""
    rng, draw = default_rng(seed), NOISES[name]
    common = pooled([noise_of(draw(rng, runs)) for _ in range(100)])

    def found(step: float, at: int) -> list[tuple[int, int]]:
        values = draw(rng, runs)
        values[at:] += math.log1p(step)
        noises = lambda so_far: shrunk(noise_of(values[:so_far]), so_far, common)  # noqa: E731
        return [(one.index, one.reach) for one in steps(values, noises(runs), THRESHOLD, noises)]

    alarms = sum(bool(found(0.0, runs)) for _ in range(trials)) / trials
    shares, within, seen = [], 0, 0
    for step in (0.05, 0.10):
        hits = 0
        for _ in range(trials):
            at = int(rng.integers(5, runs - 3))
            off = [(abs(place - at), reach) for place, reach in found(step, at)]
            near = [one for one in off if one[0] <= max(OFF, one[1])]
            hits += bool(near)
            if near and step == 0.10:
                seen += 1
                within += any(distance <= reach for distance, reach in near)
        shares.append(hits / trials)
    return Rates(name, runs, alarms, *shares, located=within / seen if seen else math.nan)


def suspected_rates(name: str, runs: int, trials: int, seed: int = 1, cases: int = 20) -> SuspectedRates:
    """The rates of suspicions at a noise, in a history of so many cases; ``trials`` series for each number."""
    rng, draw = default_rng(seed), NOISES[name]
    pages = -(-trials // cases)

    def found(step: float) -> list[bool]:
        series = [draw(rng, runs) for _ in range(cases)]
        series[0][runs - 2 :] += math.log1p(step)
        others = others_of(series)
        return [suspected(*one, cases, THRESHOLD) is not None for one in zip(series, others, strict=True)]

    alarms = sum(sum(found(0.0)) for _ in range(pages)) / pages / cases
    shares = [sum(found(step)[0] for _ in range(pages)) / pages for step in (0.1, 0.3)]
    return SuspectedRates(name, runs, alarms, *shares)


def latest_rates(name: str, runs: int, trials: int, seed: int = 1, cases: int = 20) -> LatestRates:
    """How often the latest run of a case is named at a noise, in so many histories of so many cases, one a family."""
    rng, draw = default_rng(seed), NOISES[name]
    alarms = named = 0
    for _ in range(trials):
        logs = np.array([draw(rng, runs) for _ in range(cases)])
        alarms += bool(judge(of_families(logs), 0.03).strays())
        logs[0, -1] += math.log(2)
        named += "a.f0" in [case.id for case, _ in judge(of_families(logs), 0.03).strays()]
    return LatestRates(name, runs, alarms / trials, named / trials)


def of_families(logs: Numbers) -> History:
    """The history of a case in each family on the CPU, without pilots, from logs of times ``[case, run]``."""
    names = [f"a.f{family}" for family in range(len(logs))]
    cases = tuple(CaseName(name, name, "a", "cpu", "eager", "fp32", False) for name in names)
    seconds, nothing = 1e-3 * np.exp(logs), np.full(logs.shape, np.nan)
    around = (seconds, seconds, seconds, nothing, nothing, nothing)
    return History(Machine("0" * 8, {}), _marks(logs.shape[1]), cases, *around, {})


def _marks(runs: int) -> tuple[RunMark, ...]:
    return tuple(RunMark(f"{place:04}.json", "", math.nan, "", "", {}) for place in range(runs))


def drifting(runs: int, seed: int, *, families: int = 50, drift: float = 0.05, pilots: bool = True) -> History:
    """A page of four cases per family in which nothing changes, on a machine that drifts by 5 % from run to run."""
    rng = default_rng(seed)
    moved = rng.normal(0, drift, runs)
    cases = tuple(
        CaseName(f"a.f{family} {place}", f"a.f{family}", "a", "cpu", "eager", "fp32", place == 0)
        for family in range(families)
        for place in range(4)
    )
    shape = (len(cases), runs)
    process = np.repeat(rng.normal(0, 0.005, (families, runs)), 4, axis=0)
    seconds = 1e-3 * np.exp(moved + process + rng.normal(0, 0.01, shape))
    nothing = np.full(shape, np.nan)
    beside = {
        f"a.f{family}": {kind: moved + rng.normal(0, 0.005, runs) for kind in ("arithmetic", "memory", "calls")}
        for family in range(families)
    }
    return History(
        Machine("0" * 8, {}),
        _marks(runs),
        cases,
        seconds,
        seconds * 0.99,
        seconds * 1.01,
        nothing,
        nothing,
        nothing,
        beside if pilots else {},
    )


def false_alarms_of_pages(runs: int, pages: int) -> float:
    """The share of series in which a change of time is seen, of pages in which nothing changes."""
    found = [
        any(one.verdict != "machine" for one in line.changes)
        for seed in range(pages)
        for line in judge(drifting(runs, seed), 0.03).times
    ]
    return sum(found) / len(found)


if __name__ == "__main__":
    trials = int(sys.argv[1]) if len(sys.argv) > 1 else 2000
    for name in NOISES:
        for runs in (30, 100, 1000):
            print(f"    {measure(name, runs, trials)!r},", flush=True)
    for name in NOISES:
        for runs in (3, 4, 6, 9, 30):
            print(f"    {suspected_rates(name, runs, 20 * trials)!r},", flush=True)
    for name in NOISES:
        for runs in (3, 6, 10, 30, 100):
            print(f"    {latest_rates(name, runs, max(2 * trials // 5, 1))!r},", flush=True)
    for runs in (30, 100, 1000):
        print(f"pages of 200 cases, 5 % drift, {runs} runs: {false_alarms_of_pages(runs, max(trials // 200, 1))}")
