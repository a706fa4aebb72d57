"""Checks the workloads of a file in this process, as a family's worker does, without its timing."""

from __future__ import annotations

import hashlib
from pathlib import Path

from torchduet.bench.cases.case import Family, cases_of, group
from torchduet.bench.cases.exchange import CaseResult, Task
from torchduet.bench.workers.family import Stages
from torchduet.bench.workers.visit import measure
from torchduet.suites.registry import load

HEAD = """
import torch
from torch import nn
from torch.nn import functional as F
from torchduet import Implementation, Suite

suite = Suite("s")
EAGER = {"modes": ("eager",)}
"""


def families_of(folder: Path, text: str, **asked: tuple[str, ...]) -> list[Family]:
    """The families of a suite file.

    Args:
        text: of the file, after ``HEAD``.
        asked: knob → the settings that ``--precision`` or ``--mode`` would name.
    """
    file = folder / f"suite_{hashlib.sha256(text.encode()).hexdigest()[:8]}.py"
    file.write_text(HEAD + text)
    return [
        family
        for suite in load(str(file))
        for family in group(cases_of(str(file), suite, tier="quick", devices=["cpu"], asked=asked))
    ]


def checked(folder: Path, text: str, **asked: tuple[str, ...]) -> dict[str, CaseResult]:
    """The result of the check of every case of a suite file, by its id without the suite's name and the device."""
    return {
        name(result): result
        for family in families_of(folder, text, **asked)
        for result in measure(Task(family, 0.0, 1, str(folder), check_only=True), lambda _what, _fraction: None).results
    }


def called_again(folder: Path, text: str) -> dict[str, str | None]:
    """The error of every case after one timed block, by its id, such as that its result is remembered."""
    errors = {}
    for family in families_of(folder, text):
        stages = Stages(Task(family, 0.0, 1, str(folder)), lambda _what, _fraction: None)
        stages.prepare_device("cpu", family.cases)
        for run in stages.runs:
            run.placements.append([run.block()])
        stages.still_computes()
        stages.finish()
        errors |= {name(result): result.error or result.skip for result in stages.results.values()}
    return errors


def name(result: CaseResult) -> str:
    """The case's id without the suite's name and the device."""
    return result.case.id.removeprefix("s.").replace(" cpu", "")
