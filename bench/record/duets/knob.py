"""The answer of a duet whose side A differs from B in variables or settings alone: what these bring. No torch."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from statistics import median

from torchduet.bench.record.duets.gate import judged
from torchduet.bench.record.schema import DuetRecord, Record, SideRecord, Verdict
from torchduet.bench.record.units import factor
from torchduet.bench.record.words.counting import plural

MOVED: tuple[Verdict, ...] = ("slower", "faster")  # of B, which is without the knob
STILL: tuple[tuple[Verdict, str], ...] = (("same", "the same"), ("unclear", "unclear"))


def knob(duet: DuetRecord) -> str:
    """``GLIBC_TUNABLES=glibc.malloc.hugetlb=1``: what side A alone has; empty where the sides differ otherwise."""
    base, against = duet["base"], duet["against"]
    same = all(base.get(key) == against.get(key) for key in ("python", "torch", "rev"))
    return "" if not same or _own(against) else " ".join(_own(base))


def _own(side: SideRecord) -> list[str]:
    return [f"{name}={value}" for name, value in {**side.get("env", {}), **side.get("settings", {})}.items()]


def knob_headline(name: str, records: Sequence[Record]) -> str:
    """The answer in a sentence, without a full stop.

    ``With OMP_NUM_THREADS=1: 1.03× to 1.31× as fast in 3 of 5 cases (median 1.07×); 1 is the same, 1 is unclear``

    Args:
        name: see :func:`knob`.
        records: those that both sides measured; controls do not count.
    """
    counted = judged(records) or list(records)
    total = len(counted)
    numbers = Counter(record["against"]["verdict"] for record in counted)
    parts = []
    for verdict in MOVED:
        ratios = sorted(1 / record["against"]["ratio"] for record in counted if record["against"]["verdict"] == verdict)
        if ratios:
            span = factor(ratios[0]) if len(ratios) == 1 else f"{factor(ratios[0])} to {factor(ratios[-1])}"
            middle = f" (median {factor(median(ratios))})" if len(ratios) > 2 else ""
            parts.append(f"{span} as fast in {len(ratios)} of {plural(total, 'case')}{middle}")
    which = "the one case" if total == 1 else f"any of {total} cases"
    if not parts and numbers["unclear"] == total:
        parts = [f"not known yet whether {which} is faster or slower"]
    elif not parts:
        parts = [f"neither faster nor slower in {which}"]
    rest = [
        f"{numbers[verdict]} {'is' if numbers[verdict] == 1 else 'are'} {words}"
        for verdict, words in STILL
        if numbers[verdict]
    ]
    return f"With {name}: " + "; ".join(filter(None, (", ".join(parts), ", ".join(rest))))
