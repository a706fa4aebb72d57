"""The parts of a merged run: what tells them apart, and their names."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable

from torchduet.bench.record.schema import PartRecord, Record, RunRecord

SHARD, SHARD_PLAN = "shard", "shard_plan"  # options of a run that is a shard


def digest_of(about: RunRecord, records: Iterable[Record]) -> str:
    """16 hexadecimal digits that are equal for copies of a run, and only for these: times differ in their last digits.

    Args:
        about: of a run that was not merged.
        records: of its cases.
    """
    measured = sorted(
        (record["case"]["id"], record["timing"]["seconds"], len(record["timing"]["blocks"])) for record in records
    )
    content = json.dumps([about["started"], about["options"].get(SHARD), measured])
    return hashlib.sha256(content.encode()).hexdigest()[:16]


def label_of(part: PartRecord) -> str:
    """``shard 2/8 on node-3``, ``the run on node-3``."""
    what = f"shard {part['shard']}" if "shard" in part else "the run"
    return f"{what} on {part['node'] or 'a machine without a name'}"
