"""The record of what the ranks of a case found."""

from __future__ import annotations

from torchduet.bench.cases.exchange import RanksResult
from torchduet.bench.record.schema import RanksRecord
from torchduet.bench.run.figures import rounded


def ranks_record(ranks: RanksResult) -> RanksRecord:
    """The times of each rank, and its memory where that is known."""
    record = RanksRecord(
        backend=ranks.backend,
        threads=ranks.threads,
        seconds=[rounded(seconds) for seconds in ranks.seconds],
        mean=rounded(ranks.mean),
        least=rounded(ranks.least),
        skew=rounded(ranks.skew),
    )
    if ranks.slowest:
        record["slowest"] = ranks.slowest
    if ranks.peak_bytes:
        record["peak_bytes"] = ranks.peak_bytes
    return record
