"""Checks the types of a workload's details, so that each mistake is one line that names the keyword."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from numbers import Real
from typing import Any

from torchduet.suites.workload import PRECISIONS, Axis, Implementation, SuiteError

MAX_NAME = 200  # characters


def is_list(value: object) -> bool:
    """Whether a value is a sequence other than text."""
    return isinstance(value, Sequence) and not isinstance(value, str | bytes)


def are_values(value: object) -> bool:
    """Whether a value is an axis, or a list from which one can be made."""
    return isinstance(value, Axis) or (is_list(value) and len(value) > 0)  # type: ignore[arg-type]


def are_words(value: object) -> bool:
    """Whether a value is a list of strings."""
    return is_list(value) and all(isinstance(word, str) for word in value)  # type: ignore[attr-defined]


def are_named_values(value: object) -> bool:
    """Whether a value is a mapping from names to axes."""
    return isinstance(value, Mapping) and all(isinstance(key, str) and are_values(value[key]) for key in value)


def is_switch(value: object) -> bool:
    """Whether a value is True or False."""
    return isinstance(value, bool)


def is_function_or_none(value: object) -> bool:
    """Whether a value can be called, or is None."""
    return value is None or callable(value)


def is_duration(value: object) -> bool:
    """Whether a value is a function, or a finite number of seconds from 0."""
    return callable(value) or (
        isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value) and value >= 0
    )


SWITCH = (is_switch, "True or False")
LIST = "a list or an Axis"
RULES: Mapping[str, tuple[Callable[[object], bool], str]] = {  # keyword → (whether a value can be used, what to give)
    "about": (lambda value: isinstance(value, str), "a string"),
    "axes": (are_named_values, "a mapping from names to lists of values, e.g. axes={'n': [16, 64]}"),
    "modes": (are_values, f"{LIST}, e.g. modes=['eager', 'compile']"),
    "precisions": (are_values, f"{LIST}, e.g. precisions=['fp32', 'bf16']"),
    "devices": (lambda value: are_words(value) and bool(value), "a list, e.g. devices=['cpu']"),
    "workers": (lambda value: value is None or are_values(value), f"{LIST}, e.g. workers=[0, 4]"),
    "ranks": (lambda value: value is None or are_values(value), f"{LIST}, e.g. ranks=[1, 2, 4]"),
    "shard": (is_function_or_none, "a function, e.g. shard=lambda x, rank, ranks: (x.chunk(ranks)[rank],)"),
    "joint": (is_function_or_none, "a function, e.g. joint=lambda x, rank, ranks: x.sum()"),
    "knobs": (are_named_values, "a mapping from knobs to lists of their settings"),
    "cost": (is_function_or_none, "a function of the axes, e.g. cost=lambda n: Cost(flops=2 * n)"),
    "deterministic": SWITCH,
    "observe": (is_function_or_none, "a function, e.g. observe=lambda inputs, result: result"),
    "tolerance": (lambda value: isinstance(value, Mapping), "a mapping, e.g. tolerance={'bf16': 0.05}"),
    "check": SWITCH,
    "mutates": (are_words, "a list of names of arguments, e.g. mutates=['x']"),
    "scratch": (are_words, "a list of names of arguments, e.g. scratch=['out']"),
    "fresh": SWITCH,
    "call_seconds": (is_duration, "seconds from 0, or a function of the axes, e.g. call_seconds=0.5"),
    "memory": SWITCH,
    "each": (lambda value: isinstance(value, str), "the name of an argument, e.g. each='batches'"),
}


def check_details(where: str, details: Mapping[str, object]) -> None:
    """Refuse a detail of another type.

    Raises:
        SuiteError: names the workload and the keyword, and says what to give.
    """
    for keyword, value in details.items():
        usable, expected = RULES[keyword]
        if not usable(value):
            raise SuiteError(f"{where}: {keyword}={_shown(value)} cannot be used; give {expected}")
    if not encodable(str(details.get("about", ""))):
        raise SuiteError(f"{where}: about= has characters that cannot be written as UTF-8; leave them out")


def check_name(where: str, what: str, name: object) -> None:
    """Refuse a name that a report, a file or a terminal cannot show.

    Raises:
        SuiteError: it is no text, or it is blank, too long or has control characters.
    """
    problem = ""
    if not isinstance(name, str):
        problem = "is no string"
    elif not name.strip():
        problem = "is blank"
    elif not name.isprintable():
        problem = "has characters that cannot be shown, such as a line break"
    elif len(name) > MAX_NAME:
        problem = f"has {len(name)} characters; use {MAX_NAME} at most"
    if problem:
        raise SuiteError(f"{where}: {what} {_shown(name)} {problem}")


def check_implementations(where: str, implementations: Mapping[str, Any]) -> None:
    """Refuse implementations that are no mapping of names to functions.

    Raises:
        SuiteError: says which of them.
    """
    if not isinstance(implementations, Mapping) or not implementations:
        raise SuiteError(
            f"{where}: implementations must be a non-empty mapping of name → function, "
            f"e.g. {{'mine': f}}, not {_shown(implementations)}"
        )
    for name, variant in implementations.items():
        check_name(where, "the name of an implementation", name)
        function = variant.function if isinstance(variant, Implementation) else variant
        if not callable(function):
            raise SuiteError(f"{where}: implementations must be functions; {name!r} is {_shown(function)}")
        for field in ("modes", "precisions", "devices") if isinstance(variant, Implementation) else ():
            value = getattr(variant, field)
            if value is not None and not are_words(value):
                raise SuiteError(
                    f"{where}: Implementation {name!r}: {field}={_shown(value)} cannot be used; give a list of words"
                )


def check_tolerance(where: str, tolerance: Mapping[Any, Any], implementations: Sequence[str]) -> None:
    """Refuse a tolerance of what does not exist, or one that is no positive finite number.

    Raises:
        SuiteError: names the key, and what may stand there.
    """
    for key, stated in tolerance.items():
        if key not in (*PRECISIONS, *implementations):
            raise SuiteError(
                f"{where}: tolerance has {key}; known are {', '.join(PRECISIONS)} and the implementations "
                f"{', '.join(implementations)}"
            )
        per_precision = stated if isinstance(stated, Mapping) and key not in PRECISIONS else {"": stated}
        for precision, number in per_precision.items():
            name = f"{key}'s {precision}" if precision else key
            if precision and precision not in PRECISIONS:
                raise SuiteError(f"{where}: tolerance of {name} is of no precision; known are {', '.join(PRECISIONS)}")
            if isinstance(number, bool) or not isinstance(number, Real) or not 0 < float(number) < math.inf:
                way = "; use check=False to compare nothing" if number == math.inf else ", such as 0.05"
                raise SuiteError(f"{where}: tolerance of {name} is {number!r}; it is a positive number{way}")


def encodable(text: str) -> bool:
    """Whether text can be written as UTF-8."""
    return not any("\ud800" <= character <= "\udfff" for character in text)


def _shown(value: object) -> str:
    text = ascii(value)
    return text if len(text) <= 80 else f"{text[:77]}..."
