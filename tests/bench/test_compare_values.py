"""How a value is held against the reference, where rounding decides and where it does not: worked examples."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterable
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor

from torchduet.bench.timing.checking import reference as references
from torchduet.bench.timing.checking.check import _is_random
from torchduet.bench.timing.checking.compare import (
    MAX_RUNS,
    MIN_RUNS,
    Held,
    compare,
    relative_error,
    shape_varies,
)
from torchduet.bench.timing.checking.dense import CheckError
from torchduet.bench.timing.checking.reference import SEED, Reference, has_nan, in_host_memory, reference_result
from torchduet.bench.timing.checking.results import ROOT, Part, Results
from torchduet.suites import Suite, Workload

UNIT, TOLERANCE = 2.0**-24, 2e-5


def part(value: Any, dtype: torch.dtype | None = None) -> Part:
    return Part(ROOT, value if isinstance(value, str) else torch.as_tensor(value, dtype=dtype))


class Repeated:
    """A reference whose repetitions give these values, the last one again and again; notes seeds and calls."""

    def __init__(self, expected: Part, *values: Any, fails: bool = False) -> None:
        self.values = [value if isinstance(value, Part) else part(value) for value in values] or [expected]
        self.seeds: list[int] = []
        self.fails = fails
        self.reference = Reference({ROOT: expected}, again=self.again)

    def again(self, seed: int, context: contextlib.AbstractContextManager[Any]) -> Results:
        with context:
            self.seeds.append(seed)
        if self.fails:
            raise RuntimeError("no")
        return {ROOT: self.values[min(len(self.seeds), len(self.values)) - 1]}


def held(actual: Any, expected: Any, *repeated: Any, fails: bool = False) -> Held:
    """How a value compares where repetitions with rounding give these values."""
    actual, expected = (one if isinstance(one, Part) else part(one) for one in (actual, expected))
    of = Repeated(expected, *repeated, fails=fails)
    return compare(actual, expected, of.reference, TOLERANCE, UNIT)


def doubles(*values: float) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)


def test_the_error_is_the_norm_of_the_difference_over_that_of_the_reference() -> None:
    assert relative_error(doubles(3.0, 4.5), doubles(3.0, 4.0)) == pytest.approx(0.1)
    assert relative_error(doubles(0.0, 0.5), doubles(0.0, 0.0)) == 0.5  # absolute, where the reference is zero
    assert relative_error(torch.tensor([3 + 4.5j]), torch.tensor([3 + 4j])) == pytest.approx(0.1)
    assert relative_error(torch.tensor([3 + 0.5j]), doubles(5.0)) == pytest.approx(math.sqrt(4.25) / 5)
    assert math.isnan(relative_error(doubles(math.nan), doubles(1.0)))


def test_infinities_are_equal_at_the_same_places_and_of_the_same_sign() -> None:
    both = doubles(math.inf, 3.0, 4.0)
    assert relative_error(both, both) == 0
    assert relative_error(doubles(math.inf, 3.0, 4.5), both) == pytest.approx(0.1)
    assert relative_error(doubles(-math.inf, 3.0, 4.0), both) == math.inf
    assert relative_error(doubles(9.0, 3.0, 4.0), both) == math.inf


def test_texts_are_equal_or_not() -> None:
    assert held("a", "a").error == 0
    assert held("a", "b").error == math.inf
    assert held("1", doubles(1.0)).error == math.inf


def test_within_the_tolerance_nothing_is_repeated() -> None:
    expected = part(doubles(3.0, 4.0))
    of = Repeated(expected)
    found = compare(part(doubles(3.0, 4.0 + 5e-5)), expected, of.reference, TOLERANCE, UNIT)
    assert found.error == pytest.approx(1e-5)
    assert (found.rounding, found.undecided, of.seeds) == (False, 0, [])
    assert held(doubles(0.0), doubles(0.0)).error == 0


def test_beyond_it_the_error_is_taken_on_the_scale_of_the_rounding_that_the_reference_shows() -> None:
    # Repetitions lie 1e-3 off: five times that is as much as is allowed, so an error of 2.5e-3 is half of it.
    found = held(doubles(2.5e-3), doubles(0.0), doubles(1e-3))
    assert found.rounding
    assert found.error == pytest.approx(0.5 * TOLERANCE)
    assert held(doubles(9e-3), doubles(0.0), doubles(1e-3)).error == pytest.approx(1.8 * TOLERANCE)


def test_the_spread_of_repetitions_is_their_root_mean_square() -> None:
    # √((3² + 4² + 0 + 0) / 4) = 2.5, in units of 1e-3.
    found = held(doubles(1.25e-2), doubles(0.0), doubles(3e-3), doubles(-4e-3), doubles(0.0), doubles(0.0))
    assert found.error == pytest.approx(TOLERANCE)


def test_a_large_scale_counts_before_a_small_spread() -> None:
    found = held(doubles(100.1), doubles(100.0), doubles(100.0 + 1e-9))
    assert not found.rounding
    assert found.error == pytest.approx(1e-3)


@pytest.mark.parametrize(("error", "number"), [(4e-3, MIN_RUNS), (6e-3, MIN_RUNS + 2 * MAX_RUNS), (1.0, MIN_RUNS)])
def test_more_repetitions_decide_only_what_is_close(error: float, number: int) -> None:
    # The line is at 5e-3; what lies 30 times beyond it stays there. The first 4 of 16 are taken once.
    expected = part(doubles(0.0))
    of = Repeated(expected, doubles(1e-3))
    compare(part(doubles(error)), expected, of.reference, TOLERANCE, UNIT)
    assert len(of.seeds) == (number if number == MIN_RUNS else 2 * MAX_RUNS)
    assert set(of.seeds) == {SEED}


def test_a_reference_that_cannot_be_repeated_leaves_the_plain_error() -> None:
    found = held(doubles(1.1), doubles(1.0), fails=True)
    assert (found.error, found.rounding) == (pytest.approx(0.1), False)
    assert held(doubles(0.3), doubles(0.0), fails=True).error == pytest.approx(0.3)


def test_repetitions_of_another_shape_or_that_are_infinite_do_not_count() -> None:
    found = held(doubles(2.5e-3), doubles(0.0), doubles(1e-3), doubles(math.inf), torch.zeros(2), doubles(1e-3))
    assert found.error == pytest.approx(0.5 * TOLERANCE)


def test_what_is_not_finite_is_no_matter_of_rounding() -> None:
    expected = part(doubles(math.inf, 1.0))
    of = Repeated(expected, doubles(1.0, 1.0))
    assert compare(part(doubles(1.0, 1.0)), expected, of.reference, TOLERANCE, UNIT).error == math.inf
    assert of.seeds == []


def test_of_another_shape_all_values_are_undecided() -> None:
    assert held(torch.zeros(2), torch.zeros(5)) == Held(ROOT, 0.0, undecided=5)
    assert held(torch.zeros(7), torch.zeros(5)) == Held(ROOT, 0.0, undecided=7)


def test_any_difference_of_positions_is_wrong_unless_rounding_decides_it() -> None:
    target = torch.tensor([1, 2, 3, 1000])
    assert held(torch.tensor([1, 2, 3, 1001]), target, target).error == 1.0  # not one in a thousand
    assert held(torch.tensor([9000, 2, 3, 1000]), target, target).error > 1.0
    found = held(torch.tensor([1, 2, 3, 7]), target, torch.tensor([1, 9, 3, 8]))
    assert found == Held(ROOT, 0.0, undecided=1)  # of the two that rounding changes, one is left out
    assert held(torch.tensor([1, 2, 4, 7]), target, torch.tensor([1, 9, 3, 8])).error >= 1.0
    assert held(torch.tensor([5, 6, 7, 8]), target, torch.tensor([1])) == Held(ROOT, 0.0, undecided=4)
    assert held(torch.tensor([True, False]), torch.tensor([True, True]), torch.tensor([True, True])).error == 1.0


def test_rounded_values_of_few_bits_are_held_to_the_tolerance() -> None:
    target = torch.tensor([100, 50], dtype=torch.int8)
    near = torch.tensor([100, 51], dtype=torch.int8)
    found = held(near, target, target)
    assert found.error == pytest.approx(1 / math.hypot(100, 50))  # and not 1


def test_rounding_decides_a_shape_if_any_repetition_has_another() -> None:
    expected = part(torch.zeros(3))
    assert not shape_varies(expected, Repeated(expected).reference)
    assert shape_varies(expected, Repeated(expected, torch.zeros(3), torch.zeros(2), torch.zeros(3)).reference)
    assert shape_varies(expected, Repeated(expected, torch.zeros(2)).reference)


def test_repetitions_are_kept_by_their_unit_and_taken_once() -> None:
    of = Repeated(part(doubles(0.0)), doubles(1.0), doubles(2.0), doubles(3.0))
    first = of.reference.perturbed(UNIT, 2, 2)
    assert [float(run[ROOT].value) for run in first] == [1.0, 2.0]  # type: ignore[arg-type]
    assert len(of.reference.perturbed(UNIT, 2, 3)) == len(of.seeds) == 3
    assert len(of.reference.perturbed(UNIT, 2, 1)) == 1
    assert len(of.seeds) == 3
    of.reference.perturbed(2 * UNIT, 1, 1)
    assert len(of.seeds) == 4
    assert Reference().perturbed(UNIT, 1, 4) == []


def test_repetitions_that_take_long_are_as_few_as_are_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]

    def later() -> float:
        now[0] += 6.0  # between two looks at the clock: 6 s for each repetition
        return now[0]

    monkeypatch.setattr(references, "perf_counter", later)
    quick = Repeated(part(doubles(0.0)))
    assert len(quick.reference.perturbed(UNIT, 1, 9)) == 4  # 20 s are over after the fourth
    least = Repeated(part(doubles(0.0)))
    assert len(least.reference.perturbed(UNIT, 6, 9)) == 6


def test_random_results_are_those_that_another_seed_changes() -> None:
    expected = part(doubles(1.0))
    other, same = Repeated(expected, doubles(2.0)), Repeated(expected, doubles(1.0))
    assert _is_random(other.reference)
    assert other.seeds == [SEED + 1]
    assert not _is_random(same.reference)
    assert _is_random(Repeated(expected, torch.zeros(2)).reference)  # another shape
    assert not _is_random(Repeated(expected, fails=True).reference)
    assert not _is_random(Reference({ROOT: expected}))
    assert Reference().with_another_seed() is None


def workload() -> Workload:
    return Suite("demo").compare("w", {"w": lambda: None}, inputs=lambda _: ())


def test_the_reference_is_computed_with_its_seed_each_time_and_leaves_random_numbers_outside_alone() -> None:
    torch.manual_seed(1)
    state = torch.get_rng_state()
    found = reference_result(workload(), (), lambda: torch.rand(3))
    assert torch.equal(torch.get_rng_state(), state)
    assert found.random
    assert found.again is not None
    again, other = found.again(SEED, contextlib.nullcontext()), found.with_another_seed()
    assert other is not None
    assert torch.equal(again[ROOT].value, found.results[ROOT].value)  # type: ignore[arg-type]
    assert not torch.equal(other[ROOT].value, found.results[ROOT].value)  # type: ignore[arg-type]
    assert not reference_result(workload(), (), lambda: torch.ones(3)).random


def test_types_into_which_code_casts_are_noted_if_they_are_less_exact() -> None:
    def cast(x: Tensor) -> Tensor:
        return x.to(torch.bfloat16).to(x.dtype) + x.float().to(x.dtype)

    found = reference_result(workload(), (torch.ones(3),), cast)
    assert found.dtypes == {torch.float32, torch.bfloat16}
    assert reference_result(workload(), (torch.ones(3),), lambda x: 2 * x).dtypes == {torch.float32}


def test_what_fails_for_any_inputs_fails_and_what_never_runs_alone_is_compared_with_nothing() -> None:
    def fails(*_: object) -> Tensor:
        raise RuntimeError("broken")

    with pytest.raises(RuntimeError, match="broken"):
        reference_result(workload(), (), fails, fails)
    with pytest.raises(RuntimeError, match="broken"):
        reference_result(workload(), (), fails)
    found = reference_result(workload(), (), fails, fails, runs_alone=False)
    assert (found.held_against, found.why, found.results) == ("nothing", "RuntimeError: broken", {})


def test_inputs_are_put_back_before_each_computation() -> None:
    restored: list[int] = []
    x = torch.ones(2)

    def restore() -> tuple[Tensor]:
        restored.append(1)
        return (torch.full((2,), 5.0),)

    found = reference_result(workload(), (x,), lambda x: 2 * x, restore=restore)
    assert found.results[ROOT].value.tolist() == [10.0, 10.0]  # type: ignore[union-attr]
    assert len(restored) == 1


def test_an_accelerator_computes_the_reference_until_its_memory_does_not_suffice() -> None:
    calls: list[str] = []
    full: list[bool] = []

    def on_host(x: Tensor) -> Tensor:
        calls.append("host")
        return 2 * x

    def on_device(x: Tensor) -> Tensor:
        calls.append("device")
        if full:
            raise torch.OutOfMemoryError("full")
        return 3 * x

    found = reference_result(workload(), (torch.ones(1),), on_host, on_device=("cpu", on_device))
    assert (found.device, found.results[ROOT].value.tolist()) == ("cpu", [3.0])  # type: ignore[union-attr]
    full.append(True)
    found = reference_result(workload(), (torch.ones(1),), on_host, on_device=("cpu", on_device))
    assert (found.device, found.results[ROOT].value.tolist()) == ("", [2.0])  # type: ignore[union-attr]
    assert found.again is not None
    found.again(SEED, contextlib.nullcontext())
    assert calls == ["device", "device", "host", "host"]


def test_the_memory_that_float64_took_on_an_accelerator_is_given_back_each_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    log: list[str] = []
    allocator = SimpleNamespace(empty_cache=lambda: log.append("given back"))

    def device(name: str) -> Any:
        return SimpleNamespace(torch_device=torch.device("cpu"), allocator=lambda: allocator if name != "cpu" else None)

    monkeypatch.setattr(references, "device_of", device)
    found = reference_result(workload(), (torch.ones(1),), lambda x: 2 * x, on_device=("cuda", lambda x: 2 * x))
    assert (found.device, log) == ("cuda", ["given back"])
    assert found.with_another_seed() is not None
    assert log == ["given back"] * 2
    reference_result(workload(), (torch.ones(1),), lambda x: 2 * x, on_device=("cpu", lambda x: 2 * x))
    references.give_back(None)
    assert log == ["given back"] * 2


@pytest.mark.parametrize(("each", "repeated"), [(0.0, 9), (19.5, 2), (20.0, 1), (7.0, 3)])
def test_a_reference_is_repeated_for_twenty_seconds_after_the_fewest_times(
    each: float, repeated: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [100.0]
    monkeypatch.setattr(references, "perf_counter", lambda: now[0])

    def again(_: int, __: object) -> Results:
        now[0] += each
        return {}

    assert len(Reference(again=again).perturbed(UNIT, 1, 9)) == repeated
    assert len(Reference(again=again).perturbed(UNIT, 4, 9)) == max(repeated, 4)


def test_random_results_can_be_computed_in_their_own_types_with_the_same_seed_too() -> None:
    def noise(x: Tensor) -> Tensor:
        return x * torch.rand(3)

    x = torch.ones(3)
    found = reference_result(workload(), (x,), noise, noise)
    assert (found.held_against, found.random) == ("float64", True)
    assert found.own is not None
    own = found.own()
    assert (own.held_against, own.why) == ("own dtype", references.RANDOM)
    assert own.results[ROOT].value.dtype == torch.float32  # type: ignore[union-attr]
    assert torch.equal(own.results[ROOT].value, found.own().results[ROOT].value)  # type: ignore[arg-type]
    assert reference_result(workload(), (x,), noise).own is None
    plain = reference_result(workload(), (x,), torch.exp, torch.exp)
    assert (plain.own, plain.random) == (None, False)


def test_the_inputs_are_restored_after_the_first_implementation_ran_in_their_own_types() -> None:
    restored: list[int] = []

    def narrow(x: Tensor) -> Tensor:
        if x.dtype == torch.float64:
            raise RuntimeError("expected float")
        return 2 * x

    def restore() -> None:
        restored.append(1)

    reference_result(workload(), (torch.ones(2),), narrow, narrow, restore)
    before_float64, before_and_after_own, before_float64_again = 1, 2, 1
    assert len(restored) == before_float64 + before_and_after_own + before_float64_again


def test_nan_in_the_reference_is_counted() -> None:
    with pytest.raises(CheckError, match="result is not finite even in float64: 2 of 3 values are NaN"):
        reference_result(workload(), (), lambda: torch.tensor([math.nan, 1.0, math.nan]))


@pytest.mark.parametrize(
    ("value", "expected"),
    [([1.0, math.nan], True), ([1.0, math.inf], False), ([1 + math.nan * 1j], True), ([1 + 1j], False), ([1], False)],
)
def test_nan_is_looked_for_in_real_and_complex_values(value: Iterable[Any], expected: bool) -> None:
    assert has_nan(torch.tensor(value)) is expected


def test_results_in_the_hosts_memory_keep_their_names_and_texts() -> None:
    results = {"a": Part("a", torch.ones(1), python=True), "b": Part("b", "text")}
    found = in_host_memory(results)
    assert found["b"] == results["b"]
    assert (found["a"].path, found["a"].python, found["a"].value.tolist()) == ("a", True, [1.0])  # type: ignore[union-attr]


def test_where_neither_the_reference_nor_its_rounding_has_a_size_the_error_is_absolute_and_no_rounding() -> None:
    assert held(doubles(0.5), doubles(0.0), doubles(0.0)) == Held(ROOT, 0.5)
    assert not held(doubles(0.5), doubles(0.0), doubles(0.0)).rounding


def test_an_error_as_large_as_the_tolerance_needs_no_repetition() -> None:
    of = Repeated(part([1.0]))
    assert compare(part([1.5]), of.reference.results[ROOT], of.reference, 0.5, UNIT) == Held(ROOT, 0.5)
    assert of.seeds == []


def test_a_shape_is_looked_at_in_sixteen_repetitions_of_four_times_the_rounding() -> None:
    units: list[float] = []

    def again(_: int, context: Any) -> Results:
        units.append(context.unit)
        return {ROOT: part([1.0] * (2 if len(units) == 16 else 1))}

    assert shape_varies(part([1.0]), Reference({ROOT: part([1.0])}, again=again))
    assert units == [4.0 * 2.0**-24] * 16


def test_a_repetition_that_lacks_a_value_says_nothing_on_it() -> None:
    of = Reference({ROOT: part([1.0])}, again=lambda *_: {"another": part([2.0, 3.0])})
    assert not shape_varies(of.results[ROOT], of)
