"""A run measured again in visits: each family by several processes, spread over the run, with pilots between all."""

from __future__ import annotations

import json
import math
import random
import statistics
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tests.reports.remeasured import KINDS, begun
from torchduet.bench.record.schema import KEY
from torchduet.bench.record.statistics import placement_differences

VISIT_SECONDS = 1.5  # from one visit to the next


def visited(
    document: Any,
    seed: int,
    *,
    visits: int = 5,
    placements: int = 3,
    slower: Mapping[str, float] | None = None,
    machine: float = 1.0,
    between: float = 0.01,
    within: float = 0.004,
    heavy: float = 0.0,
    families: Sequence[str] = (),
    pilots: bool = True,
) -> Any:
    """The document with new block times, in so many visits to every family.

    Args:
        slower: case id or family → its time is multiplied by this.
        machine: the machine takes so many times as long, pilots as well as cases.
        between: standard deviation between visits (log), of a family's times and again of each case; that of pilots is
            half as much.
        within: standard deviation between the placements of a visit.
        heavy: the share of visits in which a case takes half as long again.
        families: those that are kept (default: all).
    """
    rng = random.Random(seed)
    made = json.loads(json.dumps(document))
    made[KEY]["started"] = begun(seed)
    made["benchmarks"] = [
        one for one in made["benchmarks"] if not families or one["extra_info"][KEY]["case"]["family"] in families
    ]
    names = list(dict.fromkeys(one["extra_info"][KEY]["case"]["family"] for one in made["benchmarks"]))
    slots = [(visit, family) for visit in range(visits) for family in names]
    moments = {slot: VISIT_SECONDS * place for place, slot in enumerate(slots)}
    moved = {slot: machine * math.exp(rng.gauss(0, between)) for slot in slots}
    slower = slower or {}
    records = [one["extra_info"][KEY] for one in made["benchmarks"]]
    for record in records:
        case, timing = record["case"], record["timing"]
        factor = slower.get(case["id"], slower.get(case["family"], 1.0))
        rounds = len(timing["blocks"][0])
        timing["blocks"] = []
        for visit in range(visits):
            own = moved[visit, case["family"]] * math.exp(rng.gauss(0, between))
            own *= 1.5 if rng.random() < heavy else 1.0
            for _ in range(placements):
                place = timing["seconds"] * factor * own * math.exp(rng.gauss(0, within))
                timing["blocks"].append([place * math.exp(abs(rng.gauss(0, 0.002))) for _ in range(rounds)])
        timing["visits"] = [{"at": moments[visit, case["family"]], "placements": placements} for visit in range(visits)]
        medians = [math.log(statistics.median(rounds)) for rounds in timing["blocks"]]
        timing["seconds"] = math.exp(statistics.fmean(medians))
        timing["low"], timing["high"] = (timing["seconds"] * math.exp(end) for end in (-between, between))
    blocks = {record["case"]["id"]: record["timing"]["blocks"] for record in records}
    for record in records:
        for speedup in record["speedups"]:
            if speedup["against"] in blocks:
                _compare(speedup, blocks[speedup["against"]], blocks[record["case"]["id"]], visits, placements)
    made[KEY]["pilots"] = _pilots(moved, moments, lambda: math.exp(rng.gauss(0, between / 2))) if pilots else []
    made[KEY]["visits"] = {"fewest": visits, "median": visits, "most": visits}
    return made


def _compare(speedup: Any, reference: Any, case: Any, visits: int, placements: int) -> None:
    """What a run writes of a speed-up in each visit."""
    differences = placement_differences(reference, case)
    parts = [differences[placements * visit : placements * (visit + 1)] for visit in range(visits)]
    speedup["visit_ratios"] = [math.exp(statistics.fmean(part)) for part in parts]
    speedup["visit_errors"] = [
        statistics.stdev(part) / math.sqrt(len(part)) if len(part) > 1 else None for part in parts
    ]
    mean = statistics.fmean(map(math.log, speedup["visit_ratios"]))
    speedup |= {"ratio": math.exp(mean), "low": None, "high": None, "placements": len(case), "verdict": "unclear"}


def _pilots(
    moved: Mapping[tuple[int, str], float], moments: Mapping[tuple[int, str], float], scatter: Callable[[], float]
) -> list[Any]:
    """Pilots before every visit and after the last."""
    pilots = [
        {
            "at": moments[slot] - VISIT_SECONDS / 2,
            "before": slot[1],
            "seconds": {kind: unit * factor * scatter() for kind, unit in KINDS.items()},
        }
        for slot, factor in moved.items()
    ]
    last = {kind: unit * list(moved.values())[-1] * scatter() for kind, unit in KINDS.items()}
    return [*pilots, {"at": max(moments.values()) + VISIT_SECONDS / 2, "before": "", "seconds": last}]
