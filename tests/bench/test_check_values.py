"""Which of several values decides about a result, and in which types the reference computes."""

from contextlib import AbstractContextManager

import pytest
import torch
from torch import Tensor

from torchduet.bench.record.schema import CheckRecord
from torchduet.bench.timing.checking import check as checking
from torchduet.bench.timing.checking.compare import Held
from torchduet.bench.timing.checking.dense import CheckError
from torchduet.bench.timing.checking.reference import SEED, Reference, no_reference, reference_result
from torchduet.bench.timing.checking.results import Results, results_of
from torchduet.bench.timing.precision import TOLERANCE
from torchduet.suites import Suite, Workload


def workload(**details: object) -> Workload:
    return Suite("demo").compare("w", {"w": lambda a, b: a @ b}, inputs=lambda _: (), **details)  # type: ignore[arg-type]


def check(result: list[Tensor], expected: list[Tensor]) -> CheckRecord:
    return checking.check(workload(), "fp32", results_of(result), Reference(results_of(expected)))


GOOD = torch.ones(4, dtype=torch.float64)


@pytest.mark.parametrize("place", [0, 1, 2])
def test_the_worst_of_several_values_decides_wherever_it_stands(place: int) -> None:
    result = [GOOD.clone() for _ in range(3)]
    result[place] = GOOD * 1.001
    with pytest.raises(CheckError, match=rf"wrong in result\[{place}\]: relative error 1\.00e-03"):
        check(result, [GOOD] * 3)


def test_a_single_value_needs_no_name() -> None:
    with pytest.raises(CheckError, match=r"^its result is wrong: relative error 1\.00e-03 against float64, 2e-05 is"):
        checking.check(workload(), "fp32", results_of(GOOD * 1.001), Reference(results_of(GOOD)))


@pytest.mark.parametrize("order", [(1, 3), (3, 1)])
def test_the_recorded_error_is_that_of_the_worst_value(order: tuple[int, int]) -> None:
    record = check([GOOD * (1 + factor * 1e-6) for factor in order], [GOOD, GOOD])
    assert record["relative_error"] == pytest.approx(3e-6, rel=1e-3)
    assert record["tolerance"] == 2e-5


def test_a_callable_that_only_makes_tensors_makes_them_in_float64_for_the_reference() -> None:
    reference = reference_result(workload(), (), lambda: torch.full((3,), 1 / 3) * torch.tensor(0.1))
    value = reference.results["result"].value
    assert isinstance(value, Tensor)
    assert value.dtype == torch.float64
    assert value.tolist() == [(1 / 3) * 0.1] * 3  # to the last digit, which float32 has not


def test_a_reference_that_failed_while_it_was_recorded_is_in_float64_all_the_same() -> None:
    calls: list[torch.dtype] = []

    def once() -> Tensor:
        calls.append(torch.get_default_dtype())
        if len(calls) == 1:
            raise RuntimeError("the recorder's fault")
        return torch.full((2,), 0.1)

    reference = reference_result(workload(), (), once, lambda: torch.full((2,), 0.1))
    assert reference.held_against == "float64"
    assert calls == [torch.float64] * 2
    assert torch.get_default_dtype() == torch.float32


def test_what_runs_in_its_own_types_only_is_held_against_those() -> None:
    def narrow(x: Tensor) -> Tensor:
        if x.dtype == torch.float64:
            raise RuntimeError("expected float")
        return 2 * x

    x = torch.ones(2)
    reference = reference_result(workload(), (x,), narrow, narrow)
    assert (reference.held_against, reference.why) == ("own dtype", "RuntimeError: expected float")
    assert reference.results["result"].value.dtype == torch.float32  # type: ignore[union-attr]
    record = checking.check(workload(), "fp32", results_of(2 * x), reference)
    assert record["held_against"] == "own dtype"
    assert record["why"] == "RuntimeError: expected float"


def test_without_a_reference_only_infinity_and_nan_are_refused() -> None:
    reference = no_reference("it needs a network")
    record = checking.check(workload(), "fp32", results_of(torch.ones(2)), reference)
    assert record["what"] == "shapes"
    assert record["held_against"] == "nothing"
    assert record["why"] == "it needs a network"
    for value, word in ((torch.inf, "infinity"), (torch.nan, "NaN")):
        with pytest.raises(CheckError, match=word):
            checking.check(workload(), "fp32", results_of(torch.full((2,), value)), reference)


def test_infinity_where_float64_has_it_too_is_right() -> None:
    both = torch.tensor([1.0, torch.inf], dtype=torch.float64)
    assert check([both], [both])["relative_error"] == 0
    with pytest.raises(CheckError, match="infinity"):
        check([both], [torch.ones(2, dtype=torch.float64)])


