"""What one visit found of a case, and how it is added to the case's record."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any, cast

import msgspec

from torchduet.bench.record.schema import (
    MAX_PLACEMENTS,
    DeviceSpeedupRecord,
    MeterRecord,
    Record,
    SmClockRecord,
    SpeedupRecord,
    TrialRecord,
    VisitRecord,
)
from torchduet.bench.record.visits.sides import with_pair


class Ratio(msgspec.Struct, frozen=True, kw_only=True):
    """A comparison by one visit alone.

    Attributes:
        of: what it is compared with: the other case's id; of ``--aa``, the copy's number among the case's copies.
        ratio: the other's time / the case's.
        error: standard error of the ratio's logarithm, by the visit's placements; None where one placement has none.
    """

    of: str
    ratio: float
    error: float | None


class VisitEntry(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A later visit's part of a case's record.

    Attributes:
        blocks: seconds per call, per placement and round.
        seconds: of all blocks.
        disturbed: per placement, its blocks with a context switch.
        left_out: blocks during which the process or the machine was suspended.
        ratios: of its speed-ups.
        copies: of its copies, by their order.
        meters: name → the median of each placement that has a finite one.
        not_finite: name → how many placements have none.
        address_sets: on an accelerator, how many sets of addresses of its inputs differ; None: not known.
        notes: that no earlier visit made.
        against: side B's, of a pair; ``blocks`` are side A's.
        sm_mhz: the SM clock of its GPU.
        device_blocks: seconds of the device's work per call, per placement and round.
        device_ratios: of the speed-ups of the device's work.
    """

    blocks: list[list[float]]
    seconds: float = 0.0
    disturbed: list[int] | None = None
    left_out: int = 0
    ratios: list[Ratio] = []
    copies: list[Ratio] = []
    meters: dict[str, list[float]] = {}
    not_finite: dict[str, int] = {}
    address_sets: int | None = None
    notes: list[str] = []
    against: list[list[float]] = []
    sm_mhz: SmClockRecord | None = None
    device_blocks: list[list[float]] = []
    device_ratios: list[Ratio] = []


def with_visit(record: Record, entry: VisitEntry, at: float) -> Record:
    """The record with another visit; its estimates are made by :mod:`torchduet.bench.record.visits.intervals`.

    Beyond 512 placements no more blocks are kept; the visit's own estimates are.

    Args:
        at: seconds into the run, when the visit's timing began.
    """
    timing = record["timing"].copy()
    kept = max(0, min(len(entry.blocks), MAX_PLACEMENTS - len(timing["blocks"])))
    first = [VisitRecord(at=0.0, placements=len(timing["blocks"]))]
    timing["visits"] = [*timing.get("visits", first), visit_record(at, kept, entry.address_sets, entry.sm_mhz)]
    timing["blocks"] = [*timing["blocks"], *entry.blocks[:kept]]
    if "disturbed" in timing and entry.disturbed is not None:
        timing["disturbed"] = [*timing["disturbed"], *entry.disturbed[:kept]]
    if "device_blocks" in timing and entry.device_blocks:
        room = max(0, MAX_PLACEMENTS - len(timing["device_blocks"]))
        timing["device_blocks"] = [*timing["device_blocks"], *entry.device_blocks[:room]]
        timing["device_seconds"] = median(value for rounds in timing["device_blocks"] for value in rounds)
    if entry.left_out:
        timing["left_out"] = timing.get("left_out", 0) + entry.left_out
    added: Record = {**record, "timing": timing, "notes": list(dict.fromkeys([*record["notes"], *entry.notes]))}
    if "against" in record and entry.against:
        added["against"] = with_pair(record["against"], entry.blocks, entry.against)
    of = {ratio.of: ratio for ratio in entry.ratios}
    on_device = {ratio.of: ratio for ratio in entry.device_ratios}
    added["speedups"] = [
        _with_device_ratio(
            cast(SpeedupRecord, _with_ratio(speedup, of.get(speedup["against"]), kept)),
            on_device.get(speedup["against"]),
            len(entry.device_blocks),
        )
        for speedup in record["speedups"]
    ]
    if "trials" in record:
        copies = {ratio.of: ratio for ratio in entry.copies}
        timed = [{**trial, "seconds": trial["seconds"] + entry.seconds} for trial in record["trials"]]
        added["trials"] = [
            cast(TrialRecord, _with_ratio(trial, copies.get(str(number)), kept)) for number, trial in enumerate(timed)
        ]
    if kept and "meters" in record:
        added["meters"] = {
            name: _with_values(meter, entry.meters.get(name, [])[:kept], entry.not_finite.get(name, 0))
            for name, meter in record["meters"].items()
        }
    return added


def visit_record(
    at: float, placements: int, address_sets: int | None, sm_mhz: SmClockRecord | None = None
) -> VisitRecord:
    """A visit.

    Args:
        at: seconds into the run, when it began.
        address_sets: in how many of its placements the addresses of the inputs differ, if known.
        sm_mhz: the SM clock of its GPU, if known.
    """
    visit = VisitRecord(at=at, placements=placements)
    if address_sets is not None:
        visit["address_sets"] = address_sets
    if sm_mhz is not None:
        visit["sm_mhz"] = sm_mhz
    return visit


def _with_ratio(compared: Mapping[str, Any], ratio: Ratio | None, placements: int) -> Mapping[str, Any]:
    if ratio is None:
        return compared
    return {
        **compared,
        "visit_ratios": [*compared.get("visit_ratios", []), ratio.ratio],
        "visit_errors": [*compared.get("visit_errors", []), ratio.error],
        "placements": compared["placements"] + placements,
    }


def _with_device_ratio(speedup: SpeedupRecord, ratio: Ratio | None, placements: int) -> SpeedupRecord:
    if "device_speedup" not in speedup:
        return speedup
    of_device = cast(DeviceSpeedupRecord, _with_ratio(speedup["device_speedup"], ratio, placements))
    return {**speedup, "device_speedup": of_device}


def _with_values(meter: MeterRecord, values: Sequence[float], not_finite: int) -> MeterRecord:
    together = [*meter["values"], *values]
    added: MeterRecord = {
        **meter,
        "values": together,
        "median": median(together),
        "low": min(together),
        "high": max(together),
    }
    if not_finite:
        added["not_finite"] = meter.get("not_finite", 0) + not_finite
    return added
