"""How far the next run lands from this one: what ``torchduet selfcheck reproduce`` measured on this machine."""

from __future__ import annotations

from dataclasses import dataclass

from torchduet.bench.record import agreement_words as words
from torchduet.bench.record.schema import GROUPS, AgreementRecord, ReproductionRecord
from torchduet.bench.record.words.counting import plural
from torchduet.reports.read.run_file import Run

MEASURE = "torchduet selfcheck reproduce"


@dataclass(frozen=True)
class Group:
    """The agreement of repeated runs in one group of cases, in words; empty where nothing is known."""

    what: str
    comparisons: int
    disjoint: str
    contradictions: str
    held: str
    half_width: str
    apart: str


@dataclass(frozen=True)
class Agreement:
    """The part's content; ``groups`` is empty if nothing was measured on this machine."""

    sentences: list[str]
    groups: list[Group]


def agreement(run: Run) -> Agreement:
    """How far repeated runs agreed on this machine, as far as that was measured."""
    figures = run.about.get("reproduction")
    if figures is None or not figures["comparisons"]:
        missing = (
            "Identical code cannot show how far the next run lands from this one. That is not measured on this machine "
            f"with this PyTorch and number of threads: `{MEASURE}` repeats the quick tier five times. Later runs then "
            "show here how often two runs contradict each other."
        )
        return Agreement([missing], [])
    groups = [_group(f"calls {GROUPS.get(of['group'], of['group'])}", of) for of in figures["groups"]]
    return Agreement(_sentences(figures), [_group("all calls", figures), *groups])


def _sentences(figures: ReproductionRecord) -> list[str]:
    runs, threads = figures["runs"], figures["threads"]
    measured = (
        f"{runs} runs of the same code on this machine, {figures['comparisons']} speed-ups each (measured "
        f"{figures['measured'][:10]}, {plural(threads, 'thread')}, PyTorch {figures['torch']}): "
        f"{words.disjoint(figures)}; {words.contradictions(figures)}."
    )
    spread = "; ".join(filter(None, (words.held(figures), words.apart(figures), words.half_width(figures))))
    return [measured, f"{spread[0].upper()}{spread[1:]}."]


def _group(what: str, figures: AgreementRecord) -> Group:
    apart = [words.percent(value) for value in (figures["apart"], figures["apart_eighth"]) if value is not None]
    return Group(
        what,
        figures["comparisons"],
        words.counted(figures["disjoint"]),
        words.counted(figures["contradictions"]),
        words.counted(figures["held"]),
        words.half(figures["half_width"]),
        ", ".join(apart),
    )
