"""The answer of a run's file in a few lines: what a command prints last that has measured."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from torchduet.bench.files.collecting import without_collecting
from torchduet.reports.text import units
from torchduet.reports.text.escaping import plain

if TYPE_CHECKING:
    from torchduet.reports.read.run_file import Run

MAX_PROFILES = 3


@without_collecting()
def closing(path: str) -> list[str]:
    """The headline of a run's file and the sentences under it: of one machine its answer, of several which is for what.

    Raises:
        RunFileError: the file cannot be used.
        PyprojectError: a price in the nearest ``pyproject.toml`` cannot be used.
    """
    from torchduet.reports.read.run_file import load_all

    runs = load_all(path)
    title, sentences = _of_one(runs[0]) if len(runs) == 1 else _of_several(runs)
    return [plain(line.replace("`", "")) for line in (title, *(f"  {sentence}" for sentence in sentences))]


def _of_one(run: Run) -> tuple[str, Sequence[str]]:
    """The title of a run's page, its first sentences, and the counts of each answer if there are several."""
    from torchduet.reports.findings import loaders
    from torchduet.reports.findings.advice import answers
    from torchduet.reports.findings.headline import headline
    from torchduet.reports.findings.remedy import budget_of
    from torchduet.reports.tables.frames import frames

    tables = frames(run)
    given = answers(tables.comparisons, loaders.choices(run), budget_of(run.about["options"]))
    found = headline(run, tables.cases, given)
    each = [f"{answer.title}: {answer.words.lower()}, {answer.counts}" for answer in given] if len(given) > 1 else []
    return found.title, [*found.lead, *each, *_profiles(run)]


def _profiles(run: Run) -> list[str]:
    """What takes the time of each profiled case: the first categories, and the operator with the longest own time."""
    from torchduet.reports.profile.section import section

    data = section(run)
    lines = []
    for profile in data["profiles"][:MAX_PROFILES] if data else ():
        parts = [profile.headline, *filter(None, [profile.second])]
        if profile.operators:
            first = profile.operators[0]
            parts.append(f"most of all {first.name} with {units.seconds(first.own)} per call")
        lines.append(f"Profiled {profile.case}: {', '.join(parts)}")
    return lines


def _of_several(runs: list[Run]) -> tuple[str, Sequence[str]]:
    """Which machine is for what, as the first lines of ``torchduet machines``."""
    from torchduet.reports.commands.machines import prices_for
    from torchduet.reports.machines.comparison import comparison
    from torchduet.reports.machines.sentences import answers, headline

    of = comparison(runs, prices_for(None), None)
    return headline(of), [f"{answer.title}: {' '.join(answer.sentences)}" for answer in answers(of)]
