"""A folder of runs of one machine over time, as ``bench`` would write them; nothing in them was measured."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from tests.reports.remeasured import remeasured
from torchduet.bench.record.schema import KEY

BEGIN = datetime(2026, 1, 5, 3, 0, tzinfo=UTC)


def make_history(
    folder: Path,
    document: Any,
    runs: int,
    *,
    begin: int = 0,
    slower: Callable[[int], Mapping[str, float]] = lambda _: {},
    machine: Callable[[int], float] = lambda _: 1.0,
    quiet: float = 0.006,
    outliers: float = 0.0,
    pilots: bool = True,
    facts: Callable[[int], Mapping[str, Any]] = lambda _: {},
) -> list[Path]:
    """Write run after run, one a day; returns their paths.

    Args:
        document: the run that is measured again and again.
        slower: run → case id or family → its time is multiplied by this, in its reference's speed-ups, too.
        machine: run → the machine takes so many times as long.
        quiet, outliers, pilots: as for ``remeasured``.
        facts: run → keys of its machine that are not as in the document.
    """
    paths = []
    for place in range(begin, begin + runs):
        changed = slower(place)
        made = remeasured(
            document,
            1000 + place,
            slower=changed,
            machine=machine(place),
            quiet=quiet,
            outliers=outliers,
            pilots=pilots,
        )
        _speedups(made, changed, random.Random(place), quiet)
        made[KEY]["started"] = (BEGIN + timedelta(days=place)).isoformat()
        made[KEY]["machine"].update(facts(place))
        made["commit_info"] = {"id": f"{place:07x}" + "0" * 33, "dirty": False}
        path = folder / f"{place:04}.json"
        path.write_text(json.dumps(made), "utf-8")
        paths.append(path)
    return paths


def _speedups(document: Any, changed: Mapping[str, float], rng: random.Random, quiet: float) -> None:
    """Speed-ups that follow the changed times; drift of the machine is not in them."""
    for one in document["benchmarks"]:
        record = one["extra_info"][KEY]
        for held in record["speedups"]:
            factor = changed.get(held["against"], 1.0) / changed.get(record["case"]["id"], 1.0)
            factor *= 1 + rng.gauss(0, quiet / 2)
            for key in ("ratio", "low", "high"):
                held[key] = held[key] * factor if held[key] is not None else None
            held["verdict"] = "unclear"
