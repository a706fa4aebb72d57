"""Made-up runs as several machines would have measured them, with the node, shard or facts that a test needs."""

from __future__ import annotations

import json
from typing import Any

from tests.reports.made_once import made_once
from tests.reports.sample import make_run
from tests.reports.visited import visited
from torchduet.bench.record.schema import KEY, Record, RunRecord

ANOTHER_CPU = {"cpu": "Another CPU @ 3.10 GHz", "cores": 4}


@made_once
def part(
    seed: int,
    *,
    node: str = "",
    shard: str = "",
    plan: str = "0123abcd",
    families: tuple[str, ...] = (),
    visits: int = 4,
    machine: dict[str, Any] | None = None,
    options: dict[str, Any] | None = None,
    slower: dict[str, float] | None = None,
) -> Any:
    """One run's document.

    Args:
        seed: of its times, which also begin an hour after those of the seed before.
        node: its host name (default: one of its own).
        families: those that it measured (default: all).
        machine, options: facts that differ from the sample's.
        slower: case id or family → its time is multiplied by this.
    """
    document = visited(make_run(), seed, visits=visits, families=families, slower=slower)
    document["machine_info"]["node"] = node or f"node-{seed}"
    about = document[KEY]
    about["machine"] |= machine or {}
    about["options"] |= options or {}
    if shard:
        about["options"] |= {"shard": shard, "shard_plan": plan}
    return document


def families_of(document: Any) -> list[str]:
    """The families of a document, in its order."""
    return list(dict.fromkeys(record["case"]["family"] for record in records(document).values()))


def shards(number: int, *, of: int = 0, **more: Any) -> list[Any]:
    """The shards of one suite, each with every n-th family and on a node of its own."""
    families = families_of(make_run())
    return [
        part(at + 1, shard=f"{at + 1}/{of or number}", families=tuple(families[at::number]), **more)
        for at in range(number)
    ]


def records(document: Any, machine: str = "") -> dict[str, Record]:
    """Case id → its record; of a file of several machines those of one."""
    all_records = [one["extra_info"][KEY] for one in document["benchmarks"]]
    return {record["case"]["id"]: record for record in all_records if record.get("machine", "") == machine}


def about(document: Any) -> RunRecord:
    """The run's own record."""
    run: RunRecord = document[KEY]
    return run


def named(*documents: Any) -> list[tuple[str, Any]]:
    """The documents with names: ``a.json``, ``b.json`` …"""
    return [(f"{chr(ord('a') + at)}.json", document) for at, document in enumerate(documents)]


def copy(document: Any) -> Any:
    """A copy to spoil."""
    return json.loads(json.dumps(document))
