"""The options of ``%duet``: short ones, as IPython's own magics have."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any


class OptionsError(ValueError):
    """An option that cannot be used; the message names it."""


@dataclass(frozen=True)
class Option:
    """An option.

    Attributes:
        letter: behind the dash.
        value: what follows it, in words; empty for a switch.
        keyword: of ``compare``; empty for what is not its business.
        words: what it does.
        read: makes the keyword's value of the text.
    """

    letter: str
    value: str
    keyword: str
    words: str
    read: Callable[[str], Any] = str


def _list(text: str) -> list[str]:
    return [word for word in text.split(",") if word]


OPTIONS = (
    Option("b", "TIME", "budget", "time for all, such as `5s` or `1m`"),
    Option("t", "SHARE", "threshold", "differences up to this are *same*; default `2%`"),
    Option("n", "N", "threads", "intra-op threads of PyTorch", int),
    Option("m", "LIST", "mode", "`eager`, `compile`, …: each side in each of them", _list),
    Option("p", "LIST", "precision", "`fp32`, `bf16`, `tf32`, `fp16`, `bf16-pure`, `fp16-pure`", _list),
    Option("d", "LIST", "device", "`cpu`, `cuda`, …: where inputs are moved", _list),
    Option("B", "NAME", "baseline", "the side that others are compared with; default: the last"),
    Option("k", "WORD=VALUE", "", "any other keyword of `compare`, such as `-k deterministic=False`; may be repeated"),
    Option("o", "", "", "return the comparison as well, as `%timeit -o` does"),
    Option("q", "", "", "return the comparison and show nothing"),
)
USAGE = """Compare expressions: ``%duet [options] f(x) | g(x)``, or ``%%duet [options]`` with a side per line.

They are called in alternation, on copies of the same inputs, and their results are checked against float64. Names that
stand for tensors, arrays, modules and containers are the inputs. ``name: f(x)`` names a side. A bitwise or needs
parentheses: ``(a | b) | f(a, b)``. In a cell, lines of ``---`` separate sides of several statements, ``--- name`` names
the one below, and what stands below ``--- setup`` is run once and not timed; nor are definitions and imports.

Options:
""" + "\n".join(f"  -{o.letter} {o.value:<10}  {o.words.replace('`', '').replace('*', '')}" for o in OPTIONS)


@dataclass(frozen=True)
class Given:
    """The options of a call.

    Attributes:
        rest: of the line, behind the options.
        arguments: keywords of ``compare``.
        returned: return the comparison as well.
        quiet: return it and show nothing.
    """

    rest: str
    arguments: Mapping[str, Any] = field(default_factory=dict)
    returned: bool = False
    quiet: bool = False


def parse(line: str, values: Mapping[str, Any]) -> Given:
    """Read the options at the beginning of a line; ``--`` ends them.

    Args:
        values: names that a value of ``-k`` may use.

    Raises:
        OptionsError: there is no such option, or its value is missing or cannot be read.
    """
    by_letter = {option.letter: option for option in OPTIONS}
    arguments: dict[str, Any] = {}
    switches: set[str] = set()
    rest = line.strip()
    while (found := re.match(r"-([A-Za-z])(?=\s|$|[\w.])", rest)) or rest.startswith("--"):
        if found is None:
            if not re.match(r"--(\s|$)", rest):
                raise OptionsError(f"there is no option {rest.split()[0]}; there are {_all()}")
            return Given(rest[2:].strip(), arguments, "o" in switches, "q" in switches)
        option = by_letter.get(found[1])
        if option is None:
            raise OptionsError(
                f"there is no option -{found[1]}; there are {_all()}; an expression that begins with a minus follows --"
            )
        rest = rest[2:]
        if not option.value:
            switches.add(option.letter)
            rest = f"-{rest}" if rest[:1].strip() else rest.lstrip()
            continue
        text, rest = _value(option, rest.lstrip())
        keyword, value = (option.keyword, _read(option, text)) if option.keyword else _assignment(text, values)
        arguments[keyword] = value
    return Given(rest, arguments, "o" in switches, "q" in switches)


def _value(option: Option, rest: str) -> tuple[str, str]:
    """An option's value, which may stand in quotes, and the text behind it."""
    found = re.match(r"(?:\"([^\"]*)\"|'([^']*)'|(\S+))\s*", rest)
    if found is None:
        raise OptionsError(f"-{option.letter} needs a value: -{option.letter} {option.value}")
    return next(text for text in found.groups() if text is not None), rest[found.end() :]


def _read(option: Option, text: str) -> Any:
    try:
        return option.read(text)
    except ValueError:
        raise OptionsError(f"-{option.letter} {text}: use a whole number") from None


def _assignment(text: str, values: Mapping[str, Any]) -> tuple[str, Any]:
    keyword, equals, expression = text.partition("=")
    if not equals or not keyword.isidentifier():
        raise OptionsError(f"-k {text}: write -k keyword=value, without blanks or in quotes")
    try:
        return keyword, eval(expression, dict(values))
    except Exception as error:
        raise OptionsError(f"-k {text}: {type(error).__name__}: {error}") from error


def _all() -> str:
    return ", ".join(f"-{option.letter}" for option in OPTIONS)
