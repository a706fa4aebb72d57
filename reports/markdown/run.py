"""The report in brief, as Markdown for a pull request or a CI job's summary page: at most 60 lines."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice

from torchduet.bench.record.duet_words import headline, ordered, stages
from torchduet.bench.record.schema import DuetRecord
from torchduet.reports.findings import gpu, loaders
from torchduet.reports.findings.advice import Answer, answers
from torchduet.reports.findings.noise import noise
from torchduet.reports.findings.remedy import budget_of
from torchduet.reports.findings.unmeasured import gaps, stopped, warnings
from torchduet.reports.read.run_file import Run
from torchduet.reports.tables.frames import frames
from torchduet.reports.text import units
from torchduet.reports.text.escaping import cell

MAX_LINES = 60
MAX_ANSWERS, MAX_REASONS = 24, 6


def markdown(run: Run) -> str:
    """Answers first, then GPUs, noise and what was not measured."""
    found = list(islice(_lines(run), MAX_LINES + 1))
    if len(found) > MAX_LINES:
        found = [*found[: MAX_LINES - 2], "", "… the rest is in the report."]
    return "\n".join(found) + "\n"


def _lines(run: Run) -> Iterator[str]:
    machine = run.about["machine"]
    facts = [str(machine[key]) for key in ("gpu", "accelerator", "cpu") if machine.get(key)]
    facts.append(f"torch {machine.get('torch', '?')}")
    yield f"## Torchduet: {cell(run.name)}"
    yield ""
    yield f"{cell(', '.join(facts))}; {len(run.records)} cases in {units.duration(run.about['seconds']['total'])}."
    if stop := stopped(run):
        yield f"**{stop}.**"
    yield ""
    duet = run.about.get("against")
    if duet:
        yield from _duet(run, duet)
    tables = frames(run)
    choices = loaders.choices(run)
    found = answers(tables.comparisons, choices, budget_of(run.about["options"]))
    if found or not duet:
        yield from _table(found)
    section_gpu = gpu.section(run)
    for sentence in section_gpu.crossings[:MAX_REASONS] if section_gpu else ():
        yield f"- {cell(sentence)}"
    yield from _rest(run)


def _duet(run: Run, duet: DuetRecord) -> Iterator[str]:
    """The headline, how it came about, and the cases that are slower or faster."""
    yield f"**{cell(headline(duet, run.records))}** {cell(stages(duet, run.records))}"
    yield ""
    moved = [record for record in ordered(run.records) if record["against"]["verdict"] in ("slower", "faster")]
    if not moved:
        return
    yield "| case | time of A / time of B | interval | verdict |"
    yield "| --- | --- | --- | --- |"
    for record in moved[:MAX_ANSWERS]:
        one = record["against"]
        row = (record["case"]["id"], units.ratio(one["ratio"]), units.ratio_interval(one["low"], one["high"]))
        yield "| " + " | ".join(cell(text) for text in (*row, one["verdict"])) + " |"
    if len(moved) > MAX_ANSWERS:
        yield ""
        yield f"{len(moved) - MAX_ANSWERS} more are in the report."
    yield ""


def _table(found: Sequence[Answer]) -> Iterator[str]:
    if not found:
        yield "Nothing was compared."
        return
    yield "| knob | worth it? | median speed-up | verdicts | in words |"
    yield "| --- | --- | --- | --- | --- |"
    for answer in found[:MAX_ANSWERS]:
        tally = ", ".join(f"{number} {verdict}" for verdict, number in answer.tally.items() if number)
        row = (answer.title, answer.words, units.ratio(answer.ratio), tally, answer.sentences[0])
        yield "| " + " | ".join(cell(text) for text in row) + " |"
    if len(found) > MAX_ANSWERS:
        yield ""
        yield f"{len(found) - MAX_ANSWERS} more answers are in the report."
    yield ""


def _rest(run: Run) -> Iterator[str]:
    seen = noise(run)
    if seen is not None and seen.grade:
        causes = f": {seen.causes[0]}" if seen.causes else ""
        yield f"- The machine was {seen.grade}{cell(causes)}."
    for gap in gaps(run):
        for reason in gap.reasons[:MAX_REASONS]:
            yield f"- {len(reason.cases)} {gap.noun}: {cell(reason.words)}"
        if len(gap.reasons) > MAX_REASONS:
            yield f"- {gap.noun} for {len(gap.reasons) - MAX_REASONS} more reasons, see the report"
    for warning in warnings(run)[:MAX_REASONS]:
        yield f"- Warning: {cell(warning)}"
