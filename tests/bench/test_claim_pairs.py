"""Which two cases a claim compares."""

from __future__ import annotations

from dataclasses import replace

import pytest

from torchduet.suites.claim import ANY, CORES, SEVERAL, TWICE_CORES, Claim, Comparison, Variant

PLAIN = {"mode": "eager", "precision": "fp32"}


def variant(n: int = 100, **settings: str | int | None) -> Variant:
    return Variant("s", "w", {"n": n}, {"device": "cpu", "mode": "eager", "precision": "fp32", **settings}, PLAIN)


COMPILED = Comparison("s", "w", case={"mode": "compile"}, baseline={"mode": "eager"})


def test_cases_of_different_sizes_are_no_pair() -> None:
    assert COMPILED.pairs(variant(100, mode="compile"), variant(100))
    assert not COMPILED.pairs(variant(100, mode="compile"), variant(1000))


def test_a_pair_differs_in_what_is_compared_alone() -> None:
    assert not COMPILED.pairs(variant(mode="compile", precision="bf16"), variant())
    assert not COMPILED.pairs(variant(mode="compile", device="cuda"), variant())
    both = Comparison("s", "w", {"mode": "compile", "device": "cuda"}, {"mode": "eager", "device": "cuda"})
    assert not both.pairs(
        variant(mode="compile", device="cuda:0"), variant(device="cuda:1")
    )  # named, but on both sides
    anywhere = Comparison("s", "w", {"mode": "compile", "device": ANY}, {"mode": "eager", "device": ANY})
    assert not anywhere.pairs(variant(mode="compile", device="cuda:0"), variant(device="cpu"))
    assert anywhere.pairs(variant(mode="compile", device="cuda:0"), variant(device="cuda:0"))


def test_a_side_has_the_settings_that_are_named_and_plain_ones_otherwise() -> None:
    assert COMPILED.side(variant(mode="compile"), 2) == "case"
    assert COMPILED.side(variant(), 2) == "baseline"
    assert COMPILED.side(variant(mode="compile", precision="bf16"), 2) == ""
    assert COMPILED.side(variant(mode="compile-model"), 2) == ""
    assert COMPILED.side(replace(variant(), suite="t"), 2) == ""
    assert COMPILED.side(replace(variant(), workload="v"), 2) == ""


def test_a_size_that_a_claim_states_is_asked_for() -> None:
    sized = replace(COMPILED, size={"n": 1000})
    assert sized.side(variant(1000), 2) == "baseline"
    assert sized.side(variant(100), 2) == ""


@pytest.mark.parametrize(
    ("wanted", "settings"),
    [(CORES, {4}), (TWICE_CORES, {8}), (SEVERAL, {2, 3, 8, 4}), (2, {2}), (ANY, {0, 1, 2, 3, 4, 8})],
)
def test_numbers_that_depend_on_the_machine(wanted: str | int, settings: set[int]) -> None:
    workers = Comparison("s", "w", {"workers": wanted}, {"workers": 77})
    of = {number for number in (0, 1, 2, 3, 4, 8) if workers.side(variant(workers=number), 4) == "case"}
    assert of == settings


def test_a_numbered_device_is_one_of_its_kind() -> None:
    on_gpu = Comparison("s", "w", {"device": "cuda"}, {"device": "cpu"})
    assert on_gpu.side(variant(device="cuda:1"), 2) == "case"
    assert on_gpu.side(variant(device="cpu"), 2) == "baseline"
    assert on_gpu.accelerators() == ("cuda",)
    assert COMPILED.accelerators() == ()
    assert Comparison("s", "w", {"device": ANY}, {"device": "xpu"}).accelerators() == ("xpu",)


def test_several_ranks_on_either_side_need_several_processes() -> None:
    assert Comparison("s", "w", {"ranks": SEVERAL}, {"ranks": 1}).several_ranks
    assert Comparison("s", "w", {"ranks": 1}, {"ranks": SEVERAL}).several_ranks
    assert not COMPILED.several_ranks


def test_a_claim_without_comparisons_or_with_an_unknown_expectation_is_refused() -> None:
    with pytest.raises(ValueError, match="claim k: no comparisons"):
        Claim("k", "it is so", "a text", ())
    with pytest.raises(ValueError, match="claim k: expects 'quicker'; known are faster, slower"):
        Claim("k", "it is so", "a text", (COMPILED,), expects="quicker")
