"""Which level a variance belongs to: the division of made values, the order of visits, and two real interpreters."""

import json
import math
import random
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from torchduet.__main__ import main
from torchduet.bench.selfcheck.levels import (
    Design,
    Interpreter,
    LevelsError,
    interpreters,
    markdown,
    nested,
    order,
    row,
)
from torchduet.bench.selfcheck.levels_pairs import PAIRS
from torchduet.bench.selfcheck.variance import chance, levels, mean_squares
from torchduet.suites.workload import COMPILED


def drawn(of_interpreters: float, of_forks: float, of_placements: float, seed: int = 1) -> list[list[list[float]]]:
    """40 interpreters × 20 forks × 5 placements with these standard deviations."""
    rng = random.Random(seed)
    values = []
    for _ in range(40):
        interpreter = rng.gauss(1.0, of_interpreters)
        forks = [interpreter + rng.gauss(0, of_forks) for _ in range(20)]
        values.append([[fork + rng.gauss(0, of_placements) for _ in range(5)] for fork in forks])
    return values


def test_the_components_of_montgomerys_kind_of_example_are_those_worked_out_by_hand() -> None:
    # Interpreters' means 2 and 6, forks' means 1, 3 and 5, 7; placements ±1 around them.
    found = levels([[[0.0, 2.0], [2.0, 4.0]], [[4.0, 6.0], [6.0, 8.0]]])
    assert mean_squares([[1.0, 3.0], [5.0, 7.0]]) == (16.0, 2.0)
    assert found.mean == 4.0
    assert found.interpreters == pytest.approx(math.sqrt((16 - 2) / 2))
    assert found.forks == pytest.approx(math.sqrt(2))
    assert found.placements == pytest.approx(math.sqrt(2 / 2))
    assert found.forks_alone == pytest.approx(math.sqrt(2 - 1))
    assert found.ratio == pytest.approx(8)


@pytest.mark.parametrize("deviations", [(0.03, 0.02, 0.01), (0.0, 0.03, 0.01), (0.02, 0.0, 0.02)])
def test_the_deviations_of_many_made_values_are_found(deviations: tuple[float, float, float]) -> None:
    of_interpreters, of_forks, of_placements = deviations
    found = levels(drawn(*deviations))
    assert found.interpreters == pytest.approx(of_interpreters, rel=0.25, abs=0.006)
    assert found.placements == pytest.approx(of_placements / math.sqrt(5), rel=0.1)
    assert found.forks_alone == pytest.approx(of_forks, rel=0.1, abs=0.003)
    assert found.forks == pytest.approx(math.hypot(of_forks, found.placements), rel=0.1)


def test_interpreters_that_differ_are_told_from_those_that_do_not() -> None:
    differing = [[0.0, 0.1, 0.2], [1.0, 1.1, 1.2], [2.0, 2.1, 2.2]]
    alike = [[0.0, 1.0, 2.0], [2.0, 0.1, 1.1], [1.2, 2.1, 0.2]]
    assert chance([[[mean] for mean in forks] for forks in differing]) < 0.01
    assert chance([[[mean] for mean in forks] for forks in alike]) > 0.5


def test_values_without_any_difference_have_no_level() -> None:
    values = [[[1.0, 1.0], [1.0, 1.0]]] * 2
    found = levels(values)
    assert (found.interpreters, found.forks, found.placements, chance(values)) == (0, 0, 0, 1)


@pytest.mark.parametrize(
    "values",
    [
        [[[1.0, 2.0], [1.0, 2.0]]],
        [[[1.0, 2.0]], [[1.0, 2.0]]],
        [[[1.0], [2.0]], [[1.0], [2.0]]],
        [[[1.0, 2.0], [1.0, 2.0]], [[1.0, 2.0]]],
    ],
)
def test_a_design_that_is_not_balanced_is_refused(values: Any) -> None:
    with pytest.raises(ValueError, match="the same number of forks and placements"):
        levels(values)


