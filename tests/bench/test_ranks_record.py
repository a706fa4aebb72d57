"""What a file says of a case's ranks: their times, how far they are apart, and which was the slowest how often."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

from torchduet.bench.ranks.ranked_case import RankedCase
from torchduet.bench.run.ranks_record import ranks_record


def test_the_ranks_of_three_blocks_by_hand() -> None:
    """Blocks of two ranks: (1, 2), (3, 2) and (2, 4) seconds."""
    of: Any = SimpleNamespace(times=[(1.0, 2.0), (3.0, 2.0), (2.0, 4.0)], pool=SimpleNamespace(backend="gloo"))
    record = ranks_record(RankedCase.ranks_result(cast(RankedCase, of)))
    assert record["seconds"] == [2.0, 2.0]
    assert record["mean"] == 2.5
    assert record["least"] == 2.0
    assert record["skew"] == 1.0
    assert record["slowest"] == [1, 2]
    assert "peak_bytes" not in record
