"""Says why a machine has no time for a case that another machine measured."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from torchduet.bench.record.devices import device_kind, on_host
from torchduet.bench.record.knobs import settings_of
from torchduet.bench.record.schema import CaseRecord
from torchduet.reports.machines.columns import Column
from torchduet.reports.machines.measured import work_of

NOT_SELECTED = "not selected in this run"
NOT_REACHED = "the run ended early before this case"


@dataclass(frozen=True)
class Missing:
    """Why there is no time: in a word for a cell, and the reason."""

    short: str
    why: str


class Reasons:
    """The reasons of one machine.

    Args:
        works: id of a case → its work, for all cases that any machine has.
    """

    def __init__(self, column: Column, works: Mapping[str, str]) -> None:
        self._of_works: dict[str, Missing] = {}
        self._unavailable: dict[str, str] = {}
        for run in column.runs:
            for name in run.about.get("unreached", []):
                self._of_works.setdefault(works.get(name, name), Missing("not reached", NOT_REACHED))
            self._unavailable |= {one["variant"]: one["reason"] for one in run.about["unavailable"]}
        outcomes = [("skipped", one) for run in column.runs for one in run.about["skipped"]]
        outcomes += [("failed", one) for run in column.runs for one in run.about["failed"]]
        for short, outcome in outcomes:  # of both, the failure is kept
            case = outcome["case"]
            why = outcome["reason"].removeprefix(f"{case['id']}: ")
            self._of_works[work_of(case)] = Missing(short, why)

    def of(self, work: str, cases: Sequence[CaseRecord]) -> Missing:
        """Why the machine lacks a piece of work.

        Args:
            cases: of that work, on the machines that have it.
        """
        if work in self._of_works:
            return self._of_works[work]
        for variant in _variants(cases):
            if variant in self._unavailable:
                return Missing("not available", self._unavailable[variant])
        return Missing("not selected", NOT_SELECTED)


def _variants(cases: Iterable[CaseRecord]) -> list[str]:
    """What a machine may lack for a case, as ``unavailable`` names it: its settings; its device, if no CPU ran it."""
    settings = [value for case in cases for name, value in settings_of(case).items() if value and name != "device"]
    devices = [] if any(on_host(case["device"]) for case in cases) else [device_kind(case["device"]) for case in cases]
    return [*dict.fromkeys(settings), *dict.fromkeys(devices)]
