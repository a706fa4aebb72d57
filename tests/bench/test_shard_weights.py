"""What shards are cut by: the same families and weights on every machine, and the seconds of an earlier run."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.bench.test_machine import CPU_ONLY, HOPPER, TURING, with_gpus
from torchduet.bench.cases import knobs
from torchduet.bench.cases.option_values import OptionError
from torchduet.bench.host.machine import Accelerator, Machine
from torchduet.bench.plan.earlier_run import Earlier, earlier_runs
from torchduet.bench.plan.options import Options, parse
from torchduet.bench.plan.selection import Selection
from torchduet.bench.plan.shard_weights import MACHINES, guessed, part_of, weights
from torchduet.bench.plan.shards import Weights, cut
from torchduet.suites.registry import names

GIVEN: dict[str, Any] = {"tier": "quick", "suite": None, "data": None, "threads": None, "budget": None}
INTEL = replace(CPU_ONLY, accelerators=(Accelerator("xpu:0", "an XPU"),))
KINDS = {"cpu": CPU_ONLY, "cuda": with_gpus(TURING), "xpu": INTEL}


def options(**given: Any) -> Options:
    return parse(**{**GIVEN, **given})


def declared_weights(of: Options, machine: Machine) -> dict[str, Weights]:
    """The weights of the whole suite, as this machine computes them."""
    selection = Selection(of, machine, claims_only=False)
    pairs = {
        kind: [(case, reference) for name in names() for _, case, reference in selection.declared(name, devices)]
        for kind, devices in MACHINES.items()
    }
    return weights(guessed(of, pairs))


@pytest.mark.parametrize("tier", ["quick", "default"])
def test_machines_that_can_run_different_cases_cut_the_same_shards(tier: str, monkeypatch: pytest.MonkeyPatch) -> None:
    of = options(tier=tier)
    monkeypatch.setattr(knobs, "cores", lambda: 1)
    expected = declared_weights(of, CPU_ONLY)
    for cores, machine in ((2, with_gpus(HOPPER, HOPPER)), (64, replace(with_gpus(TURING), no_cpu_compiler="none"))):
        monkeypatch.setattr(knobs, "cores", lambda cores=cores: cores)
        assert declared_weights(of, machine) == expected


def test_every_machine_finds_all_of_its_families_in_the_shards() -> None:
    of = options(tier="default")
    for machine in KINDS.values():
        shards = cut(declared_weights(of, machine), 5)
        own = {case.family for name in names() for _, case in Selection(of, machine, claims_only=False).cases(name)}
        assert own <= {name for shard in shards for name in shard}


@pytest.mark.parametrize("kind", MACHINES)
def test_the_plans_guess_is_balanced_on_each_kind_of_machine(kind: str) -> None:
    found = declared_weights(options(tier="default"), CPU_ONLY)
    for number in (2, 4, 8):
        loads = [sum(found[name].get(kind, 0.0) for name in shard) for shard in cut(found, number)]
        assert max(loads) <= 1.1 * max(sum(loads) / number, *(of.get(kind, 0.0) for of in found.values()))


def test_the_guess_uses_up_the_tiers_budget() -> None:
    found = declared_weights(options(tier="default", budget="60m"), CPU_ONLY)
    assert sum(of.get("cpu", 0.0) for of in found.values()) == pytest.approx(3600, rel=0.01)


def test_energy_and_long_calls_make_a_family_heavier() -> None:
    quick, energy = declared_weights(options(), CPU_ONLY), declared_weights(options(energy=True), CPU_ONLY)
    assert sum(of["cpu"] for of in energy.values() if "cpu" in of) > sum(
        of["cpu"] for of in quick.values() if "cpu" in of
    )


GUESSES = {"cpu": {"a": 1.0, "b": 2.0, "new": 3.0}, "cuda": {"a": 2.0, "b": 4.0, "new": 6.0, "GPU only": 8.0}}


def test_families_that_the_earlier_run_lacks_are_guessed_in_its_proportion() -> None:
    found = weights(GUESSES, {"": Earlier("cpu", {"a": 10.0, "b": 20.0, "gone": 99.0})})
    assert found == {
        "a": {"": 10.0},
        "b": {"": 20.0},
        "new": {"": 30.0},
        "GPU only": {"elsewhere": 8.0},
    }


def test_each_machine_of_a_merged_file_is_balanced() -> None:
    earlier = {"k1": Earlier("cpu", {"a": 5.0, "b": 1.0}), "k2": Earlier("cuda", {"a": 1.0, "b": 2.0, "GPU only": 7.0})}
    found = weights(GUESSES, earlier)
    assert found["a"] == {"k1": 5.0, "k2": 1.0}
    assert found["new"] == {"k1": 6.0, "k2": pytest.approx(6.0 * 10 / 14)}
    assert found["GPU only"] == {"k2": 7.0}


def test_an_earlier_run_of_other_families_leaves_the_guess() -> None:
    assert weights(GUESSES, {"": Earlier("cpu", {"other": 1.0})})["b"] == {"": 2.0}


def test_a_shard_gets_its_part_of_the_time_of_what_the_machine_can_measure() -> None:
    found: Mapping[str, Weights] = {"a": {"cpu": 1.0, "cuda": 9.0}, "b": {"cpu": 3.0}, "GPU only": {"cuda": 50.0}}
    assert part_of(found, ["a"], ["a", "b"], "cpu") == 0.25
    assert part_of(found, ["a"], ["a", "b"], "cuda") == 0.75  # b has no weight there: its own is taken
    assert part_of(found, [], ["a", "b"], "cpu") == 0
    assert part_of({"a": {}, "b": {}}, ["a"], ["a", "b"], "cpu") == 0.5


def record(family: str, blocks: list[list[float]], machine: str | None = None, **timing: Any) -> dict[str, Any]:
    return {
        "extra_info": {
            "torchduet": {
                "case": {"family": family, "mode": "eager", "id": f"{family} cpu"},
                "timing": {"calls_per_block": 100, "blocks": blocks, "unknown": 1, **timing},
                "first_call": {"seconds": 0.5, "calls": 1},
                **({} if machine is None else {"machine": machine}),
            }
        }
    }


def written(path: Path, benchmarks: list[dict[str, Any]], about: dict[str, Any]) -> Path:
    path.write_text(json.dumps({"benchmarks": benchmarks, "torchduet": about, "machine_info": {}}))
    return path


def test_the_seconds_of_a_family_are_its_blocks_first_calls_and_visits(tmp_path: Path) -> None:
    cases = [record("a", [[0.01, 0.03], [0.01]], visits=[{}, {}, {}]), record("a", [[0.02]]), record("b", [[0.001]])]
    path = written(tmp_path / "run.json", [*cases, {"extra_info": {}}], {"machine": {"gpus": 0}})
    assert earlier_runs(path) == {"": Earlier("cpu", {"a": pytest.approx(7 + 1 + 2 * 0.2), "b": pytest.approx(0.6)})}


def test_a_merged_file_has_the_seconds_of_each_machine(tmp_path: Path) -> None:
    about = {"schema": 1, "machines": {"k1": {"machine": {"gpus": 0}}, "k2": {"machine": {"gpus": 2}}}}
    path = written(tmp_path / "m.json", [record("a", [[0.01]], "k1"), record("a", [[0.02]], "k2")], about)
    assert earlier_runs(path) == {
        "k1": Earlier("cpu", {"a": pytest.approx(1.5)}),
        "k2": Earlier("cuda", {"a": pytest.approx(2.5)}),
    }


def test_files_that_are_no_run_are_refused_by_name(tmp_path: Path) -> None:
    def why(path: Path) -> str:
        with pytest.raises(OptionError) as refused:
            earlier_runs(path)
        words = str(refused.value)
        assert words.startswith(f"--shard-by {path}: ")
        assert "\n" not in words
        return words

    assert "No such file" in why(tmp_path / "none.json")
    assert "directory" in why(tmp_path)
    (tmp_path / "broken.json").write_text("{")
    assert "is not the file of a run" in why(tmp_path / "broken.json")
    (tmp_path / "run.json.journal").write_text("journal")
    assert "--resume" in why(tmp_path / "run.json.journal")
    assert "is not the file of a run" in why(written(tmp_path / "p.json", [], None))  # type: ignore[arg-type]
    assert "has no measured case" in why(written(tmp_path / "empty.json", [], {"machine": {}}))
    assert "damaged" in why(written(tmp_path / "negative.json", [record("a", [[-1.0]])], {"machine": {}}))


def test_shard_by_needs_a_shard() -> None:
    with pytest.raises(OptionError, match="--shard-by says how long families take where --shard K/N"):
        options(shard_by="run.json")
