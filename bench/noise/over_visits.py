"""The figures of a family over all of its visits."""

from __future__ import annotations

from collections.abc import Container, Sequence
from dataclasses import dataclass, replace
from statistics import fmean, median
from typing import Any

from torchduet.bench.noise.drift import pilots_around, pilots_change
from torchduet.bench.record.devices import HOST
from torchduet.bench.record.schema import PilotRecord
from torchduet.bench.record.telemetry import BlockSwitches, Telemetry, Timed

MEANS = ("others", "steal", "stopped", "quota")


@dataclass(frozen=True)
class OverVisits:
    """A family's figures as if it were timed in one visit: means over its visits, and sums of counts.

    Attributes:
        timed: from the first visit to the last.
        visits: when each began and ended, in seconds into the run.
    """

    timed: Timed
    visits: tuple[tuple[float, float], ...]

    def pilots_change(self, pilots: Sequence[PilotRecord], devices: Container[str] = (HOST,)) -> float | None:
        """How much the pilots around a visit changed, in the median over the visits; None: not known.

        Changes between visits are not counted: each visit compares its cases within itself.

        Args:
            devices: whose pilots count.
        """
        changes = [pilots_change(pilots_around(pilots, *visit), devices) for visit in self.visits]
        known = [change for change in changes if change is not None]
        return median(known) if known else None

    def used_by_others(self, pilots: Sequence[PilotRecord], device: str) -> float | None:
        """Share of the time in which other processes computed on a GPU; None: not known.

        It is the mean over the visits: of a visit counts what was measured meanwhile, or right before or after it if
        that is more, as only some drivers count the use by each process.
        """
        of_visits = []
        for visit in self.visits:
            around = [
                busy[device] for pilot in pilots_around(pilots, *visit) if device in (busy := pilot.get("busy", {}))
            ]
            if around:
                of_visits.append(max(around))
        readings = [fmean(of_visits)] if of_visits else []
        if device in self.timed.used_by_others:
            readings.append(self.timed.used_by_others[device])
        return max(readings, default=None)


def over_visits(timed: Sequence[Timed]) -> list[OverVisits]:
    """The figures of each family, in the order of first visits. Visits to one family have cases in common."""
    groups: list[list[Timed]] = []
    group_of: dict[str, list[Timed]] = {}
    for visit in timed:
        group = next((group_of[case] for case in visit.each if case in group_of), None)
        if group is None:
            group = []
            groups.append(group)
        group.append(visit)
        group_of |= dict.fromkeys(visit.each, group)
    return [OverVisits(_merged(group), tuple((each.begun, each.ended) for each in group)) for group in groups]


def _merged(visits: Sequence[Timed]) -> Timed:
    if len(visits) == 1:
        return visits[0]
    names = {name: None for visit in visits for name in visit.each}
    drifts = [visit.drift for visit in visits if visit.drift is not None]
    reasons = {reason: None for visit in visits for reason in visit.gpu}
    return Timed(
        begun=visits[0].begun,
        ended=visits[-1].ended,
        telemetry=_telemetry([visit.telemetry for visit in visits]),
        drift=median(drifts) if drifts else None,
        whole=_switches([visit.whole for visit in visits]),
        each={name: _switches([visit.each[name] for visit in visits if name in visit.each]) for name in names},
        gpu={reason: fmean(visit.gpu.get(reason, 0.0) for visit in visits) for reason in reasons},
        left_open=any(visit.left_open for visit in visits),
        devices={case: device for visit in visits for case, device in visit.devices.items()},
        used_by_others={
            device: fmean(known)
            for device in dict.fromkeys(device for visit in visits for device in visit.used_by_others)
            if (known := [visit.used_by_others[device] for visit in visits if device in visit.used_by_others])
        },
        threads=max((visit.threads for visit in visits if visit.threads is not None), default=None),
    )


def _telemetry(visits: Sequence[Telemetry]) -> Telemetry:
    """Shares and loads weighted by the length of the visits, counts added up, clocks at their extremes."""
    seconds = sum(visit.seconds for visit in visits)
    means: dict[str, Any] = {}
    for name in MEANS:
        known = [(value, visit.seconds) for visit in visits if (value := getattr(visit, name)) is not None]
        weight = sum(length for _, length in known)
        means[name] = sum(value * length for value, length in known) / weight if weight else None
    slowest = [visit.slowest for visit in visits if visit.slowest is not None]
    fastest = [visit.fastest for visit in visits if visit.fastest is not None]
    return replace(
        visits[-1],
        seconds=seconds,
        slowest=min(slowest, default=None),
        fastest=max(fastest, default=None),
        swapped=_sum([visit.swapped for visit in visits]),
        throttled=_sum([visit.throttled for visit in visits]),
        **means,
    )


def _sum(values: Sequence[int | None]) -> int | None:
    known = [value for value in values if value is not None]
    return sum(known) if known else None


def _switches(visits: Sequence[BlockSwitches]) -> BlockSwitches:
    shares = [visit.share for visit in visits if visit.share is not None]
    rates = [visit.rate for visit in visits if visit.rate is not None]
    return BlockSwitches(
        fmean(shares) if shares else None,
        fmean(rates) if rates else None,
        loaders=any(visit.loaders for visit in visits),
        stood_still=sum(visit.stood_still for visit in visits),
        left_out=sum(visit.left_out for visit in visits),
        kept=sum(visit.kept for visit in visits),
    )
