"""The columns of exported cases that only cases of several processes fill; runs without such cases lack them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torchduet.bench.record.knobs import COMMUNICATION, NAMES, RANKS
from torchduet.bench.record.moderation import Prior
from torchduet.bench.record.schema import Record
from torchduet.reports.read.run_file import Run
from torchduet.reports.tables.pairs import PairRatio, pair_ratio, verdict_withheld
from torchduet.reports.tables.ranks import (
    Efficiency,
    Estimate,
    bandwidth,
    efficiency,
    exposed,
    ranks_of,
    skew,
    speedup_of,
)
from torchduet.reports.tables.visits import prior_of
from torchduet.reports.text.settings import setting

ESTIMATES = ("efficiency", "exposed_communication")
NAMED = (
    *("role", "backend", "threads_per_rank", "message_bytes", "message_bandwidth", "bus_bandwidth", "scaling"),
    *(f"{name}{end}" for name in ESTIMATES for end in ("", "_low", "_high")),
    *("mean_rank_seconds", "fastest_rank_seconds", "skew"),
)
TEXTS = ("role", "backend", "scaling")
WHOLE = ("threads_per_rank",)


def columns(run: Run) -> dict[str, list[Any]]:
    """Each column of ``NAMED`` with a value per case, None where it does not apply; empty for a run without ranks."""
    if not any(ranks_of(record) for record in run.records):
        return {}
    of_fewest, prior = fewest(run), prior_of(run)
    found = [_values(record, of_fewest.get(way_of(record)), prior) for record in run.records]
    return {name: [values.get(name) for values in found] for name in NAMED}


def way_of(record: Record) -> tuple[str, ...]:
    """What the cases of one scaling curve have in common: their family, and all settings but the number of ranks."""
    return (record["case"]["family"], *(setting(record, knob) for knob in NAMES if knob != RANKS))


def fewest(run: Run) -> dict[tuple[str, ...], Record]:
    """The case with the fewest ranks of each way, which efficiency is held against."""
    found: dict[tuple[str, ...], Record] = {}
    for record in run.records:
        if ranks_of(record) and "message" not in record["cost"]:
            first = found.setdefault(way_of(record), record)
            if ranks_of(record) < ranks_of(first):
                found[way_of(record)] = record
    return found


def held_against(first: Record, record: Record, prior: Prior | None) -> PairRatio | None:
    """The comparison by ranks that the run made of two cases; where it made none, the same from their blocks."""
    made = speedup_of(record, RANKS)
    if made is None or made["against"] != first["case"]["id"]:
        return pair_ratio(first, record, prior)
    withheld = verdict_withheld(record)
    return PairRatio(made["ratio"], made["low"], made["high"], made["verdict"], made["placements"], withheld)


def efficiency_of(first: Record | None, record: Record, prior: Prior | None) -> Efficiency | None:
    """The efficiency of a case against that of the fewest ranks, which has none itself."""
    if first is None or first is record:
        return None
    pair = held_against(first, record, prior)
    return efficiency(first, record, pair) if pair else None


def _values(record: Record, first: Record | None, prior: Prior | None) -> Mapping[str, Any]:
    ranks, gain = record.get("ranks"), efficiency_of(first, record, prior)
    of_algorithm, of_bus = bandwidth(record, "message"), bandwidth(record, "bus")
    communication = speedup_of(record, COMMUNICATION)
    values: dict[str, Any] = {
        "role": record["case"].get("role"),
        "message_bytes": record["cost"].get("message"),
        "message_bandwidth": of_algorithm.value if of_algorithm else None,
        "bus_bandwidth": of_bus.value if of_bus else None,
        "scaling": gain.scaling if gain else None,
        "skew": skew(record),
        **_estimate("efficiency", gain.share if gain else None),
        **_estimate("exposed_communication", exposed(communication) if communication else None),
    }
    if ranks is not None:
        values |= {"backend": ranks["backend"], "threads_per_rank": ranks["threads"]}
        values |= {"mean_rank_seconds": ranks["mean"], "fastest_rank_seconds": ranks["least"]}
    return values


def _estimate(name: str, of: Estimate | None) -> dict[str, float | None]:
    return {} if of is None else {name: of.value, f"{name}_low": of.low, f"{name}_high": of.high}
