"""What a tool is given for a trial, what it answers, and how it starts programs."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torchduet
from torchduet.bench.peers.cases import CHOSEN, SETTING, SIDES
from torchduet.bench.run.aa_summary import THRESHOLD

ROOT = Path(torchduet.__file__).resolve().parents[1]  # of the import path: a clone, or site-packages
LAST_LINES = 15


class ToolError(RuntimeError):
    """A tool did not do what it should; the message has the last lines of its output."""


@dataclass(frozen=True)
class Answer:
    """What a tool says of one side held against the base.

    Attributes:
        ratio: time of the side / time of the base, by the figure that the tool itself compares.
        verdict: ``slower``, ``faster`` or ``none``, by the tool's own rule with a threshold of 1 %.
    """

    case: str
    side: str
    ratio: float
    verdict: str


@dataclass(frozen=True)
class Place:
    """Where a trial may write, what it times, and for how long.

    Attributes:
        folder: an empty one, removed afterwards.
        setting: the file that :func:`torchduet.bench.peers.cases.setting` reads.
        seconds: of timing for each side of each comparison, as far as the tool lets one choose.
    """

    folder: Path
    setting: Path
    threads: int
    seconds: float
    cases: Sequence[str] = tuple(CHOSEN)
    sides: Sequence[str] = tuple(SIDES)

    def environment(self, more: Mapping[str, str] | None = None) -> dict[str, str]:
        """The variables of a program that times the cases."""
        path = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
        threads = {name: str(self.threads) for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS")}
        return {**os.environ, SETTING: str(self.setting), "PYTHONPATH": path, **threads, **(more or {})}

    def python(self, *arguments: str, more: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
        """Run this interpreter in the folder.

        Raises:
            ToolError: it ended with another exit code than 0.
        """
        ran = subprocess.run(
            [sys.executable, *arguments],
            cwd=self.folder,
            env=self.environment(more),
            capture_output=True,
            text=True,
            check=False,
        )
        if ran.returncode:
            lines = (ran.stdout + ran.stderr).splitlines()[-LAST_LINES:]
            raise ToolError(f"{' '.join(arguments[:4])} … ended with {ran.returncode}:\n" + "\n".join(lines))
        return ran


def beyond(ratio: float) -> str:
    """The verdict of a tool that compares two numbers: by how much the second is above the first."""
    if ratio > 1 + THRESHOLD:
        return "slower"
    return "faster" if 1 / ratio > 1 + THRESHOLD else "none"
