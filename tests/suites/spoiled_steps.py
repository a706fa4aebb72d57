"""Training steps with an error in them, which the check of a workload must refuse.

For the tests of every suite that has training steps::

    @pytest.mark.parametrize("workload", TRAINING)
    def test_a_spoiled_step_is_refused(workload: Workload) -> None:
        assert accepted(workload, next(workload.sizes("default"))) == []
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from torchduet.bench.inputs.reference import to_reference
from torchduet.bench.timing.callables import assemble, in_float64, timed_function
from torchduet.bench.timing.checking.check import check
from torchduet.bench.timing.checking.dense import CheckError
from torchduet.bench.timing.checking.reference import reference_result
from torchduet.bench.timing.checking.results import observed
from torchduet.bench.timing.meter import Context
from torchduet.suites.workload import Size, Workload

ROUNDING = 1e-10  # a gradient below this share of the largest one is zero but for the rounding of float64
Spoil = Callable[[Sequence[Any]], None]  # changes the step that inputs will take


def accepted(workload: Workload, size: Size, precision: str = "fp32", max_gradients: int | None = None) -> list[str]:
    """The errors that the check of a workload accepts, in words; an unchanged step must be right.

    The errors: one optimiser's step is left out; one gradient is zero when the optimiser takes its step. A gradient
    that is zero whatever the inputs are, as of a bias before batch normalisation, is left as it is.

    Args:
        max_gradients: number of gradients to try, evenly among all of them; None for all.
    """
    inputs = _inputs(workload, size)
    reference = reference_result(workload, inputs, in_float64(workload))
    reseeded = reference.with_another_seed()  # every refusal would compute it again
    reference.with_another_seed = lambda: reseeded  # type: ignore[method-assign]

    def verify(spoil: Spoil) -> None:
        spoiled = _inputs(workload, size)
        spoil(spoiled)
        check(workload, precision, observed(workload, spoiled, _step(workload, spoiled, precision)), reference)

    verify(lambda _: None)
    errors = []
    for what, spoil in _spoils(workload, inputs, max_gradients):
        try:
            verify(spoil)
        except CheckError:
            continue
        errors.append(what)
    return errors


def _inputs(workload: Workload, size: Size) -> tuple[Any, ...]:
    """The same values each time."""
    torch.manual_seed(0)
    return tuple(workload.inputs(torch.device("cpu"), **size))


def _step(workload: Workload, inputs: Sequence[Any], precision: str = "fp32") -> Any:
    first = next(iter(workload.implementations))
    return assemble(timed_function(workload, first, inputs), precision, "cpu", Context())(*inputs)


def _optimizers(inputs: Sequence[Any]) -> list[Optimizer]:
    return [value for value in inputs if isinstance(value, Optimizer)]


def _parameters(optimizer: Optimizer) -> list[Tensor]:
    return [parameter for group in optimizer.param_groups for parameter in group["params"]]


def _before_each_step(optimizer: Optimizer, action: Callable[[], None]) -> None:
    step = optimizer.step

    def with_action(*arguments: Any, **keywords: Any) -> Any:
        action()
        return step(*arguments, **keywords)

    optimizer.step = with_action  # type: ignore[method-assign]


def _spoils(workload: Workload, inputs: Sequence[Any], max_gradients: int | None) -> list[tuple[str, Spoil]]:
    """Every error, in words, and what makes it."""
    copy = to_reference(inputs)
    norms: dict[tuple[int, int], float] = {}
    for number, optimizer in enumerate(_optimizers(copy)):

        def note(number: int = number, optimizer: Optimizer = optimizer) -> None:
            for index, parameter in enumerate(_parameters(optimizer)):
                if parameter.grad is not None:
                    norms[number, index] = float(parameter.grad.norm())

        _before_each_step(optimizer, note)
    _step(workload, copy)
    assert norms, f"no optimiser among the inputs of {workload.name} takes a step"

    def left_out(number: int) -> Spoil:
        def spoil(spoiled: Sequence[Any]) -> None:
            _optimizers(spoiled)[number].step = lambda *_, **__: None  # type: ignore[method-assign]

        return spoil

    def zeroed(number: int, index: int) -> Spoil:
        def spoil(spoiled: Sequence[Any]) -> None:
            optimizer = _optimizers(spoiled)[number]

            def zero() -> None:
                gradient = _parameters(optimizer)[index].grad
                assert gradient is not None
                gradient.zero_()

            _before_each_step(optimizer, zero)

        return spoil

    spoils = [(f"optimiser {number} takes no step", left_out(number)) for number in sorted({n for n, _ in norms})]
    gradients = [key for key, norm in norms.items() if norm > ROUNDING * max(norms.values())]
    for number, index in gradients[:: -(-len(gradients) // (max_gradients or len(gradients)))]:
        name = _name(inputs, _parameters(_optimizers(inputs)[number])[index])
        spoils.append((f"the gradient of {name} is zero", zeroed(number, index)))
    return spoils


def _name(inputs: Sequence[Any], parameter: Tensor) -> str:
    modules = [value for value in inputs if isinstance(value, nn.Module)]
    names = [name for module in modules for name, value in module.named_parameters() if value is parameter]
    return names[0] if names else f"a parameter of shape {tuple(parameter.shape)}"
