"""The closed sets of words in a record."""

from __future__ import annotations

from typing import Any, Literal, get_args

KEY = "torchduet"
SCHEMA = 1
IMPORTING = "importing"  # the stage in which workers import a user's file
INTERPRETERS = "interpreters"  # the stage of a duet in which fresh interpreters import torch and fork its workers
HANDING_OVER = "handing_over"  # the stage of a duet between its blocks: to the other side, and calls that warm up
PEAK_MEMORY = "peak_memory"  # the stage of a duet in which a call's most memory is measured, after the first pair
STARTING = "starting"  # the stage in which workers start an accelerator: its driver and libraries
PROFILED_CALL = "torchduet call"  # the annotation around each call in a trace
LOADER_STARTS = "DataLoader.__iter__"  # the annotation of an epoch's start, with that of its workers
LOADER_ENDS = "DataLoader._shutdown_workers"

Verdict = Literal["faster", "slower", "same", "unclear"]
VERDICTS: tuple[Verdict, ...] = get_args(Verdict)
Grade = Literal["quiet", "noisy", "disturbed"]  # of the machine's noise, ascending
GRADES: tuple[Grade, ...] = get_args(Grade)
QUIET, NOISY, DISTURBED = GRADES
# Why timing ended: every interval is narrow enough; time was up; enough placements; a stop request.
StopReason = Literal["precise", "budget", "limit", "interrupted"]
Stage = Literal["screened", "confirmed"]  # of a duet: too few pairs for a verdict; enough
# Whose variance between visits: of speed-ups, of copies in --aa, of times per call, of a duet's two sides, of speed-ups
# of the device's own work.
PriorOf = Literal["speedups", "copies", "times", "sides", "device speedups"]
# Where it was taken from: the families of the run, earlier runs on the machine, built in; none: the visits alone.
PriorSource = Literal["run", "machine", "typical", "none"]

# A writer uses these words; a reader accepts any text, as a later writer of the same version may add words.
OPEN: frozenset[Any] = frozenset({StopReason, Stage, PriorOf, PriorSource})

KINDS = {  # groups of cases that --aa also counts separately: calls …
    "short": "under 2 ms",
    "medium": "of 2 to 20 ms",
    "long": "of 20 ms and more",
    "waiting": "that wait, as for workers",
}

GROUPS = KINDS | {  # groups of cases that the agreement of repeated runs is also counted for: calls …
    "compiled": "of compiled cases, or against one",
    "uncompiled": "of other cases",
}

CLOCK_REASONS = {  # why a GPU's clocks are lowered → bits of NVML's clocks event reasons (drivers from 535 on)
    "power cap": 0x04,  # SwPowerCap
    "temperature": 0x20 | 0x40,  # SwThermalSlowdown, HwThermalSlowdown
    "power brake": 0x80,  # HwPowerBrakeSlowdown: the supply asked for it
    "hardware slowdown": 0x08,  # HwSlowdown
}
