"""Globs over case ids as reports print them: what they match, and an error that names the nearest ids."""

from __future__ import annotations

import difflib
import fnmatch
import re
from collections.abc import Collection, Sequence
from itertools import pairwise

from torchduet.bench.cases.option_values import OptionError

MAX_NEAREST = 3
MAX_COMPARED = 500  # letters of a glob
MAX_WORDS, MAX_NESTED = 1000, 50  # of an expression: pytest reads it by recursion
OPERATORS = ("and", "or", "not", "(", ")")


def matches(glob: str, case: str) -> bool:
    """Whether a glob matches a case's id, with its letters as they are. Brackets are literal, as in ids."""
    return fnmatch.fnmatchcase(case, glob.replace("[", "[[]"))


def check(option: str, glob: str, cases: Collection[str], elsewhere: str = "") -> None:
    """Check that a glob matches one of the selected cases, by their ids.

    Args:
        elsewhere: where a case is that the glob matches, if it is not among these: ``it is in --tier full``.

    Raises:
        OptionError: it matches none.
    """
    if any(matches(glob, case) for case in cases):
        return
    if elsewhere:
        hint = elsewhere
    elif cases:
        hint = f"the nearest are {', '.join(map(repr, nearest(glob, cases)))}"
    else:
        hint = "the other options select no case"
    raise OptionError(f"{option} {glob!r}: no selected case matches; {hint}")


def nearest(glob: str, cases: Collection[str]) -> list[str]:
    """The ids that are most like a glob, the most similar first."""
    return difflib.get_close_matches(glob.strip("*")[:MAX_COMPARED], list(cases), n=MAX_NEAREST, cutoff=0.0)


def check_globs(globs: Sequence[str] | None) -> tuple[str, ...]:
    """The values of ``--case``.

    Raises:
        OptionError: one is empty.
    """
    if any(not glob.strip() for glob in globs or ()):
        raise OptionError("--case '': name cases by their ids, e.g. --case 'matmul.square[n=64]*'")
    return tuple(dict.fromkeys(glob.strip() for glob in globs or ()))


def check_keywords(expression: str) -> None:
    """Check that ``-k`` was not given a case's id, which pytest cannot read as an expression.

    Raises:
        OptionError: there is an equals sign, two words without an operator between them, or more than can be read.
    """
    tokens = re.findall(r"[()]|[^\s()]+", expression)
    if len(tokens) > MAX_WORDS or sum(token in ("not", "(") for token in tokens) > MAX_NESTED:
        raise OptionError(
            f"-k: is longer than {MAX_WORDS} words, or nested more than {MAX_NESTED} times; name cases with --case"
        )
    operands = [token not in OPERATORS for token in tokens]
    adjacent = any(first and second for first, second in pairwise(operands))
    if adjacent or "=" in expression:
        raise OptionError(
            f"-k {expression!r}: takes words joined by and, or, not; for ids as reports print them use "
            f"--case {expression!r}"
        )
