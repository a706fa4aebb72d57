"""A summary of the report as Markdown, for a pull request or a CI job's summary page: at most 60 lines."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice

from torchduet.bench.record.duets import two_times
from torchduet.bench.record.duets.sides import from_new, sides
from torchduet.bench.record.duets.words import controls, memory_lines, ordered, stages
from torchduet.bench.record.duets.words import headline as duet_headline
from torchduet.bench.record.marks import explained, short_marks
from torchduet.bench.record.schema import DuetRecord
from torchduet.bench.record.words.times import compilation, time_of
from torchduet.reports.findings import gpu, loaders
from torchduet.reports.findings.advice import Answer, answers_of
from torchduet.reports.findings.compiling import compiling
from torchduet.reports.findings.headline import headline as headline_of
from torchduet.reports.findings.merged import brief as brief_merged
from torchduet.reports.findings.noise import noise
from torchduet.reports.findings.unmeasured import ended_early, unmeasured, warnings
from torchduet.reports.findings.visits import brief, visits
from torchduet.reports.markdown.processes import lines as processes
from torchduet.reports.profile.brief import lines as profile_lines
from torchduet.reports.read.run_file import Run
from torchduet.reports.tables.frames import frames
from torchduet.reports.text import units
from torchduet.reports.text.escaping import cell, inline

MAX_LINES = 60
MAX_ANSWERS, MAX_REASONS = 24, 6


def markdown(run: Run) -> str:
    """Answers first, then GPUs with their profiles, noise and what was not measured."""
    lines = list(islice(_lines(run), MAX_LINES + 1))
    if len(lines) > MAX_LINES:
        lines = [*lines[: MAX_LINES - 2], "", "… the rest is in the report."]
    return "\n".join(lines) + "\n"


def _lines(run: Run) -> Iterator[str]:
    machine = run.about["machine"]
    facts = [str(machine[key]) for key in ("gpu", "accelerator", "cpu") if machine.get(key)]
    facts.append(f"torch {machine.get('torch', '?')}")
    duet = run.about.get("against")
    tables = frames(run)
    choices = loaders.choices(run)
    given = answers_of(run, tables.comparisons, choices)
    found = headline_of(run, tables.cases, given)
    yield f"## Torchduet: {inline(run.name if duet else found.title)}"
    yield ""
    if not duet:
        yield from (inline(sentence) for sentence in found.lead)
        yield ""
    cases = units.plural(len(run.records), "case")
    where = "" if duet else f"{inline(run.name)}: "
    if words := brief_merged(run):
        yield f"{where}{inline(', '.join(facts))}; {cases}. {inline(words)}."
    else:
        yield f"{where}{inline(', '.join(facts))}; {cases} in {units.duration(run.about['seconds']['total'])}."
    if sentence := ended_early(run):
        yield f"**{inline(sentence)}.**"
    yield ""
    if duet:
        yield from _duet(run, duet)
    if given:
        yield from _table(given)
    elif run.records and not duet:
        yield from _times(run)
    for answer in [answer for answer in given if answer.kernels][:MAX_REASONS]:
        yield f"- {inline(answer.title)}: {inline(answer.kernels)}"
    yield from (f"- {inline(line[0].upper() + line[1:])}." for line in compilation(run.records))
    compiled = compiling(run, tables)
    for sentence in compiled.sentences[:MAX_REASONS] if compiled else ():
        yield f"- {inline(sentence)}"
    gpu_section = gpu.section(run)
    for sentence in (*gpu_section.crossings[:MAX_REASONS], *gpu_section.sustained[:MAX_REASONS]) if gpu_section else ():
        yield f"- {inline(sentence)}"
    for line in islice(profile_lines(run), MAX_REASONS):
        yield f"- {inline(line)}"
    yield from processes(run)
    yield from _rest(run)


def _duet(run: Run, duet: DuetRecord) -> Iterator[str]:
    """The headline, the stages of the measurement, and every case, slower and faster first."""
    yield f"**{inline(duet_headline(duet, run.records))}** {inline(stages(duet, run.records))}"
    yield ""
    if lines := [*memory_lines(duet, run.records)[:MAX_REASONS], *controls(run.records)]:
        yield from (f"- {inline(line)}" for line in lines)
        yield ""
    of, rows = sides(duet), ordered(from_new(duet, run.records))
    if not rows:
        return
    yield f"| case | {cell(of.base)} | {cell(of.new)} | base / new | interval | verdict |"
    yield "| --- | ---: | ---: | ---: | --- | --- |"
    for record in rows[:MAX_ANSWERS]:
        side = record["against"]
        sign = two_times.SIGN if two_times.differ(side) else ""
        name = ", ".join(filter(None, (record["case"]["id"], short_marks(record), sign)))
        times = (units.seconds(side["base_seconds"]), units.seconds(side["seconds"]))
        row = (name, *times, units.ratio(side["ratio"]), units.ratio_interval(side["low"], side["high"]))
        yield "| " + " | ".join(cell(text) for text in (*row, side["verdict"])) + " |"
    if more := max(0, len(rows) - MAX_ANSWERS):
        yield ""
        yield f"{units.plural(more, 'more case is', 'more cases are')} in the report."
    if any(two_times.differ(record["against"]) for record in rows[:MAX_ANSWERS]):
        yield ""
        yield f"{two_times.SIGN} {two_times.WORDS}."
    yield ""


def _table(given: Sequence[Answer]) -> Iterator[str]:
    yield "| knob | worth it? | verdicts | best and worst |"
    yield "| --- | --- | --- | --- |"
    for answer in given[:MAX_ANSWERS]:
        row = (answer.title, answer.words, answer.counts, answer.ends)
        yield "| " + " | ".join(cell(text) for text in row) + " |"
    if more := max(0, len(given) - MAX_ANSWERS):
        yield ""
        yield f"{units.plural(more, 'more answer is', 'more answers are')} in the report."
    yield ""


def _times(run: Run) -> Iterator[str]:
    """The times of a run in which nothing was compared."""
    yield "| case | time per call | 99 % interval | first call |"
    yield "| --- | --- | --- | --- |"
    for record in run.records[:MAX_ANSWERS]:
        name = ", ".join(filter(None, (record["case"]["id"], short_marks(record))))
        row = (name, *time_of(record), units.seconds(record["first_call"]["seconds"]))
        yield "| " + " | ".join(cell(text) for text in row) + " |"
    if more := max(0, len(run.records) - MAX_ANSWERS):
        yield ""
        yield f"{units.plural(more, 'more case is', 'more cases are')} in the report."
    yield ""


def _rest(run: Run) -> Iterator[str]:
    if (visited := visits(run)) is not None:
        yield f"- {brief(visited)}"
    graded = noise(run)
    if graded is not None and graded.grade:
        causes = f": {graded.causes[0]}" if graded.causes else ""
        yield f"- The machine was {graded.grade}{inline(causes)}."
    for line in explained(run.records)[:MAX_REASONS]:
        yield f"- {inline(line[0].upper() + line[1:])}"
    for group in unmeasured(run):
        for reason in group.reasons[:MAX_REASONS]:
            number = len(reason.cases)
            yield f"- {units.plural(number, 'case')} {group.status}: {inline(reason.words)}"
        if more := max(0, len(group.reasons) - MAX_REASONS):
            yield f"- {group.status} for {units.plural(more, 'more reason')}, see the report"
    for warning in warnings(run)[:MAX_REASONS]:
        yield f"- Warning: {inline(warning)}"
