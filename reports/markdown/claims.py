"""The claims and their verdicts as a Markdown table, for notes and the terminal."""

from __future__ import annotations

from collections.abc import Sequence

from torchduet.reports.findings.claim_words import VERDICTS, effect, naive
from torchduet.reports.findings.claims import Judgement
from torchduet.reports.read.run_file import Run
from torchduet.reports.text.escaping import cell, inline

HEAD = ("Claim", "Source and its figure", "Verdict", "Effect (99 % interval)", "One call, first call included")


def claims_table(run: Run, judgements: Sequence[Judgement]) -> str:
    """A line on the machine, then a table with a row per claim."""
    machine = run.about["machine"]
    facts = [str(machine[key]) for key in ("gpu", "accelerator", "cpu") if machine.get(key)]
    facts.append(f"torch {machine.get('torch', '?')}")
    lines = [
        f"Claims, judged by {inline(run.name)} ({inline(', '.join(facts))})",
        "",
        "| " + " | ".join(HEAD) + " |",
        "|" + " --- |" * len(HEAD),
    ]
    for judgement in judgements:
        row = (
            cell(judgement.claim.statement),
            cell("; ".join(filter(None, (judgement.claim.source, judgement.claim.figure)))),
            verdict(judgement),
            cell(effect(judgement)),
            cell(naive(judgement.findings)),
        )
        lines.append(f"| {' | '.join(row)} |")
    return "\n".join(lines) + "\n"


def verdict(judgement: Judgement) -> str:
    """The verdict, and what prevents one or leaves it incomplete, as a cell of the table."""
    words, unmeasured = VERDICTS[judgement.verdict], judgement.unmeasured
    if judgement.verdict == "unmeasured":
        return cell(f"{words}: {'; and '.join(judgement.missing)}")
    rest = f"; {unmeasured} of {len(judgement.claim.comparisons)} comparisons not measured" if unmeasured else ""
    return f"**{cell(words)}**{cell(rest)}"
