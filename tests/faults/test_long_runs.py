"""A long run's parent stays as small as it was, and keeps no file open; the long version is ``nox -s soak``."""

import json
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from statistics import median

import pytest

from tests.bench.test_left_behind import Traces
from tests.faults.soak import growth, many, watched
from torchduet.bench.plan.visits import LONE_VISITS
from torchduet.bench.record.schema import KEY

FAMILIES, FIRST = 400, 100
VISITS = FAMILIES * (LONE_VISITS - 1)  # after the first ones, of families with one case
MAX_PER_VISIT = 4_000  # bytes; the compressed blocks of each
MAX_PER_FAMILY = 10_000  # bytes; a record as Python's objects takes more, and what pytest keeps of an item some 4,000


@pytest.fixture
def traces() -> Iterator[Traces]:
    folder = Path(tempfile.mkdtemp(prefix="td-", dir="/tmp"))
    yield Traces(folder)
    shutil.rmtree(folder, ignore_errors=True)


def test_the_parent_stays_small_and_keeps_no_file_open(traces: Traces, tmp_path: Path) -> None:
    bench = many(traces, tmp_path / "run.json", FAMILIES, "-p", "tests.faults.instant", budget="2h")
    samples = watched(bench, every=0.02)
    assert bench.process.returncode == 0
    more, descriptors = growth(samples, FIRST, FAMILIES)
    assert more < MAX_PER_FAMILY * (FAMILIES - FIRST)
    assert descriptors == 0
    visiting = [sample for sample in samples if 0 < sample.visits < VISITS]
    early, late = visiting[: len(visiting) // 5], visiting[-len(visiting) // 5 :]
    visits = median(sample.visits for sample in late) - median(sample.visits for sample in early)
    assert visits > VISITS / 4
    assert median(sample.bytes for sample in late) - median(sample.bytes for sample in early) < MAX_PER_VISIT * visits
    assert median(sample.descriptors for sample in late) == median(sample.descriptors for sample in early)
    found = json.loads(bench.run.read_text())["benchmarks"]
    assert len(found) == FAMILIES
    for one in found:  # what was put away is back in its place
        assert one["extra_info"][KEY]["case"]["id"].startswith(f"many.add[n={one['params']['size'].rpartition('=')[2]}")
        timing = one["extra_info"][KEY]["timing"]
        assert len(timing["visits"]) == LONE_VISITS
        assert len(timing["blocks"]) == sum(visit["placements"] for visit in timing["visits"])
        assert len(one["stats"]["data"]) == len(timing["blocks"])
