"""The claims and their verdicts as a Markdown table, for notes and the terminal."""

from __future__ import annotations

import re
from collections.abc import Sequence

from reports.claim_words import VERDICTS, effect, naive
from reports.claims import Judgement
from reports.load import Run

HEAD = ("Claim", "Source and its figure", "Verdict", "Effect (99 % interval)", "One call, first call included")


def claims_table(run: Run, judgements: Sequence[Judgement]) -> str:
    """A line on the machine, then a row per claim."""
    machine = run.about["machine"]
    facts = [str(machine[key]) for key in ("gpu", "cpu") if machine.get(key)] + [f"torch {machine.get('torch', '?')}"]
    lines = [
        f"Claims, judged by {cell(run.name)} ({cell(', '.join(facts))})",
        "",
        "| " + " | ".join(HEAD) + " |",
        "|" + " --- |" * len(HEAD),
    ]
    for one in judgements:
        row = (
            one.claim.statement,
            "; ".join(filter(None, (one.claim.source, one.claim.figure))),
            verdict(one),
            effect(one),
            naive(one.findings),
        )
        lines.append("| " + " | ".join(cell(text) for text in row) + " |")
    return "\n".join(lines) + "\n"


def verdict(one: Judgement) -> str:
    """The verdict, and what is missing to a whole one."""
    if one.verdict == "unmeasured":
        return f"{VERDICTS[one.verdict]}: needs {'; and '.join(one.missing)}"
    rest = f"; {one.unmeasured} of {len(one.claim.comparisons)} comparisons not measured" if one.unmeasured else ""
    return f"**{VERDICTS[one.verdict]}**{rest}"


def cell(text: str) -> str:
    """Text that cannot end its cell, start HTML or steer a terminal."""
    text = re.sub(r"[\x00-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\s]+", " ", text).strip()
    return text.replace("\\", "\\\\").replace("|", "\\|").replace("<", "&lt;")
