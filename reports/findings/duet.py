"""Answers for the page whether B is faster than A, from a run of two sides."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from markupsafe import Markup

from torchduet.bench.record.duets.gate import judged, memory_of
from torchduet.bench.record.duets.knob import knob
from torchduet.bench.record.duets.words import controls, headline, memory_lines, ordered, stages
from torchduet.bench.record.schema import DuetRecord, Record, SideRecord
from torchduet.reports.charts.forest import forest
from torchduet.reports.charts.model import MAX_ROWS, Bar, Chart
from torchduet.reports.read.run_file import Run
from torchduet.reports.tables.frames import anchor
from torchduet.reports.tables.visits import priors_of
from torchduet.reports.text import units


def section(run: Run) -> dict[str, Any] | None:
    """The headline, both sides, a row per case and its chart; None for a run of one side."""
    duet = run.about.get("against")
    if duet is None:
        return None
    anchors = {record["case"]["id"]: anchor(index) for index, record in enumerate(run.records)}
    rows = ordered(run.records)
    name = knob(duet)
    new = "it" if of_revision(duet) else "B"
    return {
        "headline": headline(duet, run.records),
        "stages": stages(duet, run.records),
        "spread": spread(run),
        "staged": any("pair_ratios" not in record["against"] for record in rows),
        "sides": [("A", duet["base"], facts(duet["base"])), ("B", duet["against"], facts(duet["against"]))],
        "rows": [(anchors[record["case"]["id"]], record, record["against"]) for record in rows],
        "chart": chart(rows, duet["threshold"]) if rows else None,
        "standing": knob_standing(judged(rows) or rows) if name else standing(judged(rows) or rows, new),
        "question": question(duet, name),
        "knob": name,
        "memory": memory(rows),
        "controls": [*memory_lines(rows), *controls(rows)],
        "tally": {
            verdict: sum(record["against"]["verdict"] == verdict for record in rows)
            for verdict in ("slower", "faster", "same", "unclear")
        },
    }


def of_revision(duet: DuetRecord) -> bool:
    """Whether the files as they are are held against a git revision."""
    return duet["base"].get("rev") is not None and duet["against"].get("rev") is None


def memory(records: Sequence[Record]) -> dict[str, str]:
    """Case → its peak memory on both sides, where any is known; marked with a word where it has changed."""
    found = {}
    for record in records:
        against = record["against"]
        if (change := memory_of(against)) is not None:
            base, new = (units.size(against[key]) for key in ("base_peak_bytes", "peak_bytes"))
            found[record["case"]["id"]] = new if change == "same" else f"{base} → {new}, {change}"
    return found


def spread(run: Run) -> str:
    """How much the pairs of one case differ, and where that was taken from; empty for a file that does not say."""
    prior = priors_of(run).get("sides")
    if prior is None or prior.source == "typical":
        return ""
    families = f"{prior.families} famil{'y' if prior.families == 1 else 'ies'}"
    source = f"{families} of this run" if prior.source == "run" else f"earlier duets on this machine ({families})"
    return (
        f"Pairs of the same case differ by {units.percent(prior.deviation)} (standard deviation, beyond what differs "
        f"within a pair), as {source} show."
    )


def chart(records: Sequence[Record], threshold: float) -> Chart:
    """B's speed-up over A, a row per case; only the first rows if there are too many."""
    drawn = sorted(records[:MAX_ROWS], key=lambda record: record["case"]["suite"])
    bars = [
        Bar(
            record["case"]["suite"],
            record["case"]["id"].removeprefix(f"{record['case']['suite']}."),
            record["against"]["ratio"],
            record["against"]["low"],
            record["against"]["high"],
            record["against"]["verdict"],
        )
        for record in drawn
    ]
    ratios = sorted(record["against"]["ratio"] for record in records)
    rest = len(records) - len(drawn)
    return Chart(
        svg=Markup(forest(bars, threshold, "duet")),
        narrow=Markup(forest(bars, threshold, "duet-n", narrow=True)),
        title="B’s speed-up over A",
        alternative=f"Forest plot of {units.plural(len(bars), 'speed-up')} of B over A, "
        f"from {units.ratio(ratios[0])} to {units.ratio(ratios[-1])}.",
        note=f"{rest} more, the least conclusive, {'is' if rest == 1 else 'are'} in the table below." if rest else "",
    )


def standing(records: Sequence[Record], new: str) -> tuple[str, str]:
    """The tone and the words of the answer.

    Args:
        new: side B, in a word.
    """
    verdicts = {record["against"]["verdict"] for record in records}
    if {"slower", "faster"} <= verdicts:
        return "depends", "It depends"
    if "slower" in verdicts:
        return "no", f"{new[0].upper()}{new[1:]} is slower"
    if "faster" in verdicts:
        return "yes", f"{new[0].upper()}{new[1:]} is faster"
    return ("same", "No difference") if verdicts == {"same"} else ("unclear", "No difference found")


def knob_standing(records: Sequence[Record]) -> tuple[str, str]:
    """The same for side A, which alone has a variable or a setting: where B is slower, that is worth it."""
    tone, _ = standing(records, "B")
    answers = {"no": ("yes", "Worth it"), "yes": ("no", "Not worth it: slower"), "same": ("same", "No difference")}
    return answers.get(tone, standing(records, "B"))


def question(duet: DuetRecord, name: str) -> str:
    """The question that the page answers first."""
    if of_revision(duet):
        return "Is your change slower?"
    return f"Is it faster with {name}?" if name else "Is B faster than A?"


def facts(side: SideRecord) -> str:
    """A side in one line."""
    parts = [f"torch {side['torch']}", f"Python {side['python_version']}", side["python"]]
    parts += [f"{name}={value}" for name, value in {**side["env"], **side.get("settings", {})}.items()]
    if side["rev"]:
        parts.append(f"files as of {side['rev']}")
    elif commit := side.get("commit"):
        number = side.get("uncommitted", 0)
        changed = f" with {units.plural(number, 'changed file')}" if number else ""
        parts.append(f"files as they are, at {commit[:7]}{changed}")
    if modules := side.get("imported"):
        parts.append("imports " + ", ".join(f"{name} from {file}" for name, file in modules.items()))
    return " · ".join(parts)
