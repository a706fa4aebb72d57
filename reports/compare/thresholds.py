"""Reads how much a case must change to matter: ``--threshold``, and globs over case ids in ``pyproject.toml``."""

from __future__ import annotations

import fnmatch
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from torchduet.bench.record.schema_check import shown
from torchduet.reports.read.pyproject import PyprojectError, table_of

DEFAULT = 0.05
MAX_LETTERS = 40  # of a threshold
TABLE = "tool.torchduet.compare.thresholds"
EXPECTED = "expected a share of the time such as 3% or 0.03, from 0 to below 100 %"


class ThresholdError(PyprojectError):
    """A threshold that cannot be used; the message is one line: where it is set, what was expected."""


@dataclass(frozen=True)
class Thresholds:
    """The threshold of every case: of the last glob that matches its id, else the default.

    Attributes:
        globs: (pattern, share of the time) in the order of the file.
    """

    default: float = DEFAULT
    globs: tuple[tuple[str, float], ...] = ()

    def of(self, case: str) -> float:
        """The threshold of a case by its id. ``*`` and ``?`` are wildcards; brackets are literal, as in ids."""
        threshold = self.default
        for pattern, value in self.globs:
            if fnmatch.fnmatchcase(case, pattern.replace("[", "[[]")):
                threshold = value
        return threshold


def fraction(value: object) -> float:
    """``3%``, ``"3 %"``, ``"0.03"`` or ``0.03`` as 0.03.

    Raises:
        ValueError: it is none of these, or not from 0 to below 1; the message says what was expected.
    """
    number: float = math.nan
    if isinstance(value, str) and len(value) <= MAX_LETTERS:
        match = re.fullmatch(r"\s*([0-9]*\.?[0-9]+(?:e-?[0-9]+)?)\s*(%?)\s*", value)
        number = float(match[1]) / (100 if match[2] else 1) if match else math.nan
    elif isinstance(value, int | float) and not isinstance(value, bool):
        number = value  # a whole number of hundreds of digits is no float
    if not 0 <= number < 1:
        raise ValueError(f"{EXPECTED}, got {shown(value) if not isinstance(value, Mapping) else 'a table'}")
    return float(number)


def globs_of(path: Path) -> tuple[tuple[str, float], ...]:
    """The thresholds by glob in a ``pyproject.toml``; none where it has no such table.

    Raises:
        PyprojectError: the file is no TOML, or a key or value in the table is wrong.
    """
    above = table_of(path, TABLE.rpartition(".")[0])
    if unknown := sorted(set(above) - {"thresholds"}):
        raise ThresholdError(f"{path}: {TABLE.rpartition('.')[0]}.{unknown[0]}: is not known; there is only {TABLE}")
    content = table_of(path, TABLE)
    globs = []
    for pattern, value in content.items():
        if not pattern.strip():
            raise ThresholdError(f'{path}: {TABLE}."{pattern}": is empty; write a glob over case ids, such as "* bf16"')
        try:
            globs.append((pattern, fraction(value)))
        except ValueError as error:
            raise ThresholdError(f'{path}: {TABLE}."{pattern}": {error}') from None
    return tuple(globs)
