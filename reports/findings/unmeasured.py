"""What a run did not measure, grouped by reason, and what it warns of."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from torchduet.bench.record.knobs import code
from torchduet.bench.record.schema import NotMeasured
from torchduet.bench.record.words.counting import plural
from torchduet.bench.record.words.overrun import overrun
from torchduet.bench.record.words.reasons import grouped
from torchduet.reports.findings.merged import in_parts
from torchduet.reports.read.run_file import Run
from torchduet.reports.tables.removed_work import removed_work

ENDED = "the run ended before their turn"


@dataclass(frozen=True)
class Reason:
    """Why some cases were not measured, and which."""

    words: str
    cases: tuple[str, ...]


@dataclass(frozen=True)
class UnmeasuredGroup:
    """The cases of one status that were not measured, by reason; ``anchor`` is the group's id in the page."""

    anchor: str
    title: str
    status: str  # "failed": follows the number of cases in a sentence
    reasons: tuple[Reason, ...]

    @property
    def number(self) -> int:
        """How many cases."""
        return sum(len(reason.cases) for reason in self.reasons)


def unmeasured(run: Run) -> list[UnmeasuredGroup]:
    """The cases that failed, were skipped or were not reached; groups without a case are left out."""
    about = run.about
    unreached = tuple(about.get("unreached", []))
    groups = [
        UnmeasuredGroup("gaps-failed", "Failed", "failed", _by_reason(about["failed"])),
        UnmeasuredGroup("gaps-skipped", "Skipped", "skipped", _by_reason(about["skipped"])),
        UnmeasuredGroup(
            "gaps-unreached", "Not reached", "not reached", (Reason(ENDED, unreached),) if unreached else ()
        ),
    ]
    return [group for group in groups if group.number]


def warnings(run: Run) -> list[str]:
    """The run's warnings, its resumptions, and how many other benchmarks the file holds."""
    others = run.other_benchmarks
    are = "are" if others != 1 else "is"
    others_warning = (
        [f"{plural(others, 'other benchmark')} in the file {are} not Torchduet’s and left out here."] if others else []
    )
    one = "One of the merged runs" if len(run.about.get("parts", [])) > 1 else "This run"
    resumptions = [
        f"{one} was cut short after {resumed['at']:.0f} s and {resumed['families']} "
        f"famil{'y' if resumed['families'] == 1 else 'ies'}, and resumed {resumed['started']}: the rest was measured "
        "then."
        for resumed in run.about.get("resumed", [])
    ]
    return [*run.about["warnings"], *removed_work(run).values(), *resumptions, *others_warning]


def ended_early(run: Run) -> str:
    """That the run ended early, and how many cases were measured; empty for a complete run."""
    unreached = len(run.about.get("unreached", []))
    if not unreached:
        return ""
    measured = len(run.records)
    selected = measured + sum(group.number for group in unmeasured(run))
    were = "was" if measured == 1 else "were"
    why = run.about.get("stopped")
    return f"This run ended early: {measured} of {selected} cases {were} measured" + (f" ({why})" if why else "")


def over_budget(run: Run) -> str | None:
    """That the run took much longer than its budget, and what took the time; None where it did not.

    Runs of several parts, processes or interpreters have no single budget to hold their seconds against.
    """
    about, budget = run.about, run.about["options"].get("budget_seconds")
    several = about.get("parts") or about.get("resumed") or "against" in about
    if several or not isinstance(budget, int | float) or not about["seconds"]["startup"]:
        return None
    seconds = {stage: float(value) for stage, value in about["seconds"].items() if isinstance(value, int | float)}
    return overrun(budget, seconds, about["passing"]["stopped"] if "passing" in about else 0.0)


def why_uncompared(run: Run) -> str:
    """Why nothing was compared, where the cases to compare with were not measured; else empty."""
    families = {record["case"]["family"] for record in run.records}
    measured = {record["case"]["id"] for record in run.records}

    def partners(entries: Iterable[NotMeasured]) -> list[NotMeasured]:
        return [e for e in entries if e["case"]["family"] in families and e["case"]["id"] not in measured]

    skipped = partners(run.about["skipped"])
    missing = skipped or partners(run.about["failed"])
    if not missing:
        return ""
    first, *others = [entry["case"]["id"] for entry in missing]
    named = f"{code(first)} and {plural(len(others), 'other')}" if others else code(first)
    budget = any("--budget" in entry["reason"] for entry in missing)
    do = f"give the run a larger `--budget`{_than(run.about['options'])}" if budget else "see why under Not measured"
    return (
        f"Nothing was compared, as the cases to compare with {'were skipped' if skipped else 'failed'}: {named}; {do}."
    )


def _than(options: Any) -> str:
    seconds = options.get("budget_seconds")
    return f" than {seconds:g} s" if isinstance(seconds, int | float) and not isinstance(seconds, bool) else ""


def _by_reason(cases: Iterable[NotMeasured]) -> tuple[Reason, ...]:
    entries = list(cases)
    ids = [entry["case"]["id"] for entry in entries]
    reasons = [in_parts(entry["reason"], case) for entry, case in zip(entries, ids, strict=True)]
    return tuple(Reason(words, tuple(ids[index] for index in members)) for words, members in grouped(reasons).items())
