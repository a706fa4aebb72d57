"""The stages of a family on one side of a duet: inputs, first calls, checks."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from torchduet.bench.cases.case import Case
from torchduet.bench.cases.exchange import CaseResult, Task
from torchduet.bench.timing.checking.results import Results
from torchduet.bench.timing.dynamo import compile_into
from torchduet.bench.timing.timed_case import TimedCase
from torchduet.bench.workers.family import Stages


class SideStages(Stages):
    """The stages of a family on one side; checks and compilation happen in the first pair only.

    Args:
        results: of the cases, which it fills.
    """

    def __init__(self, task: Task, seed: str, results: dict[Case, CaseResult], *, first: bool) -> None:
        super().__init__(task, lambda _stage, _fraction: None, seed)
        self.results = self.ranked.results = results
        self.first = self.checks.enabled = self.ranked.checks = first

    def address_sets(self, runs: Mapping[int, TimedCase]) -> dict[str, int]:
        """Number of a case → how many sets of addresses of its inputs differ; only of cases on an accelerator."""
        found = ((index, self.inputs.address_sets(run)) for index, run in runs.items())
        return {str(index): sets for index, sets in found if sets is not None}

    def remembers(self, run: TimedCase, results: Results) -> str | None:
        return super().remembers(run, results) if self.first else None

    def empty_cache(self, case: Case) -> None:
        """A cache for each case and side: cold in the first pair, warm in those after it."""
        folder = Path(self.task.folder) / f"inductor-{self.task.family.cases.index(case)}"
        folder.mkdir(exist_ok=True)
        compile_into(folder)
