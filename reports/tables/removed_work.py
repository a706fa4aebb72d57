"""Finds compiled cases that are faster than their work allows, because the compiler has probably removed some of it.

Eager code computes every result; a compiler leaves out what nobody uses. Their quotient is then no speed-up of the
same work.
"""

from __future__ import annotations

from collections.abc import Mapping

from torchduet.bench.record.schema import Record
from torchduet.reports.read.run_file import Run
from torchduet.reports.tables.roofline import Bound, bounds, ceiling_of
from torchduet.reports.text import units

MIN_SHARE = 3.0  # the least time over the measured one; declared costs and ceilings are not exact to a factor of 2
MIN_SPEEDUP = 5.0  # below it fusion, threads and vector instructions explain any speed-up
FUSED_EACH = 2.0  # fusing n operators saves reading and writing between them: at most about this factor for each
DISPATCH_SHARE = 0.5  # of eager's time in dispatching, above which a compiler may remove that alone
MARK = "less time than its work needs"


def removed_work(run: Run) -> dict[str, str]:
    """Case id → a sentence, for every compiled case that takes less time than its work needs."""
    limits, by_id = bounds(run), {record["case"]["id"]: record for record in run.records}
    sentences = {}
    for case, record in by_id.items():
        if record["compile"] is None:
            continue
        sentence = _beyond_cost(limits.get(case)) or _beyond_fusion(run, record, by_id)
        if sentence:
            sentences[case] = f"{case} {sentence}"
    return sentences


def _beyond_cost(bound: Bound | None) -> str:
    if bound is None or bound.kind == "overhead" or bound.share < MIN_SHARE:
        return ""
    share = units.digits(1 / bound.share, 2)
    return (
        f"takes {share} of the least time that its declared cost needs: the compiler has removed work, or cost= is "
        "too high; return all results, so that none can be left out."
    )


def _beyond_fusion(run: Run, record: Record, by_id: Mapping[str, Record]) -> str:
    """For a case without a usable cost: held against its eager counterpart, whose operators are counted."""
    for speedup in record["speedups"]:
        eager, ceiling = by_id.get(speedup["against"]), ceiling_of(run, record["case"]["device"])
        if speedup["knob"] not in ("mode", "reference") or eager is None or eager["compile"] is not None:
            continue
        operators = eager.get("operators")
        if not operators or ceiling is None or not _same_but_mode(record, eager):
            continue
        dispatch = operators * ceiling["operator_seconds"] / eager["timing"]["seconds"]
        if dispatch < DISPATCH_SHARE and speedup["ratio"] > max(MIN_SPEEDUP, FUSED_EACH * operators):
            number = f"{operators:,} operator{'s' * (operators != 1)}"
            return (
                f"is {units.ratio(speedup['ratio'])} as fast as eager, which runs {number}: more than fusing them can "
                "give; has the compiler removed work whose result is not used? Return all results."
            )
    return ""


def _same_but_mode(record: Record, other: Record) -> bool:
    return all(record["case"][key] == other["case"][key] for key in ("implementation", "device", "precision"))
