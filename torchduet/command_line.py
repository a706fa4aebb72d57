"""What holds for every command line: a value that is given is not empty, and a mistake is one line.

An empty value is mostly a variable that is not set, in a script or in CI. Options for which it has a meaning are listed
here; there is none so far.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterable, Mapping
from pathlib import PurePath
from typing import Any, NoReturn

from torchduet.bench.files.streams import note

EMPTY = "is empty; give a value, or leave it out"
MAY_BE_EMPTY: frozenset[str] = frozenset()  # options, as they are written
OURS = "TORCHDUET_"  # how our environment variables begin
# Set by our own processes for each other. Variables of others keep their meaning: an empty XDG_CACHE_HOME is none.
VARIABLES_THAT_MAY_BE_EMPTY = frozenset({"TORCHDUET_AGAINST"})
USAGE = 2
MAX_LETTERS = 600  # of an error


def is_blank(value: object) -> bool:
    """Whether a value, or one of several, has no character but blanks."""
    if isinstance(value, list | tuple):
        return any(map(is_blank, value))
    return isinstance(value, str | PurePath) and not str(value).strip()


def blank_option(given: Iterable[tuple[str, object]]) -> str | None:
    """What is wrong with the first option whose value is blank; None if none is.

    Args:
        given: an option as it is written, and its value.
    """
    for name, value in given:
        if name not in MAY_BE_EMPTY and is_blank(value):
            return f"{name}: {EMPTY}"
    return None


def blank_variable(environment: Mapping[str, str] = os.environ) -> str | None:
    """What is wrong with the first of our environment variables that is set and blank; None if none is."""
    for name, value in environment.items():
        if name.startswith(OURS) and name not in VARIABLES_THAT_MAY_BE_EMPTY and not value.strip():
            return f"environment variable {name}: is empty; give it a value, or unset it"
    return None


class Parser(argparse.ArgumentParser):
    """A parser that takes no blank value, and whose errors are one line. Its subcommands are parsed in the same way."""

    def _get_values(self, action: argparse.Action, arg_strings: list[str]) -> Any:
        """Every value passes through here as it was typed, before its type is applied."""
        passed_on = action.nargs in (argparse.PARSER, argparse.REMAINDER)  # their reader checks them
        if not passed_on and is_blank(arg_strings) and not MAY_BE_EMPTY.intersection(action.option_strings):
            raise argparse.ArgumentError(action, EMPTY)
        return super()._get_values(action, arg_strings)

    def error(self, message: str) -> NoReturn:
        """End with exit code 2 and one line."""
        shown = _line(message)
        if len(shown) > MAX_LETTERS:
            shown = f"{shown[: MAX_LETTERS // 2]} … {shown[-MAX_LETTERS // 2 :]}"
        note(f"error: {shown} ({self.prog} --help lists what it takes)")
        sys.exit(USAGE)


def _line(text: str) -> str:
    """One line without control characters."""
    return "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in " ".join(text.split()))
