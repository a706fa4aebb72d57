"""Wherever a run's journal is torn off, what is resumed ends with the very records of an undisturbed run.

The workers are stood in for by one whose answers follow from the case alone: real ones never answer twice the same.
"""

import json
import random
from pathlib import Path
from typing import Any

import pytest

from torchduet.bench.cases.exchange import CaseResult, ContextSwitches, FamilyResult, Task
from torchduet.bench.host.machine import Machine, probe
from torchduet.bench.plan.options import parse
from torchduet.bench.record import journal
from torchduet.bench.record.telemetry import Telemetry
from torchduet.bench.run import resume
from torchduet.bench.run.measuring import Measuring
from torchduet.bench.run.session import Session
from torchduet.bench.run.settings import Settings
from torchduet.bench.workers.launcher import WorkerError

SUITE = str(Path(__file__).parent / "workloads" / "small.py")
NOTHING = dict.fromkeys(("device", "mode", "precision", "workers", "data", "threads"))
MOMENTS = 20


class Answers:
    """A launcher whose workers answer at once; of one workload they die."""

    def __init__(self) -> None:
        self.measured: list[str] = []

    def start(self, *, compiler: bool) -> None:
        pass

    def machine(self) -> Machine:
        return MACHINE

    def pilots(self, *_: float) -> dict[str, float]:
        return {"arithmetic": 1e-4, "memory": 3e-3, "calls": 5e-5}

    def ceilings(self, *_: object) -> list[dict[str, Any]]:
        return [{"device": "cpu", "flops_per_second": {"fp32": 1e10}, "bytes_per_second": {}, "operator_seconds": 1e-6}]

    def measure(self, task: Task, _: object) -> FamilyResult:
        self.measured.append(task.family.name)
        if "n=4000" in task.family.name:
            raise WorkerError("the worker was killed by SIGKILL")
        return FamilyResult(
            [self.result(case) for case in task.family.cases],
            "precise",
            {"timed": 1.0, "warming": 0.25},
            Telemetry(1.0, others=0.5, steal=0.03),
        )

    def result(self, case: Any) -> CaseResult:
        chance = random.Random(case.id)
        return CaseResult(
            case,
            blocks=[[chance.uniform(1e-5, 1.2e-5) for _ in range(5)] for _ in range(12)],
            disturbed=[0] * 12,
            context_switches=ContextSwitches(60, 2, 3, 0.05),
            first_call={"seconds": 0.1, "calls": 1},
            check={"what": "values", "relative_error": 0.0, "tolerance": 1e-5},
            clock="perf_counter",
        )


MACHINE = probe()


def run(path: Path, *, again: bool) -> tuple[Session, Answers]:
    """A run from its beginning or its journal to its end."""
    launcher: Any = Answers()
    options = parse(tier="quick", suite=[SUITE], budget="10m", **NOTHING)  # type: ignore[arg-type]
    measuring = Measuring(Settings(options, MACHINE), launcher)
    session, progress = Session(measuring), measuring.progress
    measuring.plan([case for _, case in measuring.settings.selection.cases(SUITE)])
    resume.begin(measuring, path, resume=again)
    for family in progress.families:
        for case in family.reported:
            session.outcome(case)
    assert progress.journal is not None
    progress.journal.close()
    return session, launcher


def outcome(session: Session) -> dict[str, Any]:
    """All that the JSON says of the cases and of what the run measured of the machine, but for times of day."""
    about = session.run_record()
    of_run = {name: about.get(name) for name in ("failed", "skipped", "unreached", "ceilings", "noise", "options")}
    seconds = {name: about["seconds"][name] for name in ("timed", "warming")}  # type: ignore[literal-required]
    return json.loads(json.dumps({"records": session.records(), "seconds": seconds, **of_run}))


def test_torn_off_at_any_byte_it_ends_with_the_records_of_an_undisturbed_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    path = tmp_path / "run.json"
    undisturbed, launcher = run(path, again=False)
    expected = outcome(undisturbed)
    assert len(expected["records"]) == 3
    assert len(expected["failed"]) == 1
    content = journal.path_for(path).read_bytes()
    families = len(launcher.measured)
    first_line = content.index(b"\n") + 1
    chance = random.Random(7)
    spared = 0
    for cut in [*(chance.randrange(first_line, len(content)) for _ in range(MOMENTS)), first_line, len(content)]:
        journal.path_for(path).write_bytes(content[:cut])
        resumed, launcher = run(path, again=True)
        assert outcome(resumed) == expected, cut
        assert len(resumed.progress.resumed) == 1
        spared += families - len(launcher.measured)
    assert spared > MOMENTS / 2  # and what the journal holds is not measured again
