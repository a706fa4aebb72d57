"""Cases of several processes: which there are, what they are compared with, and what a real run records of them."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from torchduet import Suite
from torchduet.bench.cases.case import Case, Family, cases_of, group, workload_of
from torchduet.bench.cases.copies import with_copies
from torchduet.bench.cases.exchange import CaseResult, ContextSwitches, FamilyResult, ProfileTask, RanksResult, Task
from torchduet.bench.cases.option_values import OptionError, parse_ranks
from torchduet.bench.cases.outcome import Measured
from torchduet.bench.host.machine import Gpu, Machine
from torchduet.bench.noise.family_noise import noise_of_family
from torchduet.bench.noise.grades import withheld as withheld_by
from torchduet.bench.passes.alone import SEGMENTS
from torchduet.bench.plan import threads as threads_module
from torchduet.bench.plan.availability import unavailable
from torchduet.bench.plan.threads import threads_for
from torchduet.bench.ranks.checks import RankInputs
from torchduet.bench.record.telemetry import Telemetry
from torchduet.bench.run.records import records as records_of
from torchduet.bench.timing.pacing import BESIDE_OTHERS
from torchduet.bench.workers.launcher import Launcher
from torchduet.suites.registry import load

ROOT = Path(__file__).parents[2]
FILE = Path(__file__).parent / "workloads" / "in_ranks.py"
GPU = Gpu("a GPU", (9, 0), 1 << 30, triton=True)
MACHINE = Machine("2.13", None, (GPU, GPU), "", "", "a CPU", "", 4, None, None)


def families(**asked: tuple[int, ...]) -> dict[str, Family]:
    (suite,) = load(str(FILE))
    found = group(cases_of(str(FILE), suite, tier="quick", devices=["cpu"], asked=asked))
    return {family.reference.workload: family for family in found}


def of(family: Family, implementation: str, ranks: int) -> Case:
    (case,) = [c for c in family.cases if (c.implementation, c.ranks) == (implementation, ranks)]
    return case


def compared(family: Family, case: Case) -> set[tuple[str, str, int | None]]:
    return {(knob, other.implementation, other.ranks) for knob, other in family.comparisons(case)}


def test_an_implementation_without_a_process_group_runs_in_one_process_only() -> None:
    cases = {(case.implementation, case.ranks, case.role) for case in families()["mean"].cases}
    assert cases == {
        ("plain", 1, "alone"),
        *(("local", ranks, "part") for ranks in (1, 2)),
        *(("together", ranks, "") for ranks in (1, 2)),
    }
    assert families()["mean"].reference.implementation == "plain"


def test_what_a_case_of_several_processes_is_compared_with() -> None:
    family = families()["mean"]
    assert compared(family, of(family, "together", 2)) == {
        ("reference", "plain", 1),
        ("ranks", "together", 1),
        ("communication", "local", 2),
    }
    assert compared(family, of(family, "together", 1)) == {
        ("reference", "plain", 1),
        ("implementation", "plain", 1),
        ("communication", "local", 1),
    }
    assert compared(family, of(family, "local", 2)) == {("ranks", "local", 1)}  # it computes something else than plain
    assert compared(family, of(family, "local", 1)) == set()
    sums = families()["sums"]
    assert compared(sums, of(sums, "sent_round", 2)) == {("reference", "added", 2), ("implementation", "added", 2)}


def test_any_number_of_ranks_can_be_asked_for() -> None:
    assert {case.ranks for case in families(ranks=(1, 3))["mean"].cases} == {1, 3}
    assert parse_ranks("4, 1,2,4") == (1, 2, 4)
    assert parse_ranks(None) is None


@pytest.mark.parametrize("text", ["", "0", "-1", "two", "1.5", "1000", ","])
def test_what_is_no_number_of_ranks_is_refused_in_one_line(text: str) -> None:
    with pytest.raises(OptionError, match=r"^--ranks '.*': use whole numbers from 1 to 999"):
        parse_ranks(text)


@pytest.mark.parametrize(
    ("device", "ranks", "why"),
    [
        ("cpu", 4, None),
        ("cpu", 5, "5 ranks need 5 cores that this run may use; there are 4"),
        ("cuda", 2, None),
        ("cuda", 3, "3 ranks need 3 CUDA GPUs; there are 2"),
        ("cuda:1", 2, "2 ranks need 2 CUDA GPUs; there are 1"),
    ],
)
def test_more_ranks_than_cores_or_gpus_cannot_run(device: str, ranks: int, why: str | None) -> None:
    case = replace(families()["sums"].reference, device=device, ranks=ranks)
    obstacle = unavailable(MACHINE, case)
    assert (obstacle.why if obstacle else None) == why


def test_a_quota_of_cores_limits_the_ranks() -> None:
    assert replace(MACHINE, cpu_quota=1.5).processors("cpu") == 2
    assert MACHINE.processors("cuda:1") == 1


@pytest.mark.parametrize(("cores", "asked", "each"), [(2, 2, 1), (8, 8, 4), (8, 1, 1), (1, 1, 1)])
def test_processes_share_the_threads(monkeypatch: pytest.MonkeyPatch, cores: int, asked: int, each: int) -> None:
    monkeypatch.setattr(threads_module, "cores", lambda: cores)
    assert threads_for(families()["mean"], asked) == each
    alone = families(ranks=(1,))["mean"]
    assert threads_for(alone, asked) == asked


def test_functions_get_the_number_of_ranks_where_they_ask_for_it() -> None:
    workloads = load(str(FILE))[0].workloads
    (x,) = workloads["sums"].make(torch.device("cpu"), {"n": 8}, 3)
    assert x.shape == (3, 8)
    cost = workloads["sums"].cost_at({"n": 8}, 4)
    assert cost is not None
    assert (cost.message, cost.bus) == (32, 48)
    (x,) = workloads["mean"].make(torch.device("cpu"), {"n": 8}, 3)
    assert x.shape == (8, 100)


@pytest.fixture(scope="module")
def launcher() -> Iterator[Launcher]:
    launcher = Launcher()
    launcher.start(compiler=False)
    yield launcher
    launcher.close()


def name_of(case: Case) -> str:
    return case.id.removeprefix("in_ranks.").replace(" cpu eager fp32", "")


def measured(launcher: Launcher, family: Family, **how: Any) -> dict[str, Any]:
    """The records of a visit by a real worker, by the cases' ids without suite and device."""
    result = launcher.measure(Task(family, 1.0, 1, patient=True, **how), lambda _: None)
    outcomes = records_of(family, result, workload_of(family.reference))
    assert all(isinstance(outcome, Measured) for outcome in outcomes.values()), outcomes
    return {name_of(case): outcome.record for case, outcome in outcomes.items() if isinstance(outcome, Measured)}


