"""The settings of one ``pytest bench/``: its options and its machine; they do not change during the run."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

from torchduet.bench.host.machine import Machine
from torchduet.bench.plan.options import Options
from torchduet.bench.plan.selection import Selection
from torchduet.bench.run.profile_selection import Profiling
from torchduet.suites.workload import cores


@dataclass(frozen=True)
class Settings:
    """The settings of a run.

    Args:
        check_only: cases are checked and not timed (``--benchmark-disable``).
        selecting_only: nothing is measured (``--collect-only``).
        claims_only: the cases that claims need are collected, of any tier (``-m claims``).
        data: the name of the data set that ``--data`` selects.
        profiling: the options of ``--profile``; None without it.
    """

    options: Options
    machine: Machine
    check_only: bool = False
    selecting_only: bool = False
    claims_only: bool = False
    data: str | None = None
    profiling: Profiling | None = None

    @cached_property
    def threads(self) -> int:
        """Intra-op threads of the workers."""
        return self.options.threads or cores()

    def with_options(self, options: Options) -> Settings:
        """The same with another budget; what was selected stays."""
        settings = replace(self, options=options)
        settings.__dict__["selection"] = self.selection
        return settings

    def with_part(self, part: float) -> Settings:
        """The settings of a shard: its part of a tier's default budget. One that was asked for is the shard's own."""
        if part == 1 or self.options.budget_given:
            return self
        return self.with_options(replace(self.options, budget_seconds=part * self.options.budget_seconds))

    @cached_property
    def selection(self) -> Selection:
        """The cases that the options select on this machine."""
        return Selection(self.options, self.machine, self.claims_only)
