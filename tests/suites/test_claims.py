"""Every claim rests on cases that exist, and finding them needs no PyTorch."""

from __future__ import annotations

import subprocess
import sys
from functools import lru_cache
from pathlib import Path

import pytest

from torchduet.bench.cases.case import cases_of
from torchduet.bench.plan.claim_selection import variant
from torchduet.suites.claim import SEVERAL, TWICE_CORES, Claim, Comparison, Variant
from torchduet.suites.claims import CLAIMS, deciding
from torchduet.suites.registry import load
from torchduet.suites.workload import cores as usable_cores

ROOT = Path(__file__).parents[2]


@lru_cache(maxsize=32)
def variants(suite: str) -> tuple[Variant, ...]:
    """Every case of a built-in suite at any tier, on a machine with a CPU and a GPU."""
    return tuple(
        variant(case) for one in load(suite) for case, _ in cases_of(suite, one, tier="full", devices=("cpu", "cuda"))
    )


def pairs(comparison: Comparison) -> int:
    cores = usable_cores()
    sides: dict[str, list[Variant]] = {"case": [], "baseline": [], "": []}
    for one in variants(comparison.suite):
        sides[comparison.side(one, cores)].append(one)
    return sum(comparison.pairs(case, baseline) for case in sides["case"] for baseline in sides["baseline"])


COMPARISONS = [(claim, comparison) for claim in CLAIMS for comparison in claim.comparisons]


@pytest.mark.parametrize(
    ("claim", "comparison"),
    COMPARISONS,
    ids=[f"{claim.key}-{one.suite}.{one.workload}-{place}" for place, (claim, one) in enumerate(COMPARISONS)],
)
def test_what_a_claim_compares_exists(claim: Claim, comparison: Comparison) -> None:
    assert pairs(comparison), f"{claim.key}: no such pair of cases"


def test_keys_are_unique_and_fit_an_address() -> None:
    keys = [claim.key for claim in CLAIMS]
    assert len(set(keys)) == len(keys)
    assert all(key.replace("-", "").isalnum() for key in keys)


def einsum_dot(suite: str, precision: str) -> Variant:
    settings = {"implementation": "einsum", "device": "cpu", "mode": "eager", "precision": precision}
    return Variant(suite, "dot", {"n": 100_000}, settings, plain={"mode": "eager", "precision": "fp32"})


def test_a_case_knows_which_claims_it_decides() -> None:
    einsum = einsum_dot("einsum", "fp32")
    assert deciding(einsum) == ("einsum-as-fast", "einsum-faster", "einsum-compile")
    assert deciding(einsum_dot("einsum", "bf16")) == ()
    assert deciding(einsum_dot("mine", "fp32")) == ()


def test_twice_the_cores_are_capped_and_files_from_before_still_count() -> None:
    comparison = Comparison("dataloader", "epoch", {"workers": TWICE_CORES}, {"workers": 0})

    def side(workers: int, cores: int) -> str:
        settings = {"implementation": "load", "device": "cpu", "mode": "eager", "precision": "fp32", "workers": workers}
        return comparison.side(Variant("dataloader", "epoch", {}, settings, plain={"mode": "eager"}), cores)

    assert [side(workers, 2) for workers in (4, 2, 0)] == ["case", "", "baseline"]
    assert [side(workers, 24) for workers in (32, 48, 24)] == ["case", "case", ""]


def test_several_ranks_are_any_number_above_one() -> None:
    one = Comparison("distributed", "step", {"implementation": "ddp", "ranks": SEVERAL}, {"ranks": 1})
    alike = Comparison("distributed", "step", {"implementation": "fsdp", "ranks": SEVERAL}, {"ranks": SEVERAL})

    def ranked(implementation: str, ranks: int) -> Variant:
        settings = {"implementation": implementation, "device": "cpu", "mode": "eager", "ranks": ranks}
        return Variant("distributed", "step", {}, settings, plain={"mode": "eager"})

    assert [one.side(ranked("ddp", ranks), 2) for ranks in (1, 2, 8)] == ["baseline", "case", "case"]
    assert one.pairs(ranked("ddp", 8), ranked("plain", 1))
    assert alike.pairs(ranked("fsdp", 2), ranked("ddp", 2))
    assert not alike.pairs(ranked("fsdp", 4), ranked("ddp", 2))
    assert one.several_ranks
    assert not COMPARISONS[0][1].several_ranks


def test_a_claim_expects_something_known() -> None:
    with pytest.raises(ValueError, match="expects 'better'"):
        Claim("k", "s", "x", (COMPARISONS[0][1],), expects="better")


def test_claims_need_no_torch() -> None:
    code = "import sys, torchduet.suites.claims; assert not {'torch', 'numpy', 'torchduet.bench'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)
