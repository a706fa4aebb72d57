"""The functions that a program compares: their names, and what torch.compile has made of them."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from torchduet.bench.timing.callables import SPECIAL
from torchduet.bench.timing.dynamo import Uncompiling
from torchduet.suites.authoring.signatures import parameters_of
from torchduet.suites.workload import COMPILED, DYNAMIC, OF_MODELS, SuiteError


@dataclass(frozen=True)
class Function:
    """One function to time.

    Attributes:
        original: the function without torch.compile.
        mode: the mode that its author compiled it with; empty for a plain function.
    """

    original: Callable[..., Any]
    mode: str = ""


def named(functions: Mapping[str, Callable[..., Any]] | Sequence[Callable[..., Any]]) -> dict[str, Callable[..., Any]]:
    """Name → function. Functions without names of their own get ``f``, ``g``, …

    Raises:
        SuiteError: something is no function, or two have the same name.
    """
    if isinstance(functions, Mapping):
        given = {str(name): function for name, function in functions.items()}
        if len(given) < len(functions):
            raise SuiteError(f"two functions have the same name; the names are {', '.join(map(repr, functions))}")
    else:
        names = [_name(function, number) for number, function in enumerate(functions)]
        longer = [
            name if names.count(name) == 1 else _with_module(name, of)
            for name, of in zip(names, functions, strict=True)
        ]
        names = longer if len(set(longer)) == len(longer) else names
        names = [name if names.count(name) == 1 else f"{name} {number + 1}" for number, name in enumerate(names)]
        given = dict(zip(names, functions, strict=True))
    if not given:
        raise SuiteError("no functions to time; give at least one, e.g. compare({'mine': f, 'torch': g}, x)")
    for name, function in given.items():
        if not callable(function):
            raise SuiteError(f"{name!r} is a {type(function).__name__} and cannot be called; give functions")
    return given


def _name(function: Any, number: int) -> str:
    while isinstance(function, functools.partial):
        function = function.func
    name = getattr(function, "__name__", None) or type(function).__name__
    return "fghijk"[number] if name == "<lambda>" and number < 6 else str(name).strip("<>")


def _with_module(name: str, function: Any) -> str:
    """``layers.Block`` of a class or function in ``mylib.layers``."""
    while isinstance(function, functools.partial):
        function = function.func
    of = function if hasattr(function, "__name__") else type(function)
    return f"{str(getattr(of, '__module__', '')).rpartition('.')[2]}.{name}"


def function_of(name: str, function: Callable[..., Any]) -> Function:
    """A function as it is timed, and the mode of one that is compiled already.

    Raises:
        SuiteError: it is compiled with options that no mode stands for.
    """
    if isinstance(function, functools.partial):
        inner = function_of(name, function.func)
        return Function(functools.partial(inner.original, *function.args, **function.keywords), inner.mode)
    original = Uncompiling._original(function)
    if original is function and not _is_compiled_in_place(function):
        return Function(_plain(function))
    options, dynamic = _options_in(function), _dynamic_of(function)
    able = [mode for mode in COMPILED if mode not in OF_MODELS and DYNAMIC.get(mode) is dynamic]
    mode = next((mode for mode in able if options == _options_of(mode)), None)
    if mode is None:
        raise SuiteError(
            f"{name!r} is compiled with another backend, dynamic= beside another mode, or options of its own: give the "
            "function itself, and mode=['eager', 'compile']"
        )
    return Function(_plain(original), mode)


def _options_in(function: Any) -> Mapping[str, Any] | None:
    """Inductor's options that a compiled function changes; None where another backend compiles it."""
    if _is_compiled_in_place(function):
        function = function._compiled_call_impl
    import torch._inductor.config as inductor

    config = getattr(function, "get_compiler_config", lambda: None)()
    usual: Mapping[str, Any] = inductor.get_config_copy()
    if config is None:
        return None
    return {name: value for name, value in config.items() if name in usual and usual[name] != value}


def _is_compiled_in_place(function: Any) -> bool:
    return isinstance(function, torch.nn.Module) and vars(function).get("_compiled_call_impl") is not None


def _dynamic_of(function: Any) -> bool | None:
    """Whether sizes were set to be dynamic, or not to be; None where that is left to PyTorch."""
    if _is_compiled_in_place(function):
        function = function._compiled_call_impl
    context = getattr(function, "dynamo_ctx", None)
    for cell in getattr(function, "__closure__", None) or ():
        with contextlib.suppress(ValueError):
            if hasattr(cell.cell_contents, "_dynamic"):
                context = cell.cell_contents
    dynamic: bool | None = getattr(context, "_dynamic", None)
    return dynamic


def _options_of(mode: str) -> Mapping[str, Any]:
    if mode == "compile" or mode in DYNAMIC:
        return {}
    from torch._inductor import list_mode_options

    options: Mapping[str, Any] = list_mode_options(mode)
    return options


def _plain(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function; one whose parameters have the names that suites give a meaning to takes them as they come."""
    if not SPECIAL.intersection(parameter.name for parameter in parameters_of(function) or ()):
        return function

    def call(*arguments: Any) -> Any:
        return function(*arguments)

    return call