def test_every_pair_gets_every_interpreter_as_often_and_none_is_visited_twice_in_a_round() -> None:
    design = Design(interpreters=3, forks=4)
    planned = list(order(design, 5, random.Random(1)))
    assert set(Counter(planned).values()) == {4}
    rounds = [planned[start : start + 5] for start in range(0, len(planned), 5)]
    assert all(sorted(pair for pair, _ in one) == list(range(5)) for one in rounds)
    assert planned != sorted(planned)
    for pair in range(5):  # wherever it ends, no interpreter is more than one visit ahead of another
        numbers = [interpreter for visited, interpreter in planned if visited == pair]
        assert all(sorted(numbers[start : start + 3]) == [0, 1, 2] for start in range(0, 12, 3))


def test_of_visits_that_were_stopped_every_interpreter_counts_alike() -> None:
    rng = random.Random(2)
    stopped = nested([made(rng, index) for index in range(8)])  # 3, 3 and 2 visits
    assert [len(forks) for forks in stopped] == [2, 2, 2]


def test_the_pairs_are_cases_of_one_family_and_two_are_compiled() -> None:
    families = [pair.family() for pair in PAIRS]
    assert all(base.family == case.family and base != case for base, case in (family.cases for family in families))
    assert sum(case.mode in COMPILED for family in families for case in family.cases) == 2
    assert len(PAIRS) == 8


def made(rng: random.Random, index: int) -> dict[str, Any]:
    differences = [math.log(2) + rng.gauss(0, 0.01) for _ in range(4)]
    return {
        **{"interpreter": index % 3, "at": float(index), "took": 0.5, "others": 0.25, "differences": differences},
        **{"seconds": [1e-3, 5e-4], "first_calls": 0.1},
    }


def results() -> dict[str, Any]:
    rng = random.Random(3)
    return {
        "measured": "2026-11-29T08:00:00+00:00",
        "machine": {"cpu": "some CPU", "cores": 2, "torch": "2.13.0", "python": "3.11.7"},
        "design": vars(Design(interpreters=3, forks=4)),
        "seconds": 120.0,
        "pairs": [{"pair": "a against b", "compiling": 0.1, "visits": [made(rng, index) for index in range(12)]}],
    }


def test_the_table_names_the_design_the_machine_and_the_levels() -> None:
    text = markdown(results())
    assert "3 interpreters, 4 forks of each, 4 placements in each fork; 0.45 s of timing per visit, 1 thread" in text
    assert "2026-11-29: some CPU, 2 cores, torch 2.13.0; other processes kept 0.25 cores busy in the mean." in text
    cells = row(results()["pairs"][0]).strip("| ").split(" | ")
    assert len(cells) == 8
    assert (cells[0], cells[1], cells[-1]) == ("a against b", "2", "0.50")


def test_the_table_of_a_file_can_be_printed_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "levels.json"
    file.write_text(json.dumps(results()))
    assert main(["selfcheck", "levels", "--from", str(file)]) == 0
    assert capsys.readouterr().out == markdown(results())
    file.write_text("{}")
    assert main(["selfcheck", "levels", "--from", str(file)]) == 2
    assert "levels.json: not a file of this command" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [("--forks", "1"), ("--seconds", "0"), ("-o", "nowhere/levels.json")])
def test_wrong_arguments_are_refused_before_anything_is_started(
    arguments: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["selfcheck", "levels", *arguments]) == 2
    assert "error: levels: " in capsys.readouterr().err


def test_an_interpreter_makes_visits_and_a_later_one_loads_what_was_compiled(tmp_path: Path) -> None:
    settings = {"threads": 1, "seconds": 0.05, "placements": 3, "cache": str(tmp_path)}
    chain = next(index for index, pair in enumerate(PAIRS) if "chain" in pair.name)
    with interpreters(2, settings) as (first, second):
        assert isinstance(first, Interpreter)
        first.ready()
        second.ready()
        visits = [first.visit(chain)]
        compiled = set(tmp_path.rglob("*.so"))
        visits.append(second.visit(chain))
    assert [len(visit["differences"]) for visit in visits] == [3, 3]
    assert compiled
    assert set(tmp_path.rglob("*.so")) == compiled


def test_an_interpreter_that_ends_is_reported() -> None:
    settings = {"threads": 1, "seconds": 0.05, "placements": 3}  # without the folder of caches
    with interpreters(1, settings) as (only,):
        only.ready()
        with pytest.raises(LevelsError, match="has ended"):
            only.visit(0)
