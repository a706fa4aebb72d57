"""The cases that the options select on this machine, and the reference of each."""

from __future__ import annotations

from collections.abc import Sequence

from torchduet.bench.cases.case import Case, Family, cases_of, group
from torchduet.bench.cases.knobs import OPTIONS, Asked, hint_of
from torchduet.bench.host.machine import Machine
from torchduet.bench.plan.availability import unavailable
from torchduet.bench.plan.case_globs import matches
from torchduet.bench.plan.claim_selection import needed
from torchduet.bench.plan.options import Options
from torchduet.suites.registry import load, names
from torchduet.suites.suite import Suite
from torchduet.suites.workload import TIERS


class Selection:
    """The cases of a run.

    Args:
        claims_only: select the cases that claims need, of any tier (``-m claims``).
    """

    def __init__(self, options: Options, machine: Machine, claims_only: bool) -> None:
        self.options, self.machine, self.claims_only = options, machine, claims_only
        self.references: dict[Case, Case] = {}

    def devices(self) -> Sequence[str]:
        """The devices to use."""
        return [str(device) for device in self.options.asked.get("device", ())] or self.machine.devices()

    def cases(self, source: str) -> list[tuple[Suite, Case]]:
        """Every case of a suite that the options select.

        A variant that the machine cannot run is left out, unless it was asked for by name: then it is selected, and
        skipped with the reason.
        """
        cases = []
        for suite in load(source):
            selected = self._of_tier(source, suite, self.options.tier)
            if self.claims_only:
                everything = self._of_tier(source, suite, "full")
                wanted = needed(everything, selected)
                selected = {case: reference for case, reference in everything.items() if case in wanted}
            self.references.update(selected)
            cases += [(suite, case) for case in selected]
        return cases

    def declared(self, source: str, devices: Sequence[str]) -> list[tuple[Suite, Case, Case]]:
        """Every case of a suite that the options select on a machine with these devices, and its reference.

        The same on every machine, but for numbers of workers that follow its cores: whether this machine can run a
        case is not asked.
        """
        cases = []
        for suite in load(source):
            selected = self._declared(source, suite, self.options.tier, devices)
            if self.claims_only:
                everything = self._declared(source, suite, "full", devices)
                wanted = needed(everything, selected)
                selected = {case: reference for case, reference in everything.items() if case in wanted}
            cases += [(suite, case, reference) for case, reference in selected.items()]
        return cases

    def tier_with(self, glob: str) -> str | None:
        """The first tier above the run's that has a case whose id matches a glob; None if none has."""
        sources = names() if self.options.suites is None else self.options.suites
        for tier in TIERS[TIERS.index(self.options.tier) + 1 :]:
            cases = (case for name in sources for suite in load(name) for case in self._of_tier(name, suite, tier))
            if any(matches(glob, case.id) for case in cases):
                return tier
        return None

    def families(self, selected: Sequence[Case]) -> list[Family]:
        """The cases that can run, grouped by family, with their references."""
        runnable = [case for case in selected if unavailable(self.machine, case) is None]
        return group((case, self.references[case]) for case in runnable)

    def _of_tier(self, source: str, suite: Suite, tier: str) -> dict[Case, Case]:
        """Case → its family's reference, of the cases that can run here or were asked for by name."""
        return {
            case: reference
            for case, reference in self._declared(source, suite, tier, self.devices()).items()
            if (obstacle := unavailable(self.machine, case)) is None or obstacle.knob in self.options.asked
        }

    def _declared(self, source: str, suite: Suite, tier: str, devices: Sequence[str]) -> dict[Case, Case]:
        return dict(cases_of(source, suite, tier=tier, devices=devices, asked=self.options.asked))


def unused(asked: Asked, cases: Sequence[Case]) -> list[str]:
    """A line for each setting that was asked for but that no selected case has."""
    return [
        f"{knob.flag} {setting}: no selected workload has it; a workload lists its {hint_of(knob)}"
        for knob in OPTIONS
        if hint_of(knob)
        for setting in asked.get(knob.name, ())
        if setting not in {case.setting(knob.name) for case in cases}
    ]
