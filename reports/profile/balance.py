"""Whether a profile adds up: own times and what cannot be attributed against the timed median."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from statistics import median

from torchduet.bench.record.devices import on_host
from torchduet.bench.record.schema import Record
from torchduet.reports.profile.categories import PYTHON
from torchduet.reports.profile.summary import Summary
from torchduet.reports.text import units

AGREES = 1.15  # times as long or as short as timed: more than two moments on one machine usually differ
SLOWED = 1.1  # times as slow under the profiler: worth a warning
DISTURBED = 0.25  # of the calls
SIDE_BY_SIDE = 1.02  # of a call: what adds up to more was done by several threads at a time


@dataclass(frozen=True)
class Balance:
    """Seconds per call.

    Attributes:
        timed: as the run measured it, over many placements of its tensors in memory.
        low, high: the least and the most of a single placement. A profile has one, which may be any of them:
            sums over rows took 60 to 100 µs from one to the next (2-core VM under load, torch 2.13).
        plain: in the profile's own process right before and after it, without the profiler.
        profiled: under the profiler.
        attributed: own times of all operators, kernels and annotations.
        rest: in which none of them ran: Python, and what launches them.
        cold: it was timed with a cold cache, which a profile cannot have.
        waited: on a GPU each profiled call is waited for; timed ones follow one another.
        interrupted: share of the profiled calls in which others took a core.
    """

    timed: float
    low: float
    high: float
    plain: float
    profiled: float
    attributed: float
    rest: float
    cold: bool = False
    waited: bool = False
    interrupted: float = 0.0

    @property
    def overhead(self) -> float:
        """How many times as long a call takes under the profiler."""
        return self.profiled / self.plain

    @property
    def total(self) -> float:
        """Own times and the rest; of threads side by side, each counts."""
        return self.attributed + self.rest

    @property
    def without(self) -> float:
        """The total without what the profiler adds."""
        return self.total / self.overhead

    @property
    def factor(self) -> float:
        """That, as a multiple of the timed median."""
        return self.without / self.timed

    @property
    def agrees(self) -> bool:
        """Whether it is what was timed, as far as placements and two moments on one machine are alike."""
        return self._is_timed(self.without)

    @property
    def alike(self) -> bool:
        """Whether a call took as long around the profile as when it was timed."""
        return self._is_timed(self.plain)

    def _is_timed(self, seconds: float) -> bool:
        return self.low / AGREES <= seconds <= self.high * AGREES


def balance(record: Record, summary: Summary) -> Balance:
    """Of a case that was timed and profiled."""
    rest = summary.categories.get(PYTHON, 0.0)
    timing = record["timing"]
    placements = [timing["seconds"], *(median(rounds) for rounds in timing["blocks"] if rounds)]
    return Balance(
        timed=timing["seconds"],
        low=min(placements),
        high=max(placements),
        plain=record["profile"]["plain_seconds"],
        profiled=summary.seconds,
        attributed=sum(summary.categories.values()) - rest,
        rest=rest,
        cold=timing.get("cache") == "cold",
        waited=not on_host(record["case"]["device"]),
        interrupted=record["profile"].get("interrupted", 0.0),
    )


def said(found: Balance) -> Iterator[str]:
    """Whether it adds up; where it does not, why, as far as that can be told."""
    text = (
        f"Under the profiler a call takes {units.ratio(found.overhead)} as long as without it. Corrected for that, "
        f"own times and the rest add up to {units.seconds(found.without)}; the timed median is "
        f"{units.seconds(found.timed)}"
    )
    if 1 / AGREES <= found.factor <= AGREES:
        yield text + ": they agree" + (f" within {units.percent(abs(found.factor - 1))}." if found.factor != 1 else ".")
    elif found.agrees:
        interval = units.seconds_interval(found.low, found.high)
        yield f"{text}, {interval} from placement to placement of its tensors in memory: within that they agree."
    else:
        yield f"{text}. They differ: {'; '.join(_why(found))}. Rely on the shares, not on the times."
    if found.overhead < 1 / AGREES:
        yield "No profiler makes a call shorter: the machine was in another state meanwhile."
    if found.overhead > SLOWED:
        yield "The profiler’s own time falls on short operators and between them: these seem longer than they are."
    yield from disturbance(found.interrupted, "the profiled calls")


def disturbance(interrupted: float, calls: str) -> Iterator[str]:
    """That others took a core in this share of the calls; nothing of a small one."""
    if interrupted > DISTURBED:
        yield (
            f"In {units.percent(interrupted)} of {calls} others took a core meanwhile: part of what they took is the "
            "machine’s, on whatever operator it fell."
        )


def _why(found: Balance) -> Iterator[str]:
    side_by_side = found.total > SIDE_BY_SIDE * found.profiled
    if found.cold:
        yield "it was timed with a cold cache, and profiled with a warm one"
    elif found.waited:
        yield "each profiled call was waited for, while timed ones follow one another and count the GPU’s time alone"
    elif not side_by_side or not found.alike:
        yield (
            f"right before and after the profile, without the profiler, a call took {units.seconds(found.plain)}, so "
            "the machine or the case was in another state than when it was timed"
        )
    if side_by_side:
        yield "what several threads did side by side counts for each of them"
