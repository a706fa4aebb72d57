"""What earlier runs on a machine teach a run of a few families."""

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from torchduet.bench.record.moderation import Prior, Visits
from torchduet.bench.record.schema import PriorRecord
from torchduet.bench.run.machine_prior import FILE, MAX_RUNS, combined, kept, machine_prior, prior_record, save

MACHINE = {"cpu": "some CPU", "cores": 2, "torch": "2.13.0", "gpu": None, "memory": 8}


def prior(deviation: float = 0.02, degrees: float = 4.0, of: Any = "speedups") -> PriorRecord:
    return prior_record(of, Prior(deviation, degrees, 30, "run"))


def saved(folder: Path, *priors: PriorRecord, threads: int = 1, **machine: Any) -> Path | None:
    return save(priors, measured="2026-01-01T00:00:00", machine=MACHINE | machine, threads=threads, folder=folder)


def comparisons(families: int, visits: int) -> list[tuple[str, Visits]]:
    generator = np.random.default_rng(1)
    return [
        (f"family {i}", Visits(tuple(map(float, generator.normal(0, 0.02, visits))), (0.01,) * visits))
        for i in range(families)
    ]


def test_a_run_of_ten_families_with_three_visits_is_kept() -> None:
    found = kept("times", [*comparisons(10, 3), ("once", Visits((9.0,), (0.0,)))])
    assert found is not None
    assert (found["of"], found["families"], found["source"]) == ("times", 10, "run")
    assert kept("times", comparisons(9, 3)) is None
    assert kept("times", comparisons(10, 2)) is None


def test_a_later_run_on_the_same_machine_gets_what_an_earlier_one_taught(tmp_path: Path) -> None:
    assert machine_prior("speedups", MACHINE, 1, tmp_path) is None
    path = saved(tmp_path, prior(), prior(0.05, of="times"))
    assert path == tmp_path / FILE
    found = machine_prior("speedups", MACHINE, 1, tmp_path)
    assert found is not None
    assert (found.families, found.source) == (30, "machine")
    assert 0.01 < found.deviation < 0.03
    assert machine_prior("copies", MACHINE, 1, tmp_path) is None
    for other in ({"torch": "2.14.0"}, {"cores": 4}, {"gpu": "some GPU"}, {"cpu": "another CPU"}):
        assert machine_prior("speedups", MACHINE | other, 1, tmp_path) is None
    assert machine_prior("speedups", MACHINE, 2, tmp_path) is None


def test_a_run_that_taught_nothing_writes_nothing(tmp_path: Path) -> None:
    assert saved(tmp_path) is None
    assert list(tmp_path.iterdir()) == []


def test_the_last_ten_runs_of_a_machine_are_kept(tmp_path: Path) -> None:
    saved(tmp_path, prior(), threads=2)
    for number in range(MAX_RUNS + 5):
        saved(tmp_path, prior(0.01 + number))
    runs = json.loads((tmp_path / FILE).read_text())
    assert [run["priors"][0]["deviation"] for run in runs if run["threads"] == 1] == [
        0.01 + number for number in range(MAX_RUNS + 4, 4, -1)
    ]
    assert machine_prior("speedups", MACHINE, 2, tmp_path) is not None


def test_runs_that_agree_give_their_prior_and_runs_that_differ_give_fewer_degrees() -> None:
    agreeing = combined([prior(0.02, 4.0)] * 10)
    assert agreeing is not None
    assert agreeing.deviation == pytest.approx(0.02, rel=0.02)
    assert 3.5 < agreeing.degrees < 4
    once, differing = combined([prior(0.02, 4.0)]), combined([prior(0.01, 4.0), prior(0.04, 4.0)] * 5)
    assert once is not None
    assert differing is not None
    assert differing.degrees < once.degrees < agreeing.degrees


def test_runs_whose_families_are_all_alike_or_do_not_deviate_are_combined_too() -> None:
    found = combined([prior(0.0, math.inf), prior(0.01, math.inf)])
    assert found is not None
    assert 0 < found.deviation < 0.01
    assert math.isfinite(found.degrees)
    assert combined([]) is None


DAMAGED = [
    "{",
    "{}",
    '[{"measured": "then"}]',
    "[" * 100_000,
    json.dumps([{**MACHINE, "measured": "", "threads": 1, "priors": [prior(-1.0)]}]),
    json.dumps([{**MACHINE, "measured": "", "threads": 1, "priors": [{**prior(), "degrees": 0.0}]}]),
]


@pytest.mark.parametrize("content", DAMAGED, ids=range(len(DAMAGED)))
def test_a_damaged_file_is_named_in_one_line_and_replaced_by_the_next_run(tmp_path: Path, content: str) -> None:
    (tmp_path / FILE).write_text(content)
    with pytest.raises(ValueError, match=f"{FILE}.*remove it") as raised:
        machine_prior("speedups", MACHINE, 1, tmp_path)
    assert "\n" not in str(raised.value)
    saved(tmp_path, prior())
    assert machine_prior("speedups", MACHINE, 1, tmp_path) is not None
    assert [path.name for path in tmp_path.iterdir()] == [FILE]
