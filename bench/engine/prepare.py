"""From a case to what is called: mode, autocast and arguments put together around its function."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from bench.engine.case import Case
from bench.engine.compile import CompiledModel, own_code
from bench.engine.precision import autocast_factory
from suites.workload import SuiteError, Workload


@dataclass(frozen=True)
class Prepared:
    """What one case runs: ``call(*args)``, under the matrix-product precision of the case."""

    case: Case
    call: Callable[..., Any]
    args: tuple[Any, ...]


def wants_autocast(function: Callable[..., Any]) -> bool:
    """Whether the function places autocast itself, by a parameter of that name."""
    try:
        return "autocast" in inspect.signature(function).parameters
    except (TypeError, ValueError):  # a builtin without a signature
        return False


def in_precision(function: Callable[..., Any], precision: str, device: str) -> Callable[..., Any]:
    """``function`` with autocast for ``precision``: where it asks for it, else around all of it.

    Autocast is entered anew in each call, as a user's loop does: its cache of cast weights must not
    outlive the step that changes them.
    """
    factory = autocast_factory(precision, device)
    if wants_autocast(function):
        return functools.partial(function, autocast=factory)
    if isinstance(factory, functools.partial):

        def call(*args: Any) -> Any:
            with factory():
                return function(*args)

        return call
    return function


def prepare(workload: Workload, case: Case, inputs: Sequence[Any]) -> Prepared:
    """Put the case together. Compilation itself happens at the first call.

    Raises:
        SuiteError: ``compile-model`` for inputs without a module.
    """
    function = workload.implementations[case.implementation]
    call = in_precision(function, case.precision, case.device)
    args = tuple(inputs)
    if case.mode == "compile":
        if isinstance(call, functools.partial):
            call = functools.partial(torch.compile(own_code(call.func)), **call.keywords)
        else:
            call = torch.compile(own_code(call))
    elif case.mode == "compile-model":
        if not any(isinstance(value, torch.nn.Module) for value in args):
            raise SuiteError(f"{case.id}: mode compile-model needs an nn.Module among the inputs")
        args = tuple(CompiledModel(value) if isinstance(value, torch.nn.Module) else value for value in args)
    return Prepared(case, call, args)
