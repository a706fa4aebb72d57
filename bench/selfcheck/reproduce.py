"""``torchduet selfcheck reproduce``: the figures of several runs of the same selection, and their words."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from statistics import median

from torchduet.bench.record import agreement_words as words
from torchduet.bench.record.proportions import BOUNDS_CONFIDENCE
from torchduet.bench.record.schema import GROUPS, AgreementRecord, ReproductionRecord
from torchduet.bench.record.statistics import CONFIDENCE
from torchduet.bench.run.machine_figures import SAME
from torchduet.bench.selfcheck.agreement import agreement, by_group, comparisons, incomplete
from torchduet.bench.selfcheck.finished_runs import FinishedRun, RunError

MAX_NAMED = 12  # cases that are missing in some runs
ARGUMENTS = ("--threads", "1")  # of pytest, unless others are given: the quick tier leaves a core to other processes


def figures(runs: Sequence[FinishedRun]) -> ReproductionRecord:
    """How far the runs agree.

    Raises:
        RunError: fewer than two runs, or two of different machines, versions of PyTorch or numbers of threads.
    """
    if len(runs) < 2:
        raise RunError("two runs or more are needed")
    for run in runs[1:]:
        if different := [name for name, one, other in _facts(runs[0], run) if one != other]:
            raise RunError(f"{run.path}: was made with another {different[0]} than {runs[0].path}")
    compared = comparisons([run.records for run in runs])
    machine = runs[0].about["machine"]
    return ReproductionRecord(
        measured=max(run.about["started"] for run in runs),
        cpu=_text(machine.get("cpu")),
        cores=_number(machine.get("cores")),
        torch=_text(machine.get("torch")),
        gpu=_text(machine.get("gpu")),
        threads=runs[0].threads,
        version=runs[-1].about["version"],
        runs=len(runs),
        seconds=median(run.about["seconds"]["total"] for run in runs),
        incomplete=len(incomplete([run.records for run in runs])),
        confidence=CONFIDENCE,
        bounds_confidence=BOUNDS_CONFIDENCE,
        groups=by_group(compared.values()),
        **agreement(compared.values()),
    )


def _facts(first: FinishedRun, other: FinishedRun) -> Iterable[tuple[str, object, object]]:
    """(name, of the first, of the other) of what identifies a machine and its settings."""
    yield from ((name, first.about["machine"].get(name), other.about["machine"].get(name)) for name in SAME)
    yield "number of threads", first.threads, other.threads
    yield "tier", first.about["options"].get("tier"), other.about["options"].get("tier")


def _text(value: object) -> str | None:
    return None if value is None else str(value)


def _number(value: object) -> int | None:
    return value if isinstance(value, int) else None


def lines(found: ReproductionRecord, runs: Sequence[FinishedRun]) -> list[str]:
    """The figures for the terminal."""
    text = [
        f"{found['runs']} runs of {found['seconds']:.0f} s, {found['threads']} "
        f"thread{'' if found['threads'] == 1 else 's'}: {found['comparisons']} speed-ups in two runs or more "
        f"(bounds at {found['bounds_confidence']:.0%})"
    ]
    if found["comparisons"]:
        text += [words.disjoint(found), words.contradictions(found), words.held(found)]
        text += filter(None, [words.half_width(found), words.apart(found)])
        text += table(found)
    if found["unbounded"]:
        text.append(f"{found['unbounded']} of the runs' speed-ups have no interval")
    return text + _missing(runs) + _ended_early(runs)


def table(found: ReproductionRecord) -> list[str]:
    """A row for each group of cases, and one for all."""
    rows: list[tuple[str, AgreementRecord]] = [(f"calls {GROUPS[of['group']]}", of) for of in found["groups"]]
    cells = [["", "speed-ups", "disjoint", "contradict", "median held", "half-width", "apart: median, 8th decile"]]
    for name, of in (("all", found), *rows):
        both = [words.percent(value) for value in (of["apart"], of["apart_eighth"]) if value is not None]
        shares = [words.counted(share) for share in (of["disjoint"], of["contradictions"], of["held"])]
        cells.append([name, str(of["comparisons"]), *shares, words.half(of["half_width"]), ", ".join(both)])
    widths = [max(len(row[column]) for row in cells) for column in range(len(cells[0]))]
    return ["  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip() for row in cells]


def _missing(runs: Sequence[FinishedRun]) -> list[str]:
    lacking = incomplete([run.records for run in runs])
    if not lacking:
        return []
    one = len(lacking) == 1
    text = [f"{len(lacking)} {'case or speed-up is' if one else 'cases or speed-ups are'} not in every run:"]
    for name, numbers in list(lacking.items())[:MAX_NAMED]:
        text.append(f"  {name}: missing in {', '.join(runs[number].path.name for number in numbers)}")
    if len(lacking) > MAX_NAMED:
        text.append(f"  and {len(lacking) - MAX_NAMED} more")
    return text


def _ended_early(runs: Sequence[FinishedRun]) -> list[str]:
    return [f"{run.path.name} ended early: {run.about['stopped']}" for run in runs if run.about.get("stopped")]
