"""Builds the callable of a case: mode, autocast, special parameters and arguments put together."""

from __future__ import annotations

import copy
import functools
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from time import perf_counter
from typing import Any

import torch
from torch.optim import Optimizer

from torchduet.bench.cases.case import Case
from torchduet.bench.record.devices import on_host
from torchduet.bench.state.own_state import OwnState
from torchduet.bench.timing.compiling.calls import compiled, compiled_models
from torchduet.bench.timing.compiling.sizes import EachSize
from torchduet.bench.timing.cuda_graph import Captured
from torchduet.bench.timing.dynamo import CompiledModel, Uncompiling
from torchduet.bench.timing.meter import Context
from torchduet.bench.timing.precision import autocast_factory, scaler_for
from torchduet.suites.authoring.signatures import parameters_of
from torchduet.suites.workload import OF_MODELS, SuiteError, Unavailable, Workload

SPECIAL = frozenset({"autocast", "scaler", "workers", "seed", "meter"})
NOT_COMPILED = frozenset({"seed", "meter"})  # they change with every call


@dataclass(frozen=True)
class Prepared:
    """The callable of one case: ``call(*args)``, under the matrix-product precision of the case.

    Attributes:
        args: the ``inputs``, with a stand-in for each module in the modes that compile modules.
        setup_seconds: of the implementation's setup, where it has one.
        renew: makes ``call`` again, with its own memory in another place.
        graph: to be captured before the first call, and whenever the inputs have moved.
        made_for: the call and its arguments for other inputs.
        compiled_already: its author compiled the function; ``call`` is made of the original.
        own_state: what its setup and its calls change, in force around its own calls only.
        sizes: of a workload with ``each``, within ``call``.
    """

    case: Case
    call: Callable[..., Any]
    args: tuple[Any, ...]
    inputs: tuple[Any, ...]
    context: Context
    setup_seconds: float | None = None
    renew: Callable[[], Callable[..., Any]] | None = None
    graph: Captured | None = None
    compiled_already: bool = False
    own_state: OwnState = field(default_factory=OwnState)
    made_for: Callable[[Sequence[Any]], tuple[Callable[..., Any], tuple[Any, ...]]] | None = None
    sizes: EachSize | None = None

    def next_placement(self) -> None:
        """Begin another placement, for which the inputs have moved."""
        self.context.next_placement()
        if not on_host(self.case.device):
            self.context.addresses.add((self.inputs, self.args))

    def with_inputs(self, inputs: Sequence[Any]) -> Prepared:
        """The same case with other inputs of the same kinds and sizes; compiled code stays the same."""
        assert self.made_for is not None
        call, args = self.made_for(inputs)
        return replace(self, call=call, args=args, inputs=tuple(inputs))


def asks_for(function: Callable[..., Any]) -> frozenset[str]:
    """The special parameters that a function has."""
    return SPECIAL.intersection(parameter.name for parameter in parameters_of(function) or ())


def assemble(
    function: Callable[..., Any], precision: str, device: str, context: Context | None = None
) -> Callable[..., Any]:
    """``function`` with its special parameters bound, and with autocast around it unless that is one of them.

    Each call enters autocast again, as a user's loop does: its cache of cast weights must not outlive the step that
    changes them.
    """
    context = context or Context()
    asked = asks_for(function)
    factory = autocast_factory(precision, device)
    fixed: dict[str, Any] = {}
    if "autocast" in asked:
        fixed["autocast"] = factory
    if "scaler" in asked:
        if context.scaler is None:  # a renewed call keeps the scale that the first calls arrived at
            context.scaler = scaler_for(precision, device)
        fixed["scaler"] = context.scaler
    if "workers" in asked:
        fixed["workers"] = context.workers or 0
    call = functools.partial(function, **fixed) if fixed else function
    if asked & {"seed", "meter"}:
        call = _metered(call, context, asked)
    if "autocast" in asked or not isinstance(factory, functools.partial):
        return call
    inner = call

    def autocast(*args: Any) -> Any:
        with factory():
            return inner(*args)

    return autocast


def _metered(call: Callable[..., Any], context: Context, asked: frozenset[str]) -> Callable[..., Any]:
    def metered(*args: Any) -> Any:
        parameters = {name: getattr(context, name) for name in ("seed", "meter") if name in asked}
        context.meter.begin()
        return call(*args, **parameters)

    return metered


def timed_function(workload: Workload, name: str, inputs: Sequence[Any]) -> Callable[..., Any]:
    """The function of the arguments that is timed: the implementation's own, or the one that its setup returns.

    It may be compiled already; see :class:`Uncompiling`.

    Args:
        name: of the implementation.
        inputs: the arguments, and after them the values that the function captures.
    """
    implementation = workload.implementations[name]
    arguments, captured = workload.split(inputs)
    function = implementation.bind(captured) if captured and implementation.bind else implementation.function
    return Uncompiling()(function)(*arguments) if implementation.setup else function


def in_float64(workload: Workload, name: str | None = None, device: str = "cpu") -> Callable[..., Any]:
    """An implementation for the check, the first unless named, to be called with inputs in float64 on the device."""
    return _checked(workload, name, device)


