"""The roofline: the least time that a case's cost could take on this machine, and how close the case comes to it.

After Williams, Waterman & Patterson, "Roofline: an insightful visual performance model for multicore
architectures", CACM 52(4), 2009: a case can be no faster than its operations at the machine's best rate,
nor than its bytes at the best bandwidth. A third bound is our own: no faster than its operators can be
dispatched. The chart is drawn by ``charts.roofline``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from torchduet.bench.record.knobs import number_format
from torchduet.bench.record.schema import CeilingRecord, Record
from torchduet.reports.read.run_file import Run
from torchduet.reports.text import units

SOURCE = (
    "S. Williams, A. Waterman, D. Patterson: Roofline: an insightful visual performance model for multicore "
    "architectures. Communications of the ACM 52(4), 2009"
)
KINDS = ("compute", "memory", "overhead")
MAX_NAMED = 3  # cases that a sentence names
BEYOND = 1.1  # a share above this shows that the ceilings, or a cost, are wrong
FULL = 1.005  # above this a share reads as more than 100 %


@dataclass(frozen=True)
class Bound:
    """The largest of a case's lower bounds on its time.

    Attributes:
        kind: what it comes from: "compute", "memory" or "overhead".
        seconds: the least time that a call could take.
        share: ``seconds`` as a share of the measured time; above 1 either the cost or the ceiling is wrong.
    """

    kind: str
    seconds: float
    share: float

    @property
    def too_high(self) -> bool:
        """Whether the case is above its ceiling by more than rounding."""
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
    limits = {}
    for record in run.records:
        ceiling = ceiling_of(run, record["case"]["device"])
        bound = bound_of(record, ceiling) if ceiling else None
        if bound:
            limits[record["case"]["id"]] = bound
    return limits


def ceiling_of(run: Run, device: str) -> CeilingRecord | None:
    """The ceilings of a device: its own, or those of its kind (``cuda`` for ``cuda:0``)."""
    ceilings = run.about.get("ceilings", [])
    same_device = [ceiling for ceiling in ceilings if ceiling["device"] == device]
    same_kind = [ceiling for ceiling in ceilings if ceiling["device"].split(":")[0] == device.split(":")[0]]
    return next(iter(same_device + same_kind), None)


def bound_of(record: Record, ceiling: CeilingRecord) -> Bound | None:
    """The largest lower bound of a case's time; None without a known cost.

    None for a case of a family with ranks, too: its threads and processes are not those of the ceilings.
    """
    cost, seconds = record["cost"], record["timing"]["seconds"]
    if "ranks" in record["case"]:
        return None
    if not cost.get("flops") and not cost.get("bytes"):
        return None
    seconds_by_kind: dict[str, float] = {}
    rate = compute_ceiling(ceiling, record["case"]["precision"])
    if rate and cost.get("flops"):
        seconds_by_kind["compute"] = cost["flops"] / rate
    bandwidth = bandwidth_ceiling(ceiling, cost.get("bytes", 0))
    if bandwidth and cost.get("bytes"):
        seconds_by_kind["memory"] = cost["bytes"] / bandwidth
    if "operators" in record:
        seconds_by_kind["overhead"] = record["operators"] * ceiling["operator_seconds"]
    if not seconds_by_kind:
        return None
    kind, bound = max(seconds_by_kind.items(), key=lambda item: item[1])
    return Bound(kind, bound, bound / seconds)


def compute_ceiling(ceiling: CeilingRecord, precision: str) -> float | None:
    """Operations per second; under autocast and TF32 some operators stay in fp32, so it is the larger of the two.

    A CPU without kernels for a type computes in fp32, too.
    """
    rates = ceiling["flops_per_second"]
    return max((rates[name] for name in {number_format(precision), "fp32"} & set(rates)), default=None)


def bandwidth_ceiling(ceiling: CeilingRecord, moved: float) -> float | None:
    """Bytes per second for ``moved`` bytes: the best rate of all working sets that are at least as large.

    A smaller working set may fit a cache that is too small for this one. If all are smaller, the largest one counts.
    """
    rates = {int(working_set): rate for working_set, rate in ceiling["bytes_per_second"].items()}
    if not rates:
        return None
    fitting = [rate for working_set, rate in rates.items() if working_set >= moved]
    return max(fitting) if fitting else rates[max(rates)]


def points(run: Run, device: str, names: Mapping[str, str], limits: Mapping[str, Bound]) -> list[Point]:
    """The cases of a device whose operations and bytes are known."""
    drawn = []
    for record in run.records:
        case, cost = record["case"], record["cost"]
        bound = limits.get(case["id"])
        if case["device"] != device or bound is None or not cost.get("flops") or not cost.get("bytes"):
            continue
        rate = cost["flops"] / record["timing"]["seconds"]
        drawn.append(Point(names[case["id"]], cost["flops"] / cost["bytes"], rate, bound))
    return drawn


def sentences(limits: Mapping[str, Bound], names: Mapping[str, str], *, disturbed: bool = False) -> list[str]:
    """What bounds the cases, which reach the least of their ceiling, and which are above it.

    No shares are stated where the ceilings are in doubt: the machine was ``disturbed`` while they were measured, or a
    case is far above its own.
    """
    beyond = [case for case in limits if limits[case].too_high]
    above = _above(beyond, limits, names)
    if disturbed or any(limits[case].share > BEYOND for case in beyond):
        doubt = (
            "The machine was disturbed, and the ceilings were measured beside other work"
            if disturbed
            else "A case is far above its ceiling, so the ceilings, or its cost, are wrong"
        )
        return [
            f"{doubt}: how near to them the cases come is not known, and shares of them are a hint at most.",
            *above,
        ]
    all_kinds = {kind: [bound.share for bound in limits.values() if bound.kind == kind] for kind in KINDS}
    shares_by_kind = {kind: shares for kind, shares in all_kinds.items() if shares}
    number = len(limits)
    counts = " and ".join(
        f"{len(shares)} {'are' if len(shares) != 1 else 'is'} bound by {kind}"
        for kind, shares in shares_by_kind.items()
    )
    medians = ", ".join(
        f"those bound by {kind} reach {units.percent(median(shares))}" for kind, shares in shares_by_kind.items()
    )
    words = [
        f"Of {units.plural(number, 'case')} with a known cost, {counts}. In the median {medians} of their ceiling."
    ]
    lowest = sorted(limits, key=lambda case: limits[case].share)[:MAX_NAMED]
    words.append(
        f"The lowest share{' is' if len(lowest) == 1 else 's are'} reached by {_named(lowest, limits, names)}."
    )
    return [*words, *above]


def _above(beyond: Sequence[str], limits: Mapping[str, Bound], names: Mapping[str, str]) -> list[str]:
    """A sentence on the cases above their ceiling; none where there are none."""
    if not beyond:
        return []
    highest = sorted(beyond, key=lambda case: -limits[case].share)
    more = f" and {len(beyond) - MAX_NAMED} more" if len(beyond) > MAX_NAMED else ""
    return [
        f"Above the ceiling, so the cost or the ceiling is wrong: {_named(highest[:MAX_NAMED], limits, names)}{more}."
    ]


def _named(ids: Sequence[str], limits: Mapping[str, Bound], names: Mapping[str, str]) -> str:
    return ", ".join(f"{names[case]} ({units.percent(limits[case].share)} of {limits[case].kind})" for case in ids)
