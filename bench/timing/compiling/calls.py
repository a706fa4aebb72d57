"""Gives a case's function or its modules to torch.compile, as the case's mode says."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import torch

from torchduet.bench.cases.case import Case
from torchduet.bench.timing.compiling.regions import CompiledRegions
from torchduet.bench.timing.compiling.sizes import EachSize
from torchduet.bench.timing.cuda_graph import step_by_step
from torchduet.bench.timing.dynamo import CompiledModel, own_code
from torchduet.suites.workload import DYNAMIC, GRAPHED, OPTIMIZING, SuiteError, Unavailable


def compiled_models(case: Case, args: Sequence[Any]) -> tuple[Any, ...]:
    """The arguments with stand-ins for the modules among them, which run compiled code.

    Raises:
        SuiteError: there is no module.
        Unavailable: none has a repeated block, in the mode that compiles these.
    """
    if not any(isinstance(value, torch.nn.Module) for value in args):
        raise SuiteError(f"{case.id}: mode {case.mode} needs an nn.Module among the inputs")
    regions = case.mode == "compile-regions"
    kind = CompiledRegions if regions else CompiledModel
    stand_ins = tuple(
        kind(value, number) if isinstance(value, torch.nn.Module) else value for number, value in enumerate(args)
    )
    if regions and not any(isinstance(value, CompiledRegions) and value.blocks for value in stand_ins):
        raise Unavailable(
            "its modules have no repeated block: mode compile-regions compiles the items of a ModuleList or Sequential "
            "that have modules of their own and are of one class"
        )
    return stand_ins


def compiled(
    call: Callable[..., Any],
    mode: str,
    over: Callable[[Callable[..., Any]], Callable[..., Any]] = lambda function: function,
) -> tuple[Callable[..., Any], EachSize | None]:
    """``call`` compiled as a whole, and what calls it with each size; mode ``compile`` is torch.compile's default mode.

    Args:
        over: calls what was compiled with each size, if there are several.
    """
    option, dynamic = mode if mode in OPTIMIZING else None, DYNAMIC.get(mode)
    result: Callable[..., Any]
    if isinstance(call, functools.partial):
        own = torch.compile(own_code(call.func), mode=option, dynamic=dynamic)
        result = functools.partial(own, *call.args, **call.keywords)
    else:
        result = torch.compile(own_code(call), mode=option, dynamic=dynamic)
    result = over(result)
    sizes = result if isinstance(result, EachSize) else None
    return (step_by_step(result) if mode in GRAPHED else result), sizes
