"""``torchduet run --case ID --once``: which case an id names, whatever machine and suite it is from."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from tests.bench.test_machine import CPU_ONLY, HOPPER, with_gpus
from torchduet import Axis, Suite
from torchduet.bench.host.machine import Machine
from torchduet.bench.plan.availability import unavailable
from torchduet.bench.plan.options import OptionError, Options, parse
from torchduet.bench.plan.selection import Selection
from torchduet.bench.plugin.once_command import TAKEN, select
from torchduet.suites.registry import give, names, withdraw
from torchduet.suites.workload import TIERS

TWO_GPUS = with_gpus(HOPPER, replace(HOPPER, uuid="2"))


def options(**given: Any) -> Options:
    """As ``--once`` parses them: an id names its size, whatever the tier."""
    unset = dict.fromkeys(name.removeprefix("--").replace("-", "_") for name in TAKEN)
    return parse(budget=None, **{**unset, "tier": "full", **given})


def ids(machine: Machine, source: str, **given: Any) -> set[str]:
    """Every id that a run of any tier can report."""
    chosen = [Selection(options(tier=tier, **given), machine, claims_only=False) for tier in TIERS]
    cases = [case for selection in chosen for _, case in selection.cases(source)]
    return {case.id for case in cases if unavailable(machine, case) is None}


def named(machine: Machine, case: str, source: str, **given: Any) -> str:
    return select(options(case=[case], **given), machine, [source]).id


RUNS = pytest.mark.parametrize(
    ("machine", "runs"),
    [
        (CPU_ONLY, [{}]),
        (TWO_GPUS, [{}, {"device": "cuda"}, {"device": "cpu,cuda:1", "mode": "compile-model,max-autotune"}]),
    ],
    ids=("cpu", "gpus"),
)


def misnamed(machine: Machine, runs: Sequence[Any], source: str, share: float) -> list[tuple[str, str]]:
    """Ids, among a share of those that runs report, that name another case or none: with what they name."""
    reported = sorted(set().union(*(ids(machine, source, **given) for given in runs)))
    wrong = []
    for case in random.Random(source).sample(reported, math.ceil(share * len(reported))):
        try:
            found = named(machine, case, source)
        except OptionError as error:
            found = str(error)
        if found != case:
            wrong.append((case, found))
    return wrong


@pytest.mark.parametrize("source", names())
@RUNS
def test_ids_that_a_run_reports_name_their_cases(machine: Machine, runs: Sequence[Any], source: str) -> None:
    """Also those of a GPU at the CPU's sizes, and of implementations with the names of settings."""
    assert misnamed(machine, runs, source, 0.05) == []


@pytest.mark.parametrize("source", names())
@RUNS
def test_all_ids_that_a_run_reports_name_their_cases(machine: Machine, runs: Sequence[Any], source: str) -> None:
    assert misnamed(machine, runs, source, 1.0) == []


def test_a_gpus_cases_at_the_cpus_sizes_are_among_them() -> None:
    small = "matmul.square[n=64] cuda:1 eager fp32"
    assert small in ids(TWO_GPUS, "matmul", device="cpu,cuda:1")
    assert small not in ids(TWO_GPUS, "matmul", device="cuda:1")
    assert named(TWO_GPUS, small, "matmul") == small


def test_a_gpu_that_is_not_there_is_the_reason_whatever_the_size() -> None:
    for size in ("n=64", "n=8192", "n=7"):
        case = f"matmul.square[{size}] cuda eager fp32"
        with pytest.raises(OptionError) as refused:
            named(CPU_ONLY, case, "matmul")
        assert str(refused.value) == f"--case {case!r}: {CPU_ONLY.absent('cuda')}"
    with pytest.raises(OptionError, match="cuda:2 does not exist: this machine has 2 CUDA GPUs"):
        named(TWO_GPUS, "matmul.square[n=4096] cuda:2 eager fp32", "matmul")


def test_an_implementation_can_have_the_name_of_a_setting_or_of_a_device() -> None:
    suite = Suite("given")
    suite.compare(
        "w",
        dict.fromkeys(("graph", "bf16", "cuda", "workers3", "channels_last"), abs),
        inputs=lambda _, n: (n,),
        axes={"n": Axis([4])},
        modes=["eager", "compile"],
        knobs={"memory_format": Axis(["contiguous", "channels_last"])},
    )
    give("given", [suite])
    try:
        found = ids(CPU_ONLY, "given")
        assert "given.w[n=4] cuda cpu compile fp32" in found
        assert "given.w[n=4] channels_last cpu eager fp32 channels_last" in found
        assert {named(CPU_ONLY, case, "given") for case in found} == found
    finally:
        withdraw("given")


def test_words_after_a_wildcard_are_settings() -> None:
    assert named(CPU_ONLY, "mlp.train_784_100_10[batch=100] * compile-model fp32", "mlp").endswith(
        "cpu compile-model fp32"
    )
    with pytest.raises(OptionError, match="CUDA graphs need a CUDA GPU"):
        named(CPU_ONLY, "mlp.train_784_100_10[batch=100] * graph fp32", "mlp")
