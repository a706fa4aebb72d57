"""A long run's parent stays as small as it was, and keeps no file open; the long version is ``nox -s soak``."""

import json
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.bench.test_left_behind import Traces
from tests.faults.soak import growth, many, watched
from torchduet.bench.record.schema import KEY

FAMILIES, FIRST = 400, 100
MAX_PER_FAMILY = 10_000  # bytes; a record as Python's objects takes more, and what pytest keeps of an item some 4,000


@pytest.fixture
def traces() -> Iterator[Traces]:
    folder = Path(tempfile.mkdtemp(prefix="td-", dir="/tmp"))
    yield Traces(folder)
    shutil.rmtree(folder, ignore_errors=True)


def test_the_parent_stays_small_and_keeps_no_file_open(traces: Traces, tmp_path: Path) -> None:
    bench = many(traces, tmp_path / "run.json", FAMILIES, "-p", "tests.faults.instant", budget="2h")
    more, descriptors = growth(watched(bench, every=0.02), FIRST, FAMILIES)
    assert bench.process.returncode == 0
    assert more < MAX_PER_FAMILY * (FAMILIES - FIRST)
    assert descriptors == 0
    found = json.loads(bench.run.read_text())["benchmarks"]
    assert len(found) == FAMILIES
    for one in found:  # what was put away is back in its place
        assert one["extra_info"][KEY]["case"]["id"].startswith(f"many.add[n={one['params']['size'].rpartition('=')[2]}")
        assert len(one["stats"]["data"]) == len(one["extra_info"][KEY]["timing"]["blocks"])
