"""How far repeated runs agree, in words: the same in the terminal and in the report. No torch."""

from __future__ import annotations

from torchduet.bench.record.schema import AgreementRecord, ShareRecord


def disjoint(figures: AgreementRecord) -> str:
    """``of 198 pairs of runs' intervals 1 did not overlap (0.5 %, 0.0 to 2.8 %)``."""
    share = figures["disjoint"]
    return f"of {_pairs(share)} of runs' intervals {share['count'] or 'none'} did not overlap ({bounded(share)})"


def contradictions(figures: AgreementRecord) -> str:
    """``of 330 pairs of verdicts none contradicted each other, faster and slower (0.0 %, 0.0 to 1.1 %)``."""
    share = figures["contradictions"]
    return (
        f"of {_pairs(share)} of verdicts {share['count'] or 'none'} contradicted each other, faster and slower "
        f"({bounded(share)})"
    )


def held(figures: AgreementRecord) -> str:
    """``163 of 165 intervals held the median of the other runs' estimates (98.8 %, 95.7 to 99.9 %)``."""
    share = figures["held"]
    return f"{counted(share)} intervals held the median of the other runs' estimates ({bounded(share)})"


def apart(figures: AgreementRecord) -> str:
    """``two runs' speed-ups were 1.4 % apart in the median, 4.1 % at the eighth decile``; empty if nothing is known."""
    if figures["apart"] is None or figures["apart_eighth"] is None:
        return ""
    return (
        f"two runs' speed-ups were {percent(figures['apart'])} apart in the median, {percent(figures['apart_eighth'])} "
        "at the eighth decile"
    )


def half_width(figures: AgreementRecord) -> str:
    """``half an interval was ±2.0 % in the median``."""
    width = figures["half_width"]
    if width is None:
        return "more than half of them had no interval"
    return f"half an interval was {half(width)} in the median"


def half(width: float | None) -> str:
    """``±2.0 %``; empty without a width."""
    return "" if width is None else f"±{percent(width)}"


def counted(share: ShareRecord) -> str:
    """``1 of 198``; empty without trials."""
    return f"{share['count']} of {share['trials']:,}" if share["trials"] else ""


def bounded(share: ShareRecord) -> str:
    """``0.5 %, 0.0 to 2.8 %``."""
    part = share["count"] / share["trials"] if share["trials"] else 0.0
    return f"{percent(part)}, {100 * share['low']:.1f} to {percent(share['high'])}"


def percent(part: float) -> str:
    """``0.5 %``."""
    return f"{100 * part:.1f} %"


def _pairs(share: ShareRecord) -> str:
    return f"{share['trials']:,} pair{'' if share['trials'] == 1 else 's'}"
