"""A user's own module as workloads: its training step and its inference step."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

import torch

from torchduet.suites.authoring.signatures import POSITIONAL, check_axes, parameters_of
from torchduet.suites.devices import ACCELERATOR
from torchduet.suites.steps import backward_and_step
from torchduet.suites.workload import PRECISIONS, PURE, Axis, Cost, Size, SuiteError

STATE_TOLERANCE = {
    "bf16": 0.15,
    "tf32": 0.05,
    "fp16": 0.05,
}  # of gradients: see torchduet.suites.mlp.GRADIENT_TOLERANCE
AUTOCAST = tuple(name for name in PRECISIONS if name not in PURE)
# For the reasons of torchduet.suites.mlp, fp16-pure is for inference on accelerators.
TRAINED = Axis(quick=AUTOCAST, full=["bf16-pure"])
INFERRED = Axis(quick=AUTOCAST, full=["bf16-pure"], on={ACCELERATOR: Axis(quick=AUTOCAST, full=PURE)})
BATCH = "batch"
TARGETS = ("label", "target", "positions")  # parts of the names of what a module of transformers computes its loss from

Loss = Callable[..., Any]


def check_functions(where: str, make: object, data: object, loss: object, optimizer: object) -> None:
    """Refuse what is no function, such as a module in place of a function that makes one.

    Raises:
        SuiteError: names the argument and says what to give.
    """
    if isinstance(make, torch.nn.Module):
        raise SuiteError(f"{where}: make= must return a new module at each call: give lambda: {type(make).__name__}(…)")
    if isinstance(optimizer, torch.optim.Optimizer):
        kind = type(optimizer).__name__
        raise SuiteError(f"{where}: optimizer= must make an optimiser: give lambda parameters: {kind}(parameters, …)")
    if isinstance(loss, type) and issubclass(loss, torch.nn.Module):
        raise SuiteError(f"{where}: loss= must be a function of the output and the target: give {loss.__name__}()")
    for name, value, optional in (("make", make, 0), ("data", data, 0), ("loss", loss, 1), ("optimizer", optimizer, 1)):
        if not callable(value) and not (optional and value is None):
            raise SuiteError(f"{where}: {name}= must be a function, not {value!a:.80}")


def axes_of(
    where: str, data: Callable[..., Any], batch: Axis | Sequence[Any] | None, axes: Mapping[str, Any]
) -> dict[str, Any]:
    """The axes of both workloads: ``batch``, unless ``data`` takes none, and those that the author names.

    Raises:
        SuiteError: ``data`` does not take an axis, or has a parameter that no axis gives.
    """
    if isinstance(batch, int):
        raise SuiteError(f"{where}: batch= takes a list of sizes: give batch=[{batch}]")
    parameters = parameters_of(data)
    takes_batch = parameters is None or any(p.name == BATCH or p.name not in axes for p in parameters)
    if batch is not None or takes_batch:
        axes = {BATCH: (32,) if batch is None else batch} | dict(axes)
    if parameters is not None:
        first = parameters[:1] if _batch_is_positional(parameters, axes) else []
        by_name = [axis for axis in axes if not (first and axis == BATCH)]
        check_axes(where, parameters[len(first) :], by_name, "data=")
    return dict(axes)


def has_loss(where: str, data: Callable[..., Any], loss: Loss | None, size: Size) -> bool:
    """Whether a training step can be made: with ``loss``, or if the batch has labels by name, as for transformers.

    Raises:
        SuiteError: ``data`` raises.
    """
    if loss is not None:
        return True
    try:
        with torch.random.fork_rng(devices=[]):
            batch = _batch(data, size)
    except Exception as error:
        raise SuiteError(f"{where}: data= raised {type(error).__name__} for {dict(size)}: {error}") from error
    return any(word in str(key) for key in _parts(batch)[1] for word in TARGETS)


def inputs(
    make: Callable[[], torch.nn.Module],
    data: Callable[..., Any],
    loss: Loss | None,
    optimizer: Callable[[Any], torch.optim.Optimizer] | None,
) -> Callable[..., tuple[Any, ...]]:
    """The inputs of a step: (module, optimiser, target, the module's keyword arguments, *its other arguments).

    Args:
        optimizer: None for inference: the module is in evaluation mode.
    """
    takes_target = loss is not None and _takes_two(loss)

    def make_inputs(device: torch.device, **size: Any) -> tuple[Any, ...]:
        module = make()
        if not isinstance(module, torch.nn.Module):
            raise SuiteError(f"make= returned {type(module).__name__}; return a torch.nn.Module")
        module = module.to(device)
        positional, named = _parts(_to(_batch(data, size), device))
        target: Any = None
        if takes_target and positional:
            *positional, target = positional
        elif takes_target:
            target = named
        if optimizer is None:
            return module.eval(), None, target, _accepted(module, named), *positional
        return module, optimizer(module.parameters()), target, _accepted(module, named), *positional

    return make_inputs


def training_step(loss: Loss | None) -> Callable[..., torch.Tensor]:
    """zero_grad, forward and loss under autocast, backward, optimiser step; with fp16 the loss is scaled.

    Args:
        loss: of the output and the target, or of the output alone; None: the output's own.
    """
    takes_target = loss is not None and _takes_two(loss)

    def loss_of(output: Any, target: Any) -> torch.Tensor:
        if loss is None:
            return _own_loss(output)
        value: torch.Tensor = loss(output, target) if takes_target else loss(output)
        return value

    def step(
        module: torch.nn.Module,
        optimizer: torch.optim.Optimizer,
        target: Any,
        keywords: Mapping[str, Any],
        *arguments: Any,
        autocast: Callable[[], Any],
        scaler: torch.amp.GradScaler | None = None,
    ) -> torch.Tensor:
        optimizer.zero_grad()
        with autocast():
            value = loss_of(module(*arguments, **keywords), target)
        backward_and_step(value, optimizer, scaler)
        return value.detach()

    return step


def inference_step(
    module: torch.nn.Module,
    optimizer: None,
    target: Any,
    keywords: Mapping[str, Any],
    *arguments: Any,
    autocast: Callable[[], Any],
) -> Any:
    """The output of the module, in evaluation mode, under no_grad."""
    del optimizer, target
    with torch.no_grad(), autocast():
        return module(*arguments, **keywords)


def state(inputs: Sequence[Any], loss: torch.Tensor) -> dict[str, torch.Tensor]:
    """The values by which a training step is checked, by name: the loss, the gradients and the new parameters."""
    parameters = {name.replace("_orig_mod.", ""): value for name, value in inputs[0].named_parameters()}
    gradients = {f"gradient of {name}": value.grad for name, value in parameters.items() if value.grad is not None}
    return {"loss": loss, **gradients, **parameters}


def _batch(data: Callable[..., Any], size: Size) -> Any:
    parameters = parameters_of(data)
    if parameters is not None and _batch_is_positional(parameters, size):
        return data(size[BATCH], **{axis: value for axis, value in size.items() if axis != BATCH})
    if parameters is None and BATCH in size:
        return data(*size.values())
    return data(**size)


def _batch_is_positional(parameters: Sequence[inspect.Parameter], axes: Collection[str]) -> bool:
    """Whether the batch size is the first argument of ``data`` under another name, as in ``lambda n: …``."""
    if BATCH not in axes or not parameters:
        return False
    first = parameters[0]
    by_name = any(p.name == BATCH and p.kind is not p.POSITIONAL_ONLY for p in parameters)
    return not by_name and first.name not in axes and first.kind in (*POSITIONAL, first.VAR_POSITIONAL)


def _parts(batch: Any) -> tuple[list[Any], dict[str, Any]]:
    """A batch as positional and keyword arguments: a mapping, or a tuple that may hold one."""
    if isinstance(batch, Mapping):
        return [], dict(batch)
    if not isinstance(batch, list | tuple):
        return [batch], {}
    named = [item for item in batch if isinstance(item, Mapping)]
    return [item for item in batch if not isinstance(item, Mapping)], dict(named[0]) if named else {}


def _accepted(module: torch.nn.Module, named: Mapping[str, Any]) -> dict[str, Any]:
    """The keyword arguments that the module takes: labels, for instance, may be for the loss alone."""
    parameters = parameters_of(module.forward)
    if parameters is None or any(p.kind is p.VAR_KEYWORD for p in parameters):
        return dict(named)
    names = {p.name for p in parameters}
    return {name: value for name, value in named.items() if name in names}


def _takes_two(loss: Loss) -> bool:
    """Whether a loss takes the target beside the output."""
    parameters = parameters_of(loss.forward if isinstance(loss, torch.nn.Module) else loss)
    if parameters is None or any(p.kind is p.VAR_POSITIONAL for p in parameters):
        return True
    positional = [p for p in parameters if p.kind in POSITIONAL]
    required = [p for p in positional if p.default is p.empty]
    return len(required) >= 2 or (len(positional) >= 2 and any(word in positional[1].name for word in TARGETS))


def _own_loss(output: Any) -> torch.Tensor:
    loss = output.get("loss") if isinstance(output, Mapping) else getattr(output, "loss", None)
    if isinstance(loss, torch.Tensor):
        return loss
    if isinstance(output, tuple) and output and isinstance(output[0], torch.Tensor) and output[0].ndim == 0:
        return output[0]
    raise SuiteError(f"the module's output, {type(output).__name__}, has no loss; give loss=, or labels in the batch")


def _to(value: Any, device: torch.device) -> Any:
    """The same containers with all tensors on the device."""
    if isinstance(value, torch.Tensor):
        return value.to(device)
    if isinstance(value, Mapping):
        return {key: _to(item, device) for key, item in value.items()}
    if isinstance(value, list | tuple):
        moved = [_to(item, device) for item in value]
        return moved if isinstance(value, list) else tuple(moved)
    return value


def cost_of(axes: Collection[str]) -> Callable[..., Any] | None:
    """The samples of a call, from the axis ``batch``; None without it."""

    def samples(**size: Any) -> Cost:
        return Cost(samples=size[BATCH])

    return samples if BATCH in axes else None