@pytest.fixture(scope="module")
def records(launcher: Launcher) -> Mapping[str, Any]:
    return {name: record for family in families().values() for name, record in measured(launcher, family).items()}


def test_every_case_is_checked_in_each_rank_and_timed(records: Mapping[str, Any]) -> None:
    assert set(records) == {
        "sums[n=64] added ranks2",
        "sums[n=64] sent_round ranks2",
        "mean[n=400] plain ranks1",
        *(f"mean[n=400] {name} ranks{ranks}" for name in ("local", "together") for ranks in (1, 2)),
    }
    for record in records.values():
        assert record["check"]["what"] == "values"
        assert "held_against" not in record["check"]  # float64
        assert record["timing"]["blocks"]


def test_the_times_of_every_rank_are_recorded(records: Mapping[str, Any]) -> None:
    for name, record in records.items():
        if name.endswith("plain ranks1"):
            assert "ranks" not in record
            continue
        ranks = record["ranks"]
        assert (ranks["backend"], ranks["threads"]) == ("gloo", 1)
        assert len(ranks["seconds"]) == record["case"]["ranks"]
        assert 0 < ranks["least"] <= ranks["mean"] * (1 + 1e-6)
        assert ranks["skew"] >= 0
        if record["case"]["ranks"] == 1:
            assert ranks["skew"] == 0


