"""Checks calls of a suite's methods, and the signature of ``inputs=``, before anything is called."""

from __future__ import annotations

import difflib
import functools
import inspect
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any, ParamSpec, TypeVar

from torchduet.suites.authoring.details import are_values
from torchduet.suites.workload import SuiteError

POSITIONAL = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
P = ParamSpec("P")
R = TypeVar("R")


def explained(details: Iterable[str]) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Decorates a method of a suite: a call that does not fit its signature raises a SuiteError of one line.

    Args:
        details: the keywords that the method takes as ``**details``.
    """
    known = tuple(details)

    def decorate(method: Callable[P, R]) -> Callable[P, R]:
        signature = inspect.signature(method)
        own = [name for name, parameter in signature.parameters.items() if parameter.kind is parameter.KEYWORD_ONLY]
        by_name = [
            name
            for name, parameter in signature.parameters.items()
            if parameter.kind is parameter.POSITIONAL_OR_KEYWORD and name != "self"
        ]

        @functools.wraps(method)
        def checked(*arguments: P.args, **keywords: P.kwargs) -> R:
            suite, *given = arguments
            named = next((value for value in (keywords.get("name"), *given) if isinstance(value, str)), None)
            where = f"suite {suite.name!r}" + ("" if named is None else f", workload {named!r}")  # type: ignore[attr-defined]
            check_keywords(where, keywords, (*by_name, *own, *known))
            try:
                signature.bind(*arguments, **keywords)
            except TypeError as error:
                shown = ", ".join([*by_name, *(f"{name}=…" for name in own)])
                raise SuiteError(
                    f"{where}: suite.{method.__name__}: {error}; call it as suite.{method.__name__}({shown})"
                ) from None
            return method(*arguments, **keywords)

        return checked

    return decorate


def check_keywords(where: str, given: Mapping[str, object], known: Collection[str]) -> None:
    """Refuse a keyword that does not exist.

    Raises:
        SuiteError: names the keyword, and the one that was probably meant.
    """
    for keyword, value in given.items():
        if keyword not in known:
            similar = difflib.get_close_matches(keyword, known, n=1)
            if similar:
                hint = f"did you mean {similar[0]}=?"
            elif are_values(value) and "axes" in known:
                hint = f"did you mean axes={{{keyword!r}: …}}?"
            else:
                hint = f"there are {', '.join(known)}"
            raise SuiteError(f"{where}: there is no keyword {keyword}=; {hint}")


def check_inputs(
    where: str,
    inputs: Callable[..., Any],
    axes: Collection[str],
    function: str = "inputs=",
    given: Collection[str] = (),
) -> None:
    """Refuse a function of the inputs that cannot be called as ``inputs(device, **size)``.

    Args:
        function: how the message names it.
        given: names of further parameters that get a value, if there are such.

    Raises:
        SuiteError: names the axis that it does not take, or the parameter that no axis gives.
    """
    if not callable(inputs):
        raise SuiteError(f"{where}: {function} must be a function of the device and the axes, not {inputs!r:.80}")
    parameters = parameters_of(inputs)
    if parameters is None:
        return
    positional = [p for p in parameters if p.kind in POSITIONAL]
    if not positional and not any(p.kind is p.VAR_POSITIONAL for p in parameters):
        raise SuiteError(f"{where}: {function} must take the device as its first argument: {function}lambda device: …")
    others = [p for p in (parameters[1:] if positional else parameters) if p.name not in given or p.name in axes]
    check_axes(where, others, axes, function, taken=positional[:1])


def check_axes(
    where: str,
    parameters: Collection[inspect.Parameter],
    axes: Collection[str],
    function: str,
    taken: Collection[inspect.Parameter] = (),
) -> None:
    """Refuse a function that does not take exactly these axes, by name.

    Args:
        taken: parameters that get something else.

    Raises:
        SuiteError: names the axis or the parameter.
    """
    by_name = [p.name for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)]
    takes_any = any(p.kind is p.VAR_KEYWORD for p in parameters)
    for axis in axes:
        if any(axis == p.name and p.kind is not p.POSITIONAL_ONLY for p in taken):
            raise SuiteError(f"{where}: the axis {axis!r} has the name of {function}'s first parameter; rename one")
        if axis not in by_name and not takes_any:
            raise SuiteError(f"{where}: {function} does not take the axis {axis!r}; add a parameter of that name")
    for p in parameters:
        required = p.default is p.empty and p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)
        if required and (p.name not in axes or p.kind is p.POSITIONAL_ONLY):
            raise SuiteError(
                f"{where}: {function} has a parameter {p.name!r}, which no axis gives; "
                f"add it to axes={{{p.name!r}: […]}}, or give it a default"
            )


def parameters_of(function: Callable[..., Any]) -> list[inspect.Parameter] | None:
    """The parameters of a function; None if it does not show them, as some builtins."""
    try:
        return list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):
        return None
