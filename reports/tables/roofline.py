"""The roofline: the least time that a case's cost could take on this machine, and how near it comes.

After Williams, Waterman & Patterson, "Roofline: an insightful visual performance model for multicore
architectures", CACM 52(4), 2009: a case can be no faster than its operations at the machine's best rate,
nor than its bytes at the best bandwidth. A third bound is ours: no faster than its operators can be
dispatched. How it looks is left to ``roofchart``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from torchduet.bench.record.schema import CeilingRecord, Record
from torchduet.reports.read.run_file import Run
from torchduet.reports.text import units

SOURCE = (
    "S. Williams, A. Waterman, D. Patterson: Roofline: an insightful visual performance model for multicore "
    "architectures. Communications of the ACM 52(4), 2009"
)
KINDS = ("compute", "memory", "overhead")
MIN = 3  # how many of the cases that reach least are named
FULL = 1.005  # above this a share reads as more than 100 %


@dataclass(frozen=True)
class Bound:
    """The largest of a case's lower bounds on its time.

    Attributes:
        kind: what it comes from: "compute", "memory" or "overhead".
        seconds: the least time that a call could take.
        share: that as a share of the measured time; above 1 either the cost or the ceiling is wrong.
    """

    kind: str
    seconds: float
    share: float

    @property
    def too_high(self) -> bool:
        """Whether it is above its ceiling, beyond rounding."""
        return self.share > FULL


@dataclass(frozen=True)
class Point:
    """A case in the roofline chart: operations per byte, operations per second and what bounds it."""

    name: str
    intensity: float
    flops_per_second: float
    bound: Bound


def bounds(run: Run) -> dict[str, Bound]:
    """Case id → its bound, for every case with a known cost on a device with ceilings."""
    found = {}
    for record in run.records:
        ceiling = ceiling_of(run, record["case"]["device"])
        bound = bound_of(record, ceiling) if ceiling else None
        if bound:
            found[record["case"]["id"]] = bound
    return found


def ceiling_of(run: Run, device: str) -> CeilingRecord | None:
    """The ceilings of a device: its own, or those of its kind (``cuda`` for ``cuda:0``)."""
    ceilings = run.about.get("ceilings", [])
    named = [one for one in ceilings if one["device"] == device]
    alike = [one for one in ceilings if one["device"].split(":")[0] == device.split(":")[0]]
    return next(iter(named + alike), None)


def bound_of(record: Record, ceiling: CeilingRecord) -> Bound | None:
    """The largest lower bound of a case's time; None without a known cost."""
    cost, seconds = record["cost"], record["timing"]["seconds"]
    if not cost.get("flops") and not cost.get("bytes"):
        return None
    least: dict[str, float] = {}
    rate = compute_ceiling(ceiling, record["case"]["precision"])
    if rate and cost.get("flops"):
        least["compute"] = cost["flops"] / rate
    bandwidth = bandwidth_ceiling(ceiling, cost.get("bytes", 0))
    if bandwidth and cost.get("bytes"):
        least["memory"] = cost["bytes"] / bandwidth
    if "operators" in record:
        least["overhead"] = record["operators"] * ceiling["operator_seconds"]
    if not least:
        return None
    kind = max(least, key=lambda one: least[one])
    return Bound(kind, least[kind], least[kind] / seconds)


def compute_ceiling(ceiling: CeilingRecord, precision: str) -> float | None:
    """Operations per second; under autocast and TF32 some operators stay in fp32, so the larger of the two."""
    rates = ceiling["flops_per_second"]
    return max((rates[name] for name in {precision, "fp32"} & set(rates)), default=None)


def bandwidth_ceiling(ceiling: CeilingRecord, moved: float) -> float | None:
    """Bytes per second for so many bytes: the best of the working sets that are at least as large.

    A smaller working set stays in a cache in which this one has no room. Beyond all of them, the largest's.
    """
    rates = {int(working_set): rate for working_set, rate in ceiling["bytes_per_second"].items()}
    if not rates:
        return None
    fitting = [rate for working_set, rate in rates.items() if working_set >= moved]
    return max(fitting) if fitting else rates[max(rates)]


def points(run: Run, device: str, names: Mapping[str, str], limits: Mapping[str, Bound]) -> list[Point]:
    """The cases of a device of which operations and bytes are known."""
    found = []
    for record in run.records:
        case, cost = record["case"], record["cost"]
        bound = limits.get(case["id"])
        if case["device"] != device or bound is None or not cost.get("flops") or not cost.get("bytes"):
            continue
        rate = cost["flops"] / record["timing"]["seconds"]
        found.append(Point(names[case["id"]], cost["flops"] / cost["bytes"], rate, bound))
    return found


def sentences(limits: Mapping[str, Bound], names: Mapping[str, str]) -> list[str]:
    """What most cases are bound by, which reach least, and which are above their ceiling."""
    counted = {kind: [one.share for one in limits.values() if one.kind == kind] for kind in KINDS}
    found = {kind: shares for kind, shares in counted.items() if shares}
    number = len(limits)
    counts = " and ".join(
        f"{len(shares)} {'are' if len(shares) != 1 else 'is'} bound by {kind}" for kind, shares in found.items()
    )
    medians = ", ".join(f"those bound by {kind} reach {units.percent(median(found[kind]))}" for kind in found)
    said = [
        f"Of {number} case{'s' if number != 1 else ''} with a known cost, {counts}. "
        f"In the median {medians} of their ceiling."
    ]
    lowest = sorted(limits, key=lambda one: limits[one].share)[:MIN]
    said.append(f"Least is reached by {_named(lowest, limits, names)}.")
    beyond = [one for one in limits if limits[one].too_high]
    if beyond:
        highest = sorted(beyond, key=lambda one: -limits[one].share)
        more = f" and {len(beyond) - MIN} more" if len(beyond) > MIN else ""
        said.append(
            f"Above the ceiling, so that the cost or the ceiling is wrong: "
            f"{_named(highest[:MIN], limits, names)}{more}."
        )
    return said


def _named(ids: Sequence[str], limits: Mapping[str, Bound], names: Mapping[str, str]) -> str:
    return ", ".join(f"{names[one]} ({units.percent(limits[one].share)} of {limits[one].kind})" for one in ids)