def test_inputs_that_a_call_changes_are_put_back_in_all_ranks_alike(records: Mapping[str, Any]) -> None:
    for name in ("sums[n=64] added ranks2", "sums[n=64] sent_round ranks2"):
        assert records[name]["timing"]["calls_per_block"] == 1
        assert any("changes its input x; put back" in note for note in records[name]["notes"])


def test_a_control_times_each_case_alone(records: Mapping[str, Any]) -> None:
    for record in records.values():
        assert len(record["alone"]) == SEGMENTS
        assert min(record["alone"]) > 0


def test_the_peak_of_memory_of_each_process_includes_what_its_setup_makes(records: Mapping[str, Any]) -> None:
    for name, record in records.items():
        if name.startswith("mean"):
            assert record["peak_bytes"] >= 4 * 1000  # what Mean keeps
            if "ranks" in record:
                assert record["ranks"]["peak_bytes"]
                assert max(record["ranks"]["peak_bytes"]) == record["peak_bytes"]
        else:
            assert "peak_bytes" not in record


def test_costs_are_those_of_all_ranks(records: Mapping[str, Any]) -> None:
    assert records["sums[n=64] added ranks2"]["cost"] == {"message": 256, "bus": 256}
    assert records["mean[n=400] together ranks2"]["cost"]["samples"] == 400


def test_calls_are_timed_in_longer_blocks_beside_other_processes(records: Mapping[str, Any]) -> None:
    record = records["mean[n=400] plain ranks1"]
    assert record["timing"]["calls_per_block"] > 1
    assert BESIDE_OTHERS.lead_in > 0


def test_the_first_rank_is_profiled(launcher: Launcher, tmp_path: Path) -> None:
    family = families()["mean"]
    case = of(family, "together", 2)
    profiled = launcher.profile(ProfileTask(Task(family, 0.3, 1), {case: str(tmp_path)}), lambda _: None)
    assert not profiled.errors
    assert profiled.records[case]["calls"] >= 1
    assert Path(profiled.records[case]["trace"]).is_file()


def test_copies_of_cases_in_ranks_are_timed_against_them(launcher: Launcher) -> None:
    family = families()["sums"]
    found = measured(launcher, with_copies(replace(family, reported=(of(family, "added", 2),)), (1.5,)))
    (record,) = found.values()
    assert [trial["slowdown"] for trial in record["trials"]] == [1.0, 1.5]
    assert all(trial["verdict"] != "faster" for trial in record["trials"])


def test_a_later_visit_checks_nothing_and_is_timed_alike(launcher: Launcher) -> None:
    family = families()["mean"]
    first = launcher.measure(Task(family, 0.3, 1, patient=True), lambda _: None)
    paces = {each.case: each.pace for each in first.results if each.pace is not None}
    assert set(paces) == set(family.cases)
    later = launcher.visit(Task(family, 0.3, 1, paces=paces, number=1), lambda _: None)
    for each in later.results:
        assert each.error is None
        assert each.blocks
        assert each.calls == paces[each.case].calls
        assert each.check is None


UNLIKE = """
import time
import numpy as np
import torch
import torch.distributed as dist
from torchduet import Suite

suite = Suite("unlike", "Inputs that each rank makes for itself")


def summed(x):
    total = x.clone()
    dist.all_reduce(total)
    return total


for name, inputs in {
    "unseeded": lambda device, ranks: (torch.from_numpy(np.random.default_rng().random((ranks, 50))),),
    "by_the_clock": lambda device, ranks: (torch.full((ranks, 50), time.perf_counter(), dtype=torch.float64),),
    "seeded": lambda device, ranks: (torch.from_numpy(np.random.random((ranks, 50))),),
}.items():
    suite.compare(
        name,
        {"summed": summed},
        inputs=inputs,
        shard=lambda x, rank: (x[rank].clone(),),
        joint=lambda x: x.sum(0),
        ranks=[2],
        modes=("eager",),
    )
"""


