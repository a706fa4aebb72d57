"""The simulated fleet: all families are measured once, near the ideal, and its records can be merged."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.reports.sample import make_run
from torchduet.bench.fleet import simulation
from torchduet.bench.fleet.simulation import Fleet, documents, simulate


@given(st.integers(1, 60), st.integers(1, 8), st.integers(0, 10**6), st.sampled_from([60.0, 300.0, 1e9]))
def test_every_family_is_measured_once_whatever_dies(families: int, machines: int, seed: int, lifetime: float) -> None:
    simulated = simulate(Fleet(families, machines, seed, lifetime=lifetime, away=30.0))
    measured = Counter(name for names in simulated.measured.values() for name in names)
    assert set(measured.values()) <= {1}
    assert len(measured) + simulated.failed == families
    assert simulated.makespan >= simulated.ideal * (1 - 1e-9)
    assert simulated.requeued <= simulated.lost


def test_a_fleet_with_many_families_for_each_machine_is_near_the_ideal() -> None:
    simulated = simulate(Fleet(2000, 20))
    assert simulated.lost > 3
    assert simulated.makespan <= 1.1 * simulated.ideal


def test_the_ideal_counts_the_machines_that_were_there() -> None:
    assert simulation._until([(0.0, 10.0), (0.0, 30.0)], 40.0) == 30.0
    assert simulation._until([(0.0, float("inf")), (5.0, float("inf"))], 25.0) == 15.0


def test_the_documents_of_a_fleet_are_one_run() -> None:
    like = make_run()
    parts = list(documents(like, {"machine 0": ["family 0", "family 1"], "machine 1": ["family 2"], "machine 2": []}))
    assert [name for name, _ in parts] == ["machine 0.json", "machine 1.json"]
    merging = pytest.importorskip("torchduet.bench.merge.merging")
    merged = merging.merged(parts)
    families = {one["extra_info"]["torchduet"]["case"]["family"] for one in merged["benchmarks"]}
    assert families == {"made.family_0", "made.family_1", "made.family_2"}


def test_the_table_has_a_line_for_each_size(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(simulation, "SIZES", ((20, 2), (40, 2)))
    assert simulation.main([]) == 0
    head, rule, *lines = capsys.readouterr().out.splitlines()
    assert {line.count("|") for line in (head, rule, *lines)} == {len(simulation.COLUMNS) + 1}
    assert [line.split("|")[1].strip() for line in lines] == ["20", "40"]
