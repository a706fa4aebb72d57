"""Checks whether a profile adds up: own times plus unattributed time against the timed calls."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from statistics import median

from torchduet.bench.record.devices import on_host
from torchduet.bench.record.schema import Record
from torchduet.reports.profile.categories import PYTHON
from torchduet.reports.profile.summary import Summary
from torchduet.reports.tables.visits import number_of_visits
from torchduet.reports.text import units

AGREES = 1.15  # up to so many times as long or as short as timed: two moments on one machine usually differ by less
SLOWED = 1.1  # times as slow under the profiler: more is worth a warning
DISTURBED = 0.25  # of the calls
SIDE_BY_SIDE = 1.02  # of a call: times that add up to more come from several threads at a time


@dataclass(frozen=True)
class Balance:
    """Seconds per call.

    Attributes:
        timed: the run's time per call, over many placements of its tensors in memory.
        low, high: the least and the most of a single placement, in any visit. A profile has one placement, in a process
            of its own, which may be any of them: sums over rows took 60 to 100 µs from one to the next (2-core VM under
            load, torch 2.13).
        unprofiled: in the profile's own process right before and after it, without the profiler.
        profiled: under the profiler.
        attributed: own times of all operators, kernels and annotations.
        rest: in which none of them ran: Python, and launching them.
        cold: the case was timed with a cold cache, which a profile cannot have.
        waited: each profiled call was waited for, as on a GPU; timed calls follow one another.
        interrupted: share of the profiled calls in which other processes took a core.
        visits: that the placements are from; 0 for a file without visits.
    """

    timed: float
    low: float
    high: float
    unprofiled: float
    profiled: float
    attributed: float
    rest: float
    cold: bool = False
    waited: bool = False
    interrupted: float = 0.0
    visits: int = 0

    @property
    def overhead(self) -> float:
        """How many times as long a call takes under the profiler."""
        return self.profiled / self.unprofiled

    @property
    def total(self) -> float:
        """Own times and the rest; threads that run at the same time each count."""
        return self.attributed + self.rest

    @property
    def without(self) -> float:
        """The total, corrected for the profiler's overhead; as it is where the profiled calls have no length."""
        return self.total / self.overhead if self.overhead else self.total

    @property
    def factor(self) -> float:
        """The corrected total as a multiple of the time per call."""
        return self.without / self.timed

    @property
    def agrees(self) -> bool:
        """Whether the corrected total matches the timing, within what placements and two moments differ by."""
        return self._is_timed(self.without)

    @property
    def alike(self) -> bool:
        """Whether a call without the profiler took as long as when it was timed."""
        return self._is_timed(self.unprofiled)

    def _is_timed(self, seconds: float) -> bool:
        return self.low / AGREES <= seconds <= self.high * AGREES


def balance(record: Record, summary: Summary) -> Balance:
    """The balance of a case that was timed and profiled."""
    rest = summary.categories.get(PYTHON, 0.0)
    timing = record["timing"]
    levels = [timing["seconds"], *(median(rounds) for rounds in timing["blocks"] if rounds)]
    return Balance(
        timed=timing["seconds"],
        low=min(levels),
        high=max(levels),
        unprofiled=record["profile"]["plain_seconds"],
        profiled=summary.seconds,
        attributed=sum(summary.categories.values()) - rest,
        rest=rest,
        cold=timing.get("cache") == "cold",
        waited=not on_host(record["case"]["device"]),
        interrupted=record["profile"].get("interrupted", 0.0),
        visits=number_of_visits(record),
    )


def sentences(sums: Balance) -> Iterator[str]:
    """Whether the profile adds up; where it does not, the likely reasons."""
    text = (
        f"Under the profiler a call takes {units.ratio(sums.overhead)} as long as without it. Corrected for that, "
        f"own times and the rest add up to {units.seconds(sums.without)}; a timed call took "
        f"{units.seconds(sums.timed)}"
    )
    if 1 / AGREES <= sums.factor <= AGREES:
        yield text + ": they agree" + (f" within {units.percent(abs(sums.factor - 1))}." if sums.factor != 1 else ".")
    elif sums.agrees:
        interval = units.seconds_interval(sums.low, sums.high)
        over = f" in {sums.visits} visits" if sums.visits > 1 else ""
        yield f"{text}, and {interval} in the placements of its tensors in memory{over}: within that they agree."
    else:
        yield f"{text}. They differ: {'; '.join(_reasons(sums))}. Rely on the shares, not on the times."
    if sums.overhead < 1 / AGREES:
        yield "A profiler cannot make a call shorter: the machine was in another state under the profiler."
    if sums.overhead > SLOWED:
        idles = ", and the GPU seems to idle longer" if sums.waited else ""
        yield f"The profiler’s own time is added to operators and the gaps between them: short ones seem longer{idles}."
    yield from disturbance(sums.interrupted, "the profiled calls")


def disturbance(interrupted: float, calls: str) -> Iterator[str]:
    """A warning if other processes took a core in more than a quarter of the calls."""
    if interrupted > DISTURBED:
        yield (
            f"In {units.percent(interrupted)} of {calls} other processes took a core: part of the time is theirs, "
            "whichever operator it was counted for."
        )


def _reasons(sums: Balance) -> Iterator[str]:
    side_by_side = sums.total > SIDE_BY_SIDE * sums.profiled
    if sums.cold:
        yield "it was timed with a cold cache, and profiled with a warm one"
    elif sums.waited:
        yield "each profiled call was waited for, while timed ones follow one another and count the GPU’s time alone"
    elif not side_by_side or not sums.alike:
        yield (
            f"right before and after the profile, without the profiler, a call took {units.seconds(sums.unprofiled)}, "
            "so the machine or the case was in another state than when it was timed"
        )
    if side_by_side:
        yield "work of several threads at the same time counts for each of them"
