"""An interpreter of ``torchduet selfcheck levels``: holds a fork server, and makes visits by fresh workers of it.

It reads one JSON object a line from standard input, the settings first, and answers each with one line.
"""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from torchduet.bench.cases.exchange import Task
from torchduet.bench.selfcheck.levels_pairs import PAIRS
from torchduet.bench.selfcheck.levels_task import Visit, VisitTask
from torchduet.bench.workers.launcher import Launcher, WorkerError

# Not -m: a worker would import the main module again.
PROGRAM = f"from {__name__} import main; main()"


def visit_job(job: VisitTask, report: Callable[[str, float], None]) -> Visit:
    """The worker's job; what it imports is imported by the fork server already, except for its own module."""
    from torchduet.bench.selfcheck.levels_visit import visit

    return visit(job, report)


class VisitLauncher(Launcher):
    """A launcher whose workers make visits."""

    def visit_pair(self, job: VisitTask) -> Visit:
        """Make one visit in a new worker.

        Raises:
            WorkerError: the worker sent no answer.
        """
        answer: Visit = self.of_family(visit_job, job, Visit, lambda _: None)
        return answer


def main() -> None:
    """Answer until standard input ends."""
    settings = json.loads(sys.stdin.readline())
    launcher = VisitLauncher()
    try:
        with contextlib.suppress(KeyboardInterrupt):
            launcher.start(compiler=True)
            launcher.machine()
            _answer({"ready": True})
            for line in sys.stdin:
                _answer(_visited(launcher, settings, json.loads(line)["pair"]))
    finally:
        launcher.close()


def _visited(launcher: VisitLauncher, settings: dict[str, Any], index: int) -> dict[str, Any]:
    task = Task(PAIRS[index].family(), settings["seconds"], settings["threads"])
    cache = Path(settings["cache"]) / f"pair-{index}"
    try:
        return asdict(launcher.visit_pair(VisitTask(task, settings["placements"], str(cache))))
    except WorkerError as error:
        return {"error": str(error)}


def _answer(value: dict[str, Any]) -> None:
    print(json.dumps(value), flush=True)
