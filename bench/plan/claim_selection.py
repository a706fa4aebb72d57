"""The cases that decide the tutorials' claims: the selection of ``pytest bench/ -m claims``."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable

from torchduet.bench.cases.case import Case
from torchduet.bench.cases.option_values import OptionError
from torchduet.bench.record.knobs import NAMES, PLAIN
from torchduet.suites.claim import Comparison, Variant
from torchduet.suites.claims import CLAIMS, deciding
from torchduet.suites.workload import cores

MAX_LETTERS = 500  # of a -m expression


def wanted(marks: str) -> bool:
    """Whether a ``-m`` expression selects the claims, so that they are collected at any tier.

    Raises:
        OptionError: it is longer than any expression over marks that means something.
    """
    if len(marks) > MAX_LETTERS:
        raise OptionError(f"-m: has {len(marks)} letters; use an expression over marks, such as -m claims")
    return re.search(r"(?<!not )\bclaims\b", marks) is not None


def variant(case: Case) -> Variant:
    """The case in the form that claims are matched with."""
    return Variant(
        suite=case.suite,
        workload=case.workload,
        size=dict(case.size),
        settings={name: case.setting(name) for name in NAMES},
        plain=PLAIN,
    )


def decides(case: Case) -> bool:
    """Whether any claim is decided by the case."""
    return bool(deciding(variant(case)))


def needed(everything: Iterable[Case], within_tier: Collection[Case]) -> set[Case]:
    """The cases of one suite that claims need: both sides of every comparison that this machine can measure.

    Args:
        everything: the cases of all tiers that this machine can run.
        within_tier: the cases to use where a claim does not state its sizes.
    """
    by_workload: dict[tuple[str, str], list[tuple[Case, Variant]]] = {}
    for case in everything:
        by_workload.setdefault((case.suite, case.workload), []).append((case, variant(case)))
    needed: set[Case] = set()
    for comparison in (comparison for claim in CLAIMS for comparison in claim.comparisons):
        pairs = _pairs(comparison, by_workload.get((comparison.suite, comparison.workload), []))
        if not comparison.size:
            of_tier = [pair for pair in pairs if pair[0] in within_tier and pair[1] in within_tier]
            # A comparison without a size in the tier uses the smallest size on each device.
            smallest = {(case.device, baseline.device): (case, baseline) for case, baseline in reversed(pairs)}
            pairs = of_tier or list(smallest.values())
        needed.update(case for pair in pairs for case in pair)
    return needed


def _pairs(comparison: Comparison, cases: Iterable[tuple[Case, Variant]]) -> list[tuple[Case, Case]]:
    sides: dict[str, list[tuple[Case, Variant]]] = {"case": [], "baseline": [], "": []}
    for case, case_variant in cases:
        sides[comparison.side(case_variant, cores())].append((case, case_variant))
    return [
        (case, baseline)
        for case, case_variant in sides["case"]
        for baseline, baseline_variant in sides["baseline"]
        if comparison.pairs(case_variant, baseline_variant)
    ]
