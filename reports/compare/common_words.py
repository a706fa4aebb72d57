"""Says in words that a whole run took longer or less by one factor, what shows the cause, and what follows."""

from __future__ import annotations

import math

from torchduet.reports.compare.common_factor import CommonFactor
from torchduet.reports.compare.comparison import Comparison
from torchduet.reports.shifts.movement import longer
from torchduet.reports.text import units

MAX_DIFFERING = 4


def short_words(common: CommonFactor) -> str:
    """``everything took 9.81 times as long``, for a headline."""
    subject = f"all {common.cases} cases" if common.few else "everything"
    factor = units.digits(math.exp(abs(common.shift)))
    if common.slower:
        return f"{subject} took {factor} times as long"
    return f"{subject} {'were' if common.few else 'was'} {factor} times as fast"


def sentence(comparison: Comparison) -> str:
    """The common factor with its range, its cause as far as it is known, and what follows; empty without one."""
    common = comparison.common
    if common is None:
        return ""
    words = short_words(common)
    ends = sorted((math.exp(abs(common.low)), math.exp(abs(common.high))))
    share = f"{common.cases}" if common.few else f"nine in ten of {common.cases} cases"
    spread = f" ({share}: {units.digits(ends[0])} to {units.digits(ends[1])})"
    return f"{words[0].upper()}{words[1:]}{spread}{_cause(common)}{_differing(common)}; {_consequence(comparison)}."


def _cause(common: CommonFactor) -> str:
    if common.by_machine:
        assert common.pilots is not None
        return f", and the pilots took {longer(common.pilots)}: the machine or its clock, not the code"
    if common.by_build:
        assert common.pilots is not None
        return (
            f", and the pilots only {longer(common.pilots)}: not the machine, but what all cases share, such as the "
            "build, the version or the settings of PyTorch"
        )
    code = ", or the code that they share" if common.few else ""
    return f": machine, build or clock{code}"


def _differing(common: CommonFactor) -> str:
    if not common.differing:
        return "; the files record the same machine, versions and settings"
    more = len(common.differing) - MAX_DIFFERING
    rest = f" and {more} more" if more > 0 else ""
    return f"; they differ in {', '.join(common.differing[:MAX_DIFFERING])}{rest}"


def _consequence(comparison: Comparison) -> str:
    common = comparison.common
    assert common is not None
    moved = len(comparison.of("slower")) + len(comparison.of("faster"))
    if not moved:
        return "nothing can be said of single cases"
    if common.by_build or moved > comparison.judged / 2:
        return "the verdicts on single cases contain this factor"
    return f"{moved} case{'s' * (moved != 1)} changed by clearly more or less than that"
