"""Which cases decide what tutorials claim: the selection of ``pytest bench/ -m claims``."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable

from torchduet.bench.cases.case import Case
from torchduet.bench.record.knobs import NAMES, PLAIN
from torchduet.suites.claim import Comparison, Variant
from torchduet.suites.claims import CLAIMS, deciding
from torchduet.suites.workload import cores


def wanted(marks: str) -> bool:
    """Whether a ``-m`` expression asks for the claims, so that they are collected at any tier."""
    return re.search(r"(?<!not )\bclaims\b", marks) is not None


def variant(case: Case) -> Variant:
    """The case as claims are matched against it."""
    return Variant(
        suite=case.suite,
        workload=case.workload,
        size=dict(case.size),
        settings={name: case.setting(name) for name in NAMES},
        plain=PLAIN,
    )


def decides(case: Case) -> bool:
    """Whether some claim rests on the case."""
    return bool(deciding(variant(case)))


def needed(everything: Iterable[Case], within_tier: Collection[Case]) -> set[Case]:
    """The cases of one suite that claims need: both sides of every comparison that can be made here.

    Args:
        everything: the cases of all tiers that this machine can run.
        within_tier: those of them that are chosen where a claim does not state its sizes.
    """
    by_workload: dict[tuple[str, str], list[tuple[Case, Variant]]] = {}
    for case in everything:
        by_workload.setdefault((case.suite, case.workload), []).append((case, variant(case)))
    found: set[Case] = set()
    for comparison in (one for claim in CLAIMS for one in claim.comparisons):
        here = by_workload.get((comparison.suite, comparison.workload), [])
        pairs = _pairs(comparison, here)
        if not comparison.size:
            near = [pair for pair in pairs if pair[0] in within_tier and pair[1] in within_tier]
            # Of a comparison that has no size in the tier, the smallest on each device.
            pairs = near or list({(one.device, other.device): (one, other) for one, other in reversed(pairs)}.values())
        found.update(case for pair in pairs for case in pair)
    return found


def _pairs(comparison: Comparison, cases: Iterable[tuple[Case, Variant]]) -> list[tuple[Case, Case]]:
    sides: dict[str, list[tuple[Case, Variant]]] = {"case": [], "baseline": [], "": []}
    for case, its_variant in cases:
        sides[comparison.side(its_variant, cores())].append((case, its_variant))
    return [
        (case, baseline)
        for case, one in sides["case"]
        for baseline, other in sides["baseline"]
        if comparison.pairs(one, other)
    ]