def in_own_dtype(workload: Workload, device: str, name: str | None = None) -> Callable[..., Any]:
    """An implementation for the check, the first unless named, to be called with the inputs as they are."""
    return _checked(workload, name, device)


def _checked(workload: Workload, name: str | None, device: str) -> Callable[..., Any]:
    of = name or next(iter(workload.implementations))

    def call(*inputs: Any) -> Any:
        arguments, _ = workload.split(inputs)
        function = assemble(Uncompiling()(timed_function(workload, of, inputs)), "fp32", device)
        return over_sizes(workload, function)(*arguments)

    return call


def over_sizes(workload: Workload, function: Callable[..., Any]) -> Callable[..., Any]:
    """The function, called with each item of the argument that ``each=`` names; itself where there is no such name."""
    if not workload.each:
        return function
    parameters = parameters_of(next(iter(workload.implementations.values())).function) or ()
    names = [parameter.name for parameter in parameters if parameter.name not in SPECIAL]
    return EachSize(function, names.index(workload.each))


def with_own_optimizers(value: Any, *, capturable: bool = False) -> Any:
    """``value`` with a copy of every optimiser in it: the same parameters, settings and values, but its own state.

    Compiling a step changes its optimiser: on CUDA the step counters move to the device. The eager step with the same
    optimiser would then wait for the device at each of them.

    Args:
        capturable: set the copies up so that their steps can be captured in a CUDA graph.
    """
    if isinstance(value, Optimizer):
        own = copy.copy(value)
        own.param_groups = [dict(group) for group in value.param_groups]
        own.state = defaultdict(dict)
        for parameter, state in value.state.items():
            own.state[parameter] = {
                name: item.to(parameter.device if capturable else item.device, copy=True)
                if isinstance(item, torch.Tensor)
                else item
                for name, item in state.items()
            }
        for group in own.param_groups if capturable else ():
            if "capturable" in group:
                group["capturable"] = True
        return own
    if isinstance(value, dict):
        return {key: with_own_optimizers(item, capturable=capturable) for key, item in value.items()}
    if type(value) in (list, tuple):
        return type(value)(with_own_optimizers(item, capturable=capturable) for item in value)
    return value


def prepare(workload: Workload, case: Case, inputs: Sequence[Any]) -> Prepared:
    """Build the callable of a case. Compilation itself happens at the first call.

    Raises:
        SuiteError: a mode that compiles modules without one among the inputs; a mode other than these and eager
            for a function with a parameter ``seed`` or ``meter``.
        Unavailable: a CUDA graph of a step whose scaler waits for the device; no repeated block to compile.
    """
    implementation = workload.implementations[case.implementation]
    context = Context(workers=case.workers)
    start = perf_counter()
    returned = timed_function(workload, case.implementation, inputs)
    setup_seconds = perf_counter() - start if implementation.setup else None
    uncompiling = Uncompiling()
    function = uncompiling(returned)
    call = assemble(function, case.precision, case.device, context)
    args, captured = workload.split(inputs)
    graph = None
    whole = case.mode not in ("eager", *OF_MODELS)  # the function is compiled or captured as a whole
    if whole and (changing := asks_for(function) & NOT_COMPILED):
        what = "captured in a CUDA graph" if case.mode == "graph" else "compiled as a whole"
        raise SuiteError(f"{case.id}: a function with a parameter {min(changing)} cannot be {what}")
    if workload.fresh and (implementation.setup or captured) and whole:
        raise Unavailable("fresh=True makes the function anew for each call, and compiled code would be for the first")
    if case.mode == "graph":
        if workload.fresh:
            raise Unavailable("a CUDA graph replays the same memory, and fresh=True makes the inputs anew")
        if "scaler" in asks_for(function) and case.precision == "fp16":
            raise Unavailable("a GradScaler waits for the device in each step, which no CUDA graph can hold")
        args = tuple(with_own_optimizers(value, capturable=True) for value in args)
        call = over_sizes(workload, call)
        sizes = call if isinstance(call, EachSize) else None
        call = graph = Captured(call, args, case.device)
    elif whole:
        call, sizes = compiled(call, case.mode, functools.partial(over_sizes, workload))
        args = tuple(with_own_optimizers(value) for value in args)
    else:
        args = compiled_models(case, args) if case.mode in OF_MODELS else args
        call = over_sizes(workload, call)
        sizes = call if isinstance(call, EachSize) else None
    renew = getattr(returned, "renew", None) if implementation.setup and case.mode == "eager" else None
    renewed = None if renew is None else lambda: assemble(Uncompiling()(renew()), case.precision, case.device, context)

    def made_for(others: Sequence[Any]) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        own_call = call
        if (implementation.setup or captured) and not whole:
            own = Uncompiling()(timed_function(workload, case.implementation, others))
            own_call = assemble(own, case.precision, case.device, context)
        return own_call, tuple(
            mine.of(other) if isinstance(mine, CompiledModel) else other
            for mine, other in zip(args, workload.split(others)[0], strict=True)
        )

    return Prepared(
        case,
        call,
        args,
        tuple(inputs),
        context,
        setup_seconds,
        renewed,
        graph,
        uncompiling.found,
        made_for=made_for,
        sizes=sizes,
    )
