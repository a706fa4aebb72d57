"""The rates of false alarms and of detected changes, measured by simulation.

``python -m tests.reports.history_rates 1000`` writes them: a thousand series per number, at the default threshold of
3 %.
"""

from __future__ import annotations

from dataclasses import dataclass

SETTING = (
    "Simulated, 1,000 series per number, at a threshold of 3 %. False alarms: series without a change in which one is "
    "found. 5 % and 10 % found: steps at a random run that are found, at most 2 runs off. Run right: found steps of "
    "10 % that lie within the runs given. The noise is the variation from run to run without the movement that all "
    "cases share; that of your cases is in the table. On simulated pages of 200 cases, of a machine that drifts by 5 % "
    "from run to run, there was no false alarm in 1,000 series of 30, 100 or 1,000 runs."
)


SUSPECTED_SETTING = (
    "Suspected steps, by the same simulation, of 20 cases: series without a change in which one is suspected, and "
    "steps that are suspected two runs later."
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
    Rates("3 %", 30, 0.013, 0.541, 0.983, 0.976),
    Rates("3 %", 100, 0.004, 0.820, 0.986, 0.975),
    Rates("3 %", 1000, 0.000, 0.937, 0.994, 0.973),
    Rates("1 %, heavy tails", 30, 0.000, 1.000, 1.000, 0.996),
    Rates("1 %, heavy tails", 100, 0.000, 0.999, 1.000, 0.996),
    Rates("1 %, heavy tails", 1000, 0.000, 1.000, 1.000, 0.992),
    Rates("1 %, every 20th run up to twice as slow", 30, 0.004, 0.997, 0.999, 0.946),
    Rates("1 %, every 20th run up to twice as slow", 100, 0.005, 0.995, 0.998, 0.960),
    Rates("1 %, every 20th run up to twice as slow", 1000, 0.026, 1.000, 1.000, 0.965),
    Rates("1 %, neighbouring runs alike (ρ = 0.5)", 30, 0.000, 0.982, 1.000, 1.000),
    Rates("1 %, neighbouring runs alike (ρ = 0.5)", 100, 0.000, 0.973, 1.000, 1.000),
    Rates("1 %, neighbouring runs alike (ρ = 0.5)", 1000, 0.000, 0.999, 1.000, 1.000),
    Rates("3 %, neighbouring runs alike (ρ = 0.5)", 30, 0.023, 0.224, 0.779, 0.994),
    Rates("3 %, neighbouring runs alike (ρ = 0.5)", 100, 0.043, 0.378, 0.804, 0.988),
    Rates("3 %, neighbouring runs alike (ρ = 0.5)", 1000, 0.006, 0.823, 0.975, 0.995),
)

SUSPECTED: tuple[SuspectedRates, ...] = ()
