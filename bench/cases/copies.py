"""Copies of cases with a known result: an identical A/A copy of each, and copies slowed down by a known factor."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from torchduet.bench.cases.case import Case, Family

SLOWDOWNS = (1.02, 1.03, 1.05, 1.10)


def with_copies(family: Family, slowdowns: Sequence[float] = SLOWDOWNS) -> Family:
    """The family with copies of each reported case.

    The A/A copy is compiled, checked and timed like any other case. The slowed copies make the calls of the case itself
    with extra work in each block (:mod:`torchduet.bench.timing.slowed`).
    """
    copies = [copy for case in family.reported for copy in copies_of(case, slowdowns)]
    return Family(cases=(*family.cases, *copies), reported=family.reported)


def copies_of(case: Case, slowdowns: Sequence[float]) -> Iterator[Case]:
    """The A/A copy, then the slowed copies."""
    for factor in (1.0, *slowdowns):
        yield replace(case, copy_number=1, slowdown=factor)
