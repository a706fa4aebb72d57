"""Lists how the machines and settings of two runs differ, and what cannot be concluded because of that."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from torchduet.bench.record.machines.facts import (
    MACHINE,
    OTHER,
    SELECTION,
    SETTING,
    SOFTWARE,
    VARIABLE,
    facts_of,
    in_words,
    kind_of,
    name_of,
)
from torchduet.reports.read.pytest_benchmark_cautions import pytest_benchmark_cautions
from torchduet.reports.read.run_file import Run

ORDER = (MACHINE, SOFTWARE, SETTING, SELECTION, OTHER)


@dataclass(frozen=True)
class Difference:
    """One fact in which two runs differ, with both sides in words."""

    kind: str
    name: str
    base: str
    new: str


def differences(base: Run, new: Run) -> list[Difference]:
    """Every fact of machine, versions and options that differs, the most important kind first."""
    first, second = facts_of(base.about), facts_of(new.about)
    if not all(
        "environment" in run.about for run in (base, new)
    ):  # of an earlier version, or of a machine without a GPU
        first, second = ({key: of[key] for key in of if not key.startswith(VARIABLE)} for of in (first, second))
    pairs = [
        Difference(kind_of(key), name_of(key), in_words(key, first.get(key)), in_words(key, second.get(key)))
        for key in {**first, **second}
    ]
    return sorted((pair for pair in pairs if pair.base != pair.new), key=lambda pair: ORDER.index(pair.kind))


def cautions(base: Run, new: Run, differences: list[Difference]) -> list[str]:
    """What cannot be concluded because of these differences, one text for each kind."""

    def names(kind: str) -> str:
        return ", ".join(difference.name for difference in differences if difference.kind == kind)

    texts = pytest_benchmark_cautions(base, new)
    if machines := names(MACHINE):
        texts.append(
            f"These are different machines ({machines}): the verdicts compare the machines, not the code. "
            "How much of a difference comes from the code is not known."
        )
    if software := names(SOFTWARE):
        texts.append(
            f"Versions differ ({software}): a change may come from them as well as from your code. "
            "Which of them it comes from is not known."
        )
    if settings := names(SETTING):
        texts.append(
            f"The runs have different settings ({settings}): the comparison is of the code together with its settings."
        )
    if selection := names(SELECTION):
        texts.append(
            f"The runs selected different cases or times ({selection}): cases of one run only are listed as "
            "missing or new; they are no regressions."
        )
    if _before(new, base):
        texts.append(f"{new.name} was measured before {base.name}: are the files in the wrong order?")
    return texts


def _before(first: Run, second: Run) -> bool:
    """Whether the first run began before the second; False where either file has no time."""
    began, other_began = (moment_of(run.about["started"]) for run in (first, second))
    return began is not None and other_began is not None and began < other_began


def moment_of(started: str) -> float | None:
    """Seconds since 1970 of a date in ISO format, in UTC unless it names a zone; None if it is no date."""
    try:
        moment = datetime.fromisoformat(started)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        return None


def common_facts(base: Run) -> Mapping[str, str]:
    """The main facts on the base's machine, for the line below the title."""
    machine = base.about["machine"]
    shown = {
        "GPU": machine.get("gpu"),
        "accelerator": machine.get("accelerator"),
        "CPU": machine.get("cpu"),
        "PyTorch": machine.get("torch"),
    }
    return {name: str(value) for name, value in shown.items() if value}
