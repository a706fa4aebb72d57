"""Says in words whether a GPU's clocks are locked, as far as that can be known.

NVML has no function that returns whether clocks are locked. What is known: what this run has locked, and application
clocks that are not the default ones, on GPUs that still have them.
"""

from __future__ import annotations

from collections.abc import Mapping

from torchduet.bench.record.gpu_samples import NOT_LOCKED


def locked_words(at: str) -> str:
    """The state of clocks that this run has locked at ``1,410 MHz``, or ``the base clock``."""
    return f"locked at {at} by this run"


def unlocked_words(facts: Mapping[str, float | int | str]) -> str:
    """The state of clocks that this run has not locked, from NVML's facts on the GPU."""
    current, default = facts.get("set_sm_mhz"), facts.get("default_sm_mhz")
    if isinstance(current, int | float) and isinstance(default, int | float) and current != default:
        return f"{NOT_LOCKED}; application clocks set to {current:,.0f} MHz"
    return NOT_LOCKED


def header(states: Mapping[str, str]) -> str:
    """The line for the terminal: the state of each GPU that is measured."""
    if len(set(states.values())) == 1:
        return f"GPU clocks: {next(iter(states.values()))}"
    return "GPU clocks: " + "; ".join(f"{device} {words}" for device, words in states.items())