def test_the_tolerance_that_is_advised_is_twice_the_error_and_none_for_a_large_one() -> None:
    with pytest.raises(CheckError, match=r"tolerance=\{'fp32': 2e-03\}|tolerance=\{'fp32': 0\.002\}"):
        check([GOOD * 1.001], [GOOD])
    with pytest.raises(CheckError) as half:
        check([GOOD * 1.5], [GOOD])
    assert "tolerance=" not in str(half.value)
    with pytest.raises(CheckError) as large:
        check([GOOD * 1.6], [GOOD])
    assert "tolerance=" not in str(large.value)


@pytest.mark.parametrize(
    ("error", "advised"),
    [(0.0004, "8e-04"), (0.0015, "0.003"), (0.004, "0.008"), (0.2, "0.4"), (0.499, "1"), (0.501, None)],
)
def test_the_advised_tolerance_is_rounded_to_a_digit_and_none_from_a_half_on(error: float, advised: str | None) -> None:
    with pytest.raises(CheckError) as raised:
        check([GOOD * (1 + error)], [GOOD])
    found = str(raised.value).partition("tolerance={'fp32': ")[2]
    assert found == (f"{advised}}}" if advised else "")
    assert "random? deterministic=False" in str(raised.value)


def test_where_the_reference_is_no_finite_number_the_difference_is_no_relative_error() -> None:
    infinite = torch.tensor([1.0, torch.inf], dtype=torch.float64)
    with pytest.raises(CheckError, match="it differs from float64 where that is no finite number"):
        check([torch.ones(2, dtype=torch.float64)], [infinite])


def test_what_it_was_held_against_is_named() -> None:
    own = Reference(results_of(GOOD), "own dtype", "RuntimeError: expected float")
    with pytest.raises(CheckError, match="against the first implementation in its own dtype, 2e-05 is allowed in fp32"):
        checking.check(workload(), "fp32", results_of(GOOD * 1.001), own)


@pytest.mark.parametrize(
    ("precision", "started", "value", "named"),
    [
        ("fp32", True, "1", True),
        ("fp32", True, "0", False),
        ("fp32", False, "1", False),  # nothing ran on a GPU
        ("tf32", True, "1", False),
    ],
)
def test_an_environment_that_computes_fp32_in_tf32_is_named_before_other_advice(
    precision: str, started: bool, value: str, named: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: started)
    monkeypatch.setenv("NVIDIA_TF32_OVERRIDE", value)
    with pytest.raises(CheckError) as raised:
        checking.check(workload(), precision, results_of(GOOD * 1.6), Reference(results_of(GOOD)))
    advice = str(raised.value).rpartition("; ")[2]
    if named:
        assert advice == (
            "NVIDIA_TF32_OVERRIDE=1 lets NVIDIA's libraries use TF32 for fp32: unset it. Random? deterministic=False"
        )
    else:
        assert advice == "random? deterministic=False"


def seeded(first: list[Tensor], other: list[Tensor] | None) -> Reference:
    """A reference that gives other results with another seed; None: it raises."""

    def again(seed: int, _: AbstractContextManager[object]) -> Results:
        if other is None:
            raise RuntimeError("no second time")
        return results_of(first if seed == SEED else other)

    return Reference(results_of(first), again=again)


OF_SEED = "its results are random"


@pytest.mark.parametrize(
    ("other", "random"),
    [
        ([GOOD, GOOD], False),
        ([GOOD, GOOD * 2], True),  # one of two values is enough
        ([GOOD * 2, GOOD], True),
        ([GOOD, torch.ones(3, dtype=torch.float64)], True),  # of another shape
    ],
)
def test_results_that_another_seed_changes_are_called_random(other: list[Tensor], random: bool) -> None:
    with pytest.raises(CheckError) as raised:
        checking.check(workload(), "fp32", results_of([GOOD, GOOD * 1.001]), seeded([GOOD, GOOD], other))
    assert (OF_SEED in str(raised.value)) is random


