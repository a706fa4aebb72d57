"""``-m claims`` selects what claims need, and both sides of it."""

import pytest

from torchduet.bench.cases.case import Case, cases_of
from torchduet.bench.plan.claim_selection import decides, needed, wanted
from torchduet.suites.registry import load


@pytest.mark.parametrize(
    ("marks", "answer"), [("claims", True), ("claims and not cuda", True), ("", False), ("not claims", False)]
)
def test_what_is_asked_for(marks: str, answer: bool) -> None:
    assert wanted(marks) is answer


def select(suite: str, devices: list[str]) -> set[Case]:
    (loaded,) = load(suite)
    everything, default = (
        [case for case, _ in cases_of(suite, loaded, tier=tier, devices=devices)] for tier in ("full", "default")
    )
    found = needed(everything, default)
    assert all(decides(case) for case in found)
    return found


def test_a_size_that_a_claim_states_is_selected_from_any_tier_where_both_sides_can_run() -> None:
    in_fp32 = [case for case in select("matmul", ["cpu", "cuda"]) if case.precision == "fp32"]
    sizes = {(dict(case.size)["n"], case.device) for case in in_fp32 if case.workload == "square"}
    assert sizes == {(10_000, "cpu"), (10_000, "cuda")}
    # Half of a comparison decides nothing.
    assert {case.precision for case in select("matmul", ["cpu"])} == {"bf16", "bf16-pure"}


def test_a_claim_of_precisions_selects_both_and_no_more() -> None:
    found = [case for case in select("matmul", ["cpu"]) if case.workload == "square"]
    assert {case.precision for case in found} == {"bf16", "bf16-pure"}
    assert len(found) % 2 == 0


def test_a_claim_of_no_size_takes_the_tiers_sizes_and_both_sides() -> None:
    found = select("einsum", ["cpu"])
    products = {case.variant for case in found if case.workload == "matrix_product"}
    assert {("mm", "cpu", "eager", "fp32"), ("einsum", "cpu", "eager", "fp32")} <= products
    assert all(case.precision == "fp32" for case in found)