def test_inputs_that_differ_between_ranks_are_named(launcher: Launcher, tmp_path: Path) -> None:
    file = tmp_path / "unlike.py"
    file.write_text(UNLIKE)
    (suite,) = load(str(file))
    errors = {}
    for family in group(cases_of(str(file), suite, tier="quick", devices=["cpu"])):
        (result,) = launcher.measure(Task(family, 0.1, 1, check_only=True), lambda _: None).results
        errors[family.reference.workload] = result.error
    for name in ("unseeded", "by_the_clock"):
        assert "inputs= returns other values in rank 1 than in rank 0" in (errors[name] or "")
    assert errors["seeded"] is None


def test_what_a_buffer_for_results_happens_to_hold_is_no_difference_between_ranks() -> None:
    suite = Suite("buffers")
    workload = suite.compare(
        "copied",
        {"copied": lambda x, out: out.copy_(x)},
        inputs=lambda device, ranks: (torch.ones(ranks, 4, device=device), torch.empty(4)),
        shard=lambda x, buffer, rank: (x[rank], buffer),
        joint=lambda x, buffer, rank: x[rank] + 0 * buffer,
        ranks=[2],
        scratch=("buffer",),
    )
    (family,) = group(cases_of(str(FILE), suite, tier="quick", devices=["cpu"]))
    digests = {}
    for name, x, out in (("one", 1.0, 2.0), ("other buffer", 1.0, 3.0), ("other input", 2.0, 2.0)):
        inputs = RankInputs(family, workload, random.Random(0), 0, 2)
        inputs.joint = (torch.full((2, 4), x), torch.full((4,), out))
        digests[name] = inputs.digest()
    assert digests["one"] == digests["other buffer"] != digests["other input"]


def run(folder: Path, *options: str) -> dict[str, Any]:
    """The records of a run, by the cases' ids without suite and device."""
    file = folder / "run.json"
    given = ["--suite", str(FILE), "--threads", "1", "--benchmark-json", str(file), *options]
    command = [sys.executable, "-m", "pytest", "bench/", "-q", "-p", "no:cacheprovider", *given]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert ended.returncode == 0, ended.stdout[-3000:] + ended.stderr[-3000:]
    records = [benchmark["extra_info"]["torchduet"] for benchmark in json.loads(file.read_text())["benchmarks"]]
    return {record["case"]["id"].removeprefix("in_ranks.").replace(" cpu eager fp32", ""): record for record in records}


def test_a_duet_times_cases_in_ranks(tmp_path: Path) -> None:
    found = run(tmp_path, "--budget", "40s", "--against", sys.executable, "-k", "mean and together")
    assert set(found) == {f"mean[n=400] together ranks{ranks}" for ranks in (1, 2)}
    for record in found.values():
        assert record["against"]["seconds"] > 0
        assert record["against"]["pairs"] >= 1


@pytest.mark.parametrize(("others", "ranks", "withheld"), [(0.0, 2, False), (0.9, 1, False), (0.9, 2, True)])
def test_ranks_count_as_threads_that_run_at_once(others: float, ranks: int, withheld: bool) -> None:
    case = replace(families()["sums"].reference, ranks=ranks)
    switches = ContextSwitches(blocks=100, interrupted=50, switches=500, seconds=1.0)
    result = CaseResult(case, blocks=[[1e-3]] * 8, disturbed=[5] * 8, context_switches=switches)
    result.ranks = RanksResult("gloo", [1e-3] * ranks, 1e-3, 1e-3, 0.0)
    timed = noise_of_family((0.0, 1.0), FamilyResult([result]), Telemetry(1.0, others=others), {})
    assert timed.threads == (ranks if ranks > 1 else None)
    cause = withheld_by(timed, threads=1, cores=2)
    assert (cause is not None) == withheld
    assert cause is None or cause.remedy.words.startswith("use fewer --ranks")
