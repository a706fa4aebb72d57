"""The options of a fleet."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

ACCELERATOR, MACHINE = EACH = ("accelerator", "machine")


@dataclass(frozen=True)
class FleetOptions:
    """What a fleet measures, and on what.

    Attributes:
        given: the values of the options of ``pytest bench/``, as they were typed, by name.
        each: what the suite is measured once on: each model of accelerator, or each kind of machine.
        split: whether machines of one kind share the suite.
        when_busy: what ``--when-busy`` says.
        wait_seconds: for how long a machine is waited for when none is left that measures.
    """

    given: Mapping[str, Any]
    each: str = MACHINE
    split: bool = False
    when_busy: str = "wait"
    wait_seconds: float = 600.0

    def recorded(self) -> dict[str, Any]:
        """What must be equal for another driver to continue the fleet."""
        return {**self.given, "each": self.each, "split": self.split}
