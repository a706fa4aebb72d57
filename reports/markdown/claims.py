"""The claims and their verdicts as a Markdown table, for notes and the terminal."""

from __future__ import annotations

from collections.abc import Sequence

from torchduet.reports.findings.claim_words import VERDICTS, effect, naive
from torchduet.reports.findings.claims import Judgement
from torchduet.reports.read.run_file import Run
from torchduet.reports.text.escaping import cell

HEAD = ("Claim", "Source and its figure", "Verdict", "Effect (99 % interval)", "One call, first call included")


def claims_table(run: Run, judgements: Sequence[Judgement]) -> str:
    """A line on the machine, then a row per claim."""
    machine = run.about["machine"]
    facts = [str(machine[key]) for key in ("gpu", "accelerator", "cpu") if machine.get(key)]
    facts.append(f"torch {machine.get('torch', '?')}")
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
