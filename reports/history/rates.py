"""The rates of false alarms and of detected changes, measured by simulation.

``python -m tests.reports.history_rates 1000`` writes them: a thousand series per number, at the default threshold of
3 %.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

from torchduet.reports.history.changes import MIN_RUNS
from torchduet.reports.text import units

OUTLIERS = "1 %, every 20th run up to twice as slow"
MAX_SIMULATED = 0.06  # a noise above it is not like the largest that was simulated, 3 %
Row = TypeVar("Row", "Rates", "SuspectedRates", "LatestRates")

SETTING = (
    "Simulated, 1,000 series per number, at a threshold of 3 %. False alarms: series without a change in which one is "
    "found. 5 % and 10 % found: steps at a random run that are found, at most 2 runs off. Run right: found steps of "
    "10 % that lie within the runs given. The noise is the variation from run to run without the movement that all "
    "cases share; that of your cases is in the table. On simulated pages of 200 cases, of a machine that drifts by 5 % "
    "from run to run, there was no false alarm in 1,000 series of 30, 100 or 1,000 runs."
)


SUSPECTED_SETTING = (
    "Simulated with 20 cases, 20,000 series per number without a change and 1,000 with a step, two runs after it. An "
    "outlying first run of three looks like a step."
)


LATEST_SETTING = (
    "Simulated, 400 histories of 20 cases per number. Any named: histories without a change in which the latest run of "
    "any case is named. Twofold named: histories in which a case that takes twice as long in the latest run is named. "
    "Where outliers took up to twice as long before, few runs do not tell another one from them."
)


@dataclass(frozen=True)
class SuspectedRates:
    """Shares of simulated series.

    Attributes:
        noise, runs: as of ``Rates``.
        false_alarms: series without a change in which one is suspected.
        ten, thirty: series in which a step of 10 % or 30 % is suspected two runs later.
    """

    noise: str
    runs: int
    false_alarms: float
    ten: float
    thirty: float


@dataclass(frozen=True)
class LatestRates:
    """Shares of simulated histories.

    Attributes:
        noise, runs: as of ``Rates``.
        false_alarms: histories of 20 cases without a change in which the latest run of any is named.
        twofold: histories in which a case whose latest run takes twice as long is named.
    """

    noise: str
    runs: int
    false_alarms: float
    twofold: float


@dataclass(frozen=True)
class Rates:
    """Shares of simulated series.

    Attributes:
        noise: deviation of single runs about their level, and their distribution.
        runs: number of runs of a series.
        false_alarms: series without a change in which at least one is found.
        five, ten: series in which a step of 5 % or 10 % is found, at most 2 runs off or within its own reach.
        located: found steps of 10 % that lie within their reach (95 % is the aim).
    """

    noise: str
    runs: int
    false_alarms: float
    five: float
    ten: float
    located: float


MEASURED = (
    Rates("1 %", 30, 0.000, 1.000, 1.000, 1.000),
    Rates("1 %", 100, 0.000, 1.000, 1.000, 1.000),
    Rates("1 %", 1000, 0.000, 1.000, 1.000, 1.000),
    Rates("3 %", 30, 0.005, 0.423, 0.978, 0.992),
    Rates("3 %", 100, 0.002, 0.788, 0.995, 0.993),
    Rates("3 %", 1000, 0.000, 0.918, 0.998, 0.997),
    Rates("1 %, heavy tails", 30, 0.000, 1.000, 1.000, 0.999),
    Rates("1 %, heavy tails", 100, 0.000, 1.000, 1.000, 0.997),
    Rates("1 %, heavy tails", 1000, 0.000, 1.000, 1.000, 0.997),
    Rates("1 %, every 20th run up to twice as slow", 30, 0.001, 0.980, 0.990, 0.994),
    Rates("1 %, every 20th run up to twice as slow", 100, 0.003, 0.996, 0.998, 0.995),
    Rates("1 %, every 20th run up to twice as slow", 1000, 0.022, 1.000, 1.000, 0.999),
    Rates("1 %, neighbouring runs alike (ρ = 0.5)", 30, 0.000, 0.975, 1.000, 1.000),
    Rates("1 %, neighbouring runs alike (ρ = 0.5)", 100, 0.000, 0.985, 1.000, 1.000),
    Rates("1 %, neighbouring runs alike (ρ = 0.5)", 1000, 0.000, 1.000, 1.000, 1.000),
    Rates("3 %, neighbouring runs alike (ρ = 0.5)", 30, 0.017, 0.181, 0.757, 0.999),
    Rates("3 %, neighbouring runs alike (ρ = 0.5)", 100, 0.004, 0.285, 0.828, 1.000),
    Rates("3 %, neighbouring runs alike (ρ = 0.5)", 1000, 0.003, 0.691, 0.979, 1.000),
)

SUSPECTED = (
    SuspectedRates("1 %", 3, 0.0000, 0.65, 0.83),
    SuspectedRates("1 %", 4, 0.0000, 0.79, 0.98),
    SuspectedRates("1 %", 6, 0.0000, 0.91, 1.00),
    SuspectedRates("1 %", 9, 0.0000, 0.97, 1.00),
    SuspectedRates("1 %", 30, 0.0000, 1.00, 1.00),
    SuspectedRates("3 %", 3, 0.0000, 0.02, 0.59),
    SuspectedRates("3 %", 4, 0.0000, 0.08, 0.75),
    SuspectedRates("3 %", 6, 0.0000, 0.12, 0.91),
    SuspectedRates("3 %", 9, 0.0000, 0.12, 0.96),
    SuspectedRates("3 %", 30, 0.0000, 0.08, 0.99),
    SuspectedRates("1 %, heavy tails", 3, 0.0034, 0.72, 0.95),
    SuspectedRates("1 %, heavy tails", 4, 0.0005, 0.84, 1.00),
    SuspectedRates("1 %, heavy tails", 6, 0.0003, 0.94, 1.00),
    SuspectedRates("1 %, heavy tails", 9, 0.0003, 0.97, 1.00),
    SuspectedRates("1 %, heavy tails", 30, 0.0002, 0.90, 1.00),
    SuspectedRates("1 %, every 20th run up to twice as slow", 3, 0.0416, 0.55, 0.77),
    SuspectedRates("1 %, every 20th run up to twice as slow", 4, 0.0029, 0.67, 0.84),
    SuspectedRates("1 %, every 20th run up to twice as slow", 6, 0.0032, 0.68, 0.85),
    SuspectedRates("1 %, every 20th run up to twice as slow", 9, 0.0027, 0.62, 0.74),
    SuspectedRates("1 %, every 20th run up to twice as slow", 30, 0.0004, 0.21, 0.28),
    SuspectedRates("1 %, neighbouring runs alike (ρ = 0.5)", 3, 0.0002, 0.46, 0.89),
    SuspectedRates("1 %, neighbouring runs alike (ρ = 0.5)", 4, 0.0003, 0.48, 1.00),
    SuspectedRates("1 %, neighbouring runs alike (ρ = 0.5)", 6, 0.0003, 0.58, 1.00),
    SuspectedRates("1 %, neighbouring runs alike (ρ = 0.5)", 9, 0.0003, 0.67, 1.00),
    SuspectedRates("1 %, neighbouring runs alike (ρ = 0.5)", 30, 0.0000, 0.94, 1.00),
    SuspectedRates("3 %, neighbouring runs alike (ρ = 0.5)", 3, 0.0002, 0.04, 0.40),
    SuspectedRates("3 %, neighbouring runs alike (ρ = 0.5)", 4, 0.0005, 0.11, 0.47),
    SuspectedRates("3 %, neighbouring runs alike (ρ = 0.5)", 6, 0.0011, 0.11, 0.56),
    SuspectedRates("3 %, neighbouring runs alike (ρ = 0.5)", 9, 0.0007, 0.09, 0.63),
    SuspectedRates("3 %, neighbouring runs alike (ρ = 0.5)", 30, 0.0000, 0.06, 0.90),
)

LATEST = (
    LatestRates("1 %", 3, 0.000, 1.00),
    LatestRates("1 %", 6, 0.000, 1.00),
    LatestRates("1 %", 10, 0.000, 1.00),
    LatestRates("1 %", 30, 0.007, 1.00),
    LatestRates("1 %", 100, 0.005, 1.00),
    LatestRates("3 %", 3, 0.000, 0.73),
    LatestRates("3 %", 6, 0.000, 0.99),
    LatestRates("3 %", 10, 0.000, 1.00),
    LatestRates("3 %", 30, 0.007, 1.00),
    LatestRates("3 %", 100, 0.005, 1.00),
    LatestRates("1 %, heavy tails", 3, 0.003, 1.00),
    LatestRates("1 %, heavy tails", 6, 0.010, 1.00),
    LatestRates("1 %, heavy tails", 10, 0.010, 1.00),
    LatestRates("1 %, heavy tails", 30, 0.030, 1.00),
    LatestRates("1 %, heavy tails", 100, 0.043, 1.00),
    LatestRates("1 %, every 20th run up to twice as slow", 3, 0.175, 0.36),
    LatestRates("1 %, every 20th run up to twice as slow", 6, 0.015, 0.05),
    LatestRates("1 %, every 20th run up to twice as slow", 10, 0.003, 0.04),
    LatestRates("1 %, every 20th run up to twice as slow", 30, 0.040, 0.68),
    LatestRates("1 %, every 20th run up to twice as slow", 100, 0.035, 0.82),
    LatestRates("1 %, neighbouring runs alike (ρ = 0.5)", 3, 0.000, 1.00),
    LatestRates("1 %, neighbouring runs alike (ρ = 0.5)", 6, 0.000, 1.00),
    LatestRates("1 %, neighbouring runs alike (ρ = 0.5)", 10, 0.000, 1.00),
    LatestRates("1 %, neighbouring runs alike (ρ = 0.5)", 30, 0.003, 1.00),
    LatestRates("1 %, neighbouring runs alike (ρ = 0.5)", 100, 0.003, 1.00),
    LatestRates("3 %, neighbouring runs alike (ρ = 0.5)", 3, 0.000, 0.77),
    LatestRates("3 %, neighbouring runs alike (ρ = 0.5)", 6, 0.000, 1.00),
    LatestRates("3 %, neighbouring runs alike (ρ = 0.5)", 10, 0.000, 1.00),
    LatestRates("3 %, neighbouring runs alike (ρ = 0.5)", 30, 0.005, 1.00),
    LatestRates("3 %, neighbouring runs alike (ρ = 0.5)", 100, 0.003, 1.00),
)


def fitting(runs: int, deviation: float | None) -> list[str]:
    """The rates of the simulated series that are most like those of a history, a sentence each.

    Args:
        runs: of the history.
        deviation: of single runs about their level, typical of its cases; None where it is not known.
    """
    noise = "1 %" if deviation is None or deviation < math.sqrt(0.01 * 0.03) else "3 %"
    more = (
        f"The noise of {units.percent(deviation or 0.0)} here is more than was simulated: small changes stay hidden. "
    )
    like = f"{more if deviation and deviation > MAX_SIMULATED else ''}In simulated histories of {noise} noise and "
    latest = _nearest(LATEST, noise, runs)
    outliers = _nearest(LATEST, OUTLIERS, runs)
    named = (
        f"Of simulated histories of 20 cases without a change in {latest.runs} runs, the latest run of any case was "
        f"named in {_percent(latest.false_alarms)}; in {_percent(outliers.false_alarms)} where every 20th run took up "
        "to twice as long."
    )
    if runs < MIN_RUNS:
        few = _nearest(SUSPECTED, noise, runs)
        return [
            f"{like}{few.runs} runs, a change was suspected in {_percent(few.false_alarms)} of the series without one, "
            f"and in {_percent(few.thirty)} of those with one of 30 %.",
            named,
        ]
    many = _nearest(MEASURED, noise, runs)
    return [
        f"{like}{many.runs} runs, a change was found in {_percent(many.false_alarms)} of the series without one, in "
        f"{_percent(many.five)} of those with one of 5 %, and in {_percent(many.ten)} of those with one of 10 %.",
        named,
    ]


def _nearest(rows: Sequence[Row], noise: str, runs: int) -> Row:
    of_noise = [row for row in rows if row.noise == noise]
    return min(of_noise, key=lambda row: abs(math.log(row.runs / runs)))


def _percent(share: float) -> str:
    return units.percent(share) if share else "0 %"
