"""A trial of a tool: its settings, the answers, and how the tool starts programs."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torchduet
from torchduet.bench.peers.cases import CASES_VARIABLE, SETTINGS_VARIABLE, SIDES, WORKLOADS
from torchduet.bench.record.visits.intervals import COPY_THRESHOLD as THRESHOLD

ROOT = Path(torchduet.__file__).resolve().parents[1]  # of the import path: a clone, or site-packages
LAST_LINES = 15


class ToolError(RuntimeError):
    """A tool failed or gave no usable answer; the message has the last lines of its output."""


@dataclass(frozen=True)
class Answer:
    """The answer of a tool about one side compared with the base.

    Attributes:
        ratio: time of the side / time of the base, in the figure that the tool itself compares.
        verdict: ``slower``, ``faster`` or ``none``, by the rule of the tool with a threshold of 1 %.
        interval: of the ratio, where the tool gives one.
    """

    case: str
    side: str
    ratio: float
    verdict: str
    interval: tuple[float, float] | None = None


@dataclass(frozen=True)
class Trial:
    """One trial of a tool: where it may write, which cases it times, and for how long.

    Attributes:
        folder: where it may write; empty at first, removed afterwards.
        settings: the file that :func:`torchduet.bench.peers.cases.read_settings` reads.
        threads: intra-op threads.
        seconds: of timing for each side of each comparison, if the tool lets it be set.
    """

    folder: Path
    settings: Path
    threads: int
    seconds: float
    cases: Sequence[str] = tuple(WORKLOADS)
    sides: Sequence[str] = tuple(SIDES)

    def environment(self, variables: Mapping[str, str] | None = None) -> dict[str, str]:
        """The environment of a program that times the cases, with further variables."""
        path = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
        threads = {name: str(self.threads) for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS")}
        own = {SETTINGS_VARIABLE: str(self.settings), CASES_VARIABLE: ",".join(self.cases), "PYTHONPATH": path}
        return {**os.environ, **own, **threads, **(variables or {})}

    def python(self, *arguments: str, variables: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
        """Run this interpreter in the folder of the trial.

        Raises:
            ToolError: its exit code is not 0.
        """
        process = subprocess.run(
            [sys.executable, *arguments],
            cwd=self.folder,
            env=self.environment(variables),
            capture_output=True,
            text=True,
            check=False,
        )
        if process.returncode:
            lines = (process.stdout + process.stderr).splitlines()[-LAST_LINES:]
            raise ToolError(f"{' '.join(arguments[:4])} … ended with {process.returncode}:\n" + "\n".join(lines))
        return process


def beyond(ratio: float) -> str:
    """The verdict of a tool that compares two numbers, from the time of the side / the time of the base."""
    if ratio > 1 + THRESHOLD:
        return "slower"
    return "faster" if 1 / ratio > 1 + THRESHOLD else "none"
