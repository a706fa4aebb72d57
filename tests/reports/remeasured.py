"""A run measured again without visits: the same cases with fresh noise, pilots, and whatever is injected."""

from __future__ import annotations

import json
import math
import random
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.reports.in_visits import without_visits
from tests.reports.made_once import made_once
from torchduet.bench.record.schema import KEY

KINDS = {"arithmetic": 4.1e-4, "memory": 2.2e-3, "calls": 6.0e-5}


@made_once
def remeasured(
    document: Any,
    seed: int,
    *,
    slower: Mapping[str, float] | None = None,
    machine: float = 1.0,
    quiet: float = 0.003,
    outliers: float = 0.0,
    pilots: bool = True,
) -> Any:
    """The document with new block times.

    Args:
        slower: case id or family → its time is multiplied by this.
        machine: the machine takes so many times as long, pilots as well as cases.
        quiet: the spread of placements, of processes and of the machine (standard deviation, log), each.
        outliers: the share of cases that are up to twice as slow in this process or that, and whose placements
            vary accordingly.
        pilots: whether the run has any.
    """
    rng = random.Random(seed)
    made = without_visits(json.loads(json.dumps(document)))
    made[KEY]["started"] = begun(seed)
    slower = slower or {}
    families = list(dict.fromkeys(one["extra_info"][KEY]["case"]["family"] for one in made["benchmarks"]))
    moved = {family: machine * math.exp(rng.gauss(0, quiet)) for family in [*families, ""]}
    for one in made["benchmarks"]:
        record = one["extra_info"][KEY]
        case, timing = record["case"], record["timing"]
        restless = rng.random() < outliers
        factor = moved[case["family"]] * slower.get(case["id"], slower.get(case["family"], 1.0))
        factor *= math.exp(rng.gauss(0, quiet) + (rng.uniform(0, 0.7) if restless else 0))
        spread = 0.2 if restless else quiet
        timing["blocks"] = [
            [timing["seconds"] * factor * place * math.exp(abs(rng.gauss(0, 0.002))) for _ in rounds]
            for rounds in timing["blocks"]
            for place in [math.exp(rng.gauss(0, spread))]
        ]
        for key in ("seconds", "low", "high"):
            timing[key] *= factor
    if pilots:
        made[KEY]["pilots"] = [
            {
                "at": 4.0 * place,
                "before": family,
                "seconds": {kind: unit * moved[family] * math.exp(rng.gauss(0, quiet)) for kind, unit in KINDS.items()},
            }
            for place, family in enumerate([*families, ""])
        ]
    return made


def begun(seed: int) -> str:
    """When the run of a seed began: every one at another time, in the order of their seeds."""
    return (datetime(2026, 3, 2, 9, 21, 37, tzinfo=UTC) + timedelta(hours=seed)).isoformat()


def ids(document: Any) -> list[str]:
    """The ids of a document's cases."""
    return [one["extra_info"][KEY]["case"]["id"] for one in document["benchmarks"]]