def test_a_reference_that_fails_with_another_seed_says_so_and_is_not_called_random(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(CheckError) as raised:
        checking.check(workload(), "fp32", results_of([GOOD * 1.6]), seeded([GOOD], None))
    assert OF_SEED not in str(raised.value)
    said = "the reference cannot be computed with another seed: RuntimeError: no second time"
    assert said in capsys.readouterr().out


def test_what_is_determined_up_to_a_sign_is_told() -> None:
    reference = Reference(results_of(GOOD), free=True)
    with pytest.raises(CheckError, match="determined only up to sign or phase"):
        checking.check(workload(), "fp32", results_of(-GOOD), reference)
    assert not Reference().free
    assert not Reference().random


def test_values_that_are_right_only_where_it_computes_less_exactly_are_held_to_that_precision() -> None:
    """The record says in what it computed; an implementation that computes exactly enough is refused."""
    wrong = results_of(GOOD * 1.001)
    record = checking.check(workload(), "fp32", wrong, Reference(results_of(GOOD)), "w", lambda: {torch.bfloat16})
    assert record["tolerance"] == pytest.approx(TOLERANCE["bf16"])
    assert "bf" in record["computes_in"]
    with pytest.raises(CheckError, match="2e-05 is allowed in fp32"):
        checking.check(workload(), "fp32", wrong, Reference(results_of(GOOD)), "w", lambda: {torch.float32})


def test_results_that_agree_with_the_seeded_first_implementation_in_its_own_types_are_right() -> None:
    def reference(own: Tensor) -> Reference:
        return Reference(results_of(GOOD), own=lambda: Reference(results_of(own), "own dtype", "random numbers"))

    record = checking.check(workload(), "fp32", results_of(GOOD * 3), reference(GOOD * 3))
    assert (record["held_against"], record["why"]) == ("own dtype", "random numbers")
    with pytest.raises(CheckError, match="against float64"):
        checking.check(workload(), "fp32", results_of(GOOD * 3), reference(GOOD * 2))


def test_the_accelerator_that_computed_float64_is_in_the_record() -> None:
    on_gpu = Reference(results_of(GOOD), device="cuda:1")
    assert checking.check(workload(), "fp32", results_of(GOOD), on_gpu)["float64_on"] == "cuda:1"
    assert "float64_on" not in check([GOOD], [GOOD])
    assert "held_against" not in check([GOOD], [GOOD])


def test_of_several_implementations_the_tolerance_of_one_is_advised() -> None:
    both = {"w": lambda a, b: a @ b, "v": lambda a, b: b @ a}
    two = Suite("demo").compare("w", both, inputs=lambda _: ())
    with pytest.raises(CheckError, match=r"tolerance=\{'v': "):
        checking.check(two, "fp32", results_of(GOOD * 1.001), Reference(results_of(GOOD)), "v")
    with pytest.raises(CheckError, match=r"tolerance=\{'fp32': "):
        checking.check(workload(), "fp32", results_of(GOOD * 1.001), Reference(results_of(GOOD)), "w")


def test_a_workload_that_is_not_checked_has_nothing_in_its_record() -> None:
    record = checking.check(workload(check=False), "fp32", results_of(torch.full((2,), torch.nan)), no_reference())
    assert record == {"what": "nothing", "relative_error": None, "tolerance": None}


def test_an_error_of_a_thousandth_is_no_small_number() -> None:
    assert checking._rounded_up(1e-3) == "0.002"


def test_an_error_as_large_as_the_tolerance_is_allowed() -> None:
    one = torch.ones(1, dtype=torch.float64)
    record = checking.check(
        workload(tolerance={"fp32": 0.5}), "fp32", results_of(1.5 * one), Reference(results_of(one))
    )
    assert (record["relative_error"], record["tolerance"]) == (0.5, 0.5)


def test_a_single_value_with_a_name_is_named() -> None:
    with pytest.raises(CheckError, match=r"its result is wrong in .*loss.*: relative error"):
        checking.check(workload(), "fp32", results_of({"loss": GOOD * 1.001}), Reference(results_of({"loss": GOOD})))


def test_what_another_seed_returns_in_addition_says_nothing() -> None:
    with pytest.raises(CheckError) as raised:
        checking.check(workload(), "fp32", results_of([GOOD * 1.6]), seeded([GOOD], [GOOD, GOOD]))
    assert OF_SEED not in str(raised.value)


@pytest.mark.parametrize(
    ("rounding", "undecided", "expected"),
    [
        ((False, False), (0, 0), {}),
        ((False, True), (0, 0), {"scale": "rounding"}),
        ((True, True), (2, 3), {"scale": "rounding", "undecided": 5}),
        ((False, False), (0, 1), {"undecided": 1}),
    ],
)
def test_a_record_says_where_rounding_gave_the_scale_and_how_many_positions_it_left_undecided(
    rounding: tuple[bool, bool],
    undecided: tuple[int, int],
    expected: dict[str, object],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    held = iter(Held("x", 0.0, rounding=one, undecided=number) for one, number in zip(rounding, undecided, strict=True))
    monkeypatch.setattr(checking, "compare", lambda *_: next(held))
    record = check([GOOD, GOOD], [GOOD, GOOD])
    assert {key: record.get(key) for key in ("scale", "undecided") if key in record} == expected


def test_only_results_that_are_declared_random_may_have_a_shape_that_another_seed_changes() -> None:
    longer = torch.ones(9, dtype=torch.float64)
    record = checking.check(workload(deterministic=False), "fp32", results_of([longer]), seeded([GOOD], [longer[:5]]))
    assert record["what"] == "shapes"
    for of, other in ((workload(deterministic=False), GOOD), (workload(), longer[:5])):
        with pytest.raises(CheckError, match="shape"):
            checking.check(of, "fp32", results_of([longer]), seeded([GOOD], [other]))
