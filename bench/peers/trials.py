"""Runs the trials of a plan one at a time, and writes their answers to a file."""

from __future__ import annotations

import contextlib
import math
import random
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from time import monotonic
from typing import Any

from torchduet.bench.host.atomic_files import write_json
from torchduet.bench.peers.cases import OTHER, SIDES, UNLIKE, WORKLOADS
from torchduet.bench.peers.tools import asv, pyperf, pytest_benchmark, torch_timer, torchduet, torchduet_compare
from torchduet.bench.peers.tools.trial import Answer, Trial
from torchduet.bench.selfcheck.neighbours import neighbours

SEED = "torchduet peers"


@dataclass(frozen=True)
class Subjects:
    """What the trials are about: cases and the sides that are compared with their base.

    Attributes:
        sides: side → the factor by which it takes longer, None where nobody knows.
        sittings: repeats in which a slow tool has the same cases, before it takes the next ones.
    """

    name: str
    cases: Sequence[str]
    sides: Mapping[str, float | None]
    sittings: int = 1

    def repeats_of(self, tool: Tool) -> int:
        """How many trials a tool needs until every case has had its sittings."""
        return self.sittings * math.ceil(len(self.cases) / (tool.cases_per_trial or len(self.cases)))


COPIES = Subjects("copies", tuple(WORKLOADS), SIDES)
PAIRS = Subjects("unlike", tuple(UNLIKE), {OTHER: None}, sittings=2)


@dataclass(frozen=True)
class Tool:
    """A tool, the rule by which it calls two sides different, and how it is run."""

    name: str
    rule: str
    run: Callable[[Trial], list[Answer]]
    cases_per_trial: int | None = None  # of a tool that takes minutes for each case; None: all cases

    @property
    def slow(self) -> bool:
        """Whether a trial has a part of the cases only."""
        return self.cases_per_trial is not None

    def cases_of(self, repeat: int, subjects: Subjects = COPIES) -> tuple[str, ...]:
        """The cases of a trial; a slow tool takes the next ones in each repeat, or after the subjects' number of it."""
        names = tuple(subjects.cases)
        if self.cases_per_trial is None:
            return names
        start = repeat // subjects.sittings * self.cases_per_trial % len(names)
        return names[start : start + self.cases_per_trial]


TOOLS = (
    Tool(torchduet.NAME, torchduet.RULE, torchduet.run),
    Tool(torchduet_compare.NAME, torchduet_compare.RULE, torchduet_compare.run),
    Tool(pytest_benchmark.NAME, pytest_benchmark.RULE, pytest_benchmark.run),
    Tool("torch.utils.benchmark, blocked", torch_timer.RULE, partial(torch_timer.run, method="blocked")),
    Tool("torch.utils.benchmark, adaptive", torch_timer.RULE, partial(torch_timer.run, method="adaptive")),
    Tool(asv.NAME, asv.RULE, asv.run),
    Tool(pyperf.NAME, pyperf.RULE, pyperf.run, cases_per_trial=2),
)


@dataclass(frozen=True)
class Condition:
    """The load beside the benchmark: other processes keep ``busy`` cores busy."""

    name: str
    threads: int
    busy: int = 0


def conditions(cores: int) -> dict[str, Condition]:
    """Idle: with all cores and no other load. Busy: with all cores but one, beside a process that keeps one busy."""
    return {
        "idle": Condition("idle", cores),
        "busy": Condition("busy", cores - 1, busy=1),
    }


Plan = list[tuple[Condition, Tool]]


@dataclass
class Results:
    """The results of all trials; the file is replaced as a whole after each of them.

    Attributes:
        path: the JSON file.
        about: the machine, the versions and the calibration.
        trials: one per tool, condition and repeat, with its answers or its error.
    """

    path: Path
    about: dict[str, Any]
    trials: list[dict[str, Any]] = field(default_factory=list)

    def add(self, trial: dict[str, Any]) -> None:
        """Add a trial and write the file.

        Raises:
            OSError: the file cannot be written; it has its former contents.
        """
        self.trials.append(trial)
        write_json({**self.about, "trials": self.trials}, self.path)


def make_plan(tools: Sequence[Tool], conditions: Sequence[Condition], repeats: int, slow_repeats: int) -> Plan:
    """The order of the trials of copies."""
    return _in_random_order(tools, conditions, lambda tool: slow_repeats if tool.slow else repeats)


def plan_of_sittings(tools: Sequence[Tool], conditions: Sequence[Condition], subjects: Subjects) -> Plan:
    """The order of the trials of unlike pairs: every tool compares every pair in so many sittings."""
    return _in_random_order(tools, conditions, subjects.repeats_of)


def _in_random_order(tools: Sequence[Tool], conditions: Sequence[Condition], repeats_of: Callable[[Tool], int]) -> Plan:
    """In each repeat all conditions, in each of these the tools in random order."""
    rng = random.Random(SEED)
    plan: Plan = []
    for repeat in range(max(map(repeats_of, tools), default=0)):
        for condition in conditions:
            due = [tool for tool in tools if repeat < repeats_of(tool)]
            plan += [(condition, tool) for tool in rng.sample(due, len(due))]
    return plan


def run(
    plan: Plan,
    settings: Mapping[str, Path],
    seconds: float,
    results: Results,
    report: Callable[[str], None],
    subjects: Subjects = COPIES,
) -> None:
    """Run all trials of a plan. If a tool fails, only its own trial has no answers.

    Args:
        settings: condition's name → the file with threads and turns.
        seconds: of timing for each side of a comparison.
        report: gets a line before each trial, and one after a trial that failed.
    """
    spent: dict[str, list[float]] = {}
    for done, (condition, tool) in enumerate(plan):
        left = _seconds_left(plan[done:], spent)
        remaining = "" if left is None else f"; about {left / 60:.0f} min left"
        report(f"[{done + 1}/{len(plan)}] {condition.name}, {tool.name}{remaining}")
        start = monotonic()
        repeat = sum(
            (trial["tool"], trial["condition"], subjects_of(trial)) == (tool.name, condition.name, subjects.name)
            for trial in results.trials
        )
        cases = tool.cases_of(repeat, subjects)
        answers, error = _run_trial(condition, tool, settings[condition.name], seconds, cases, tuple(subjects.sides))
        took = monotonic() - start
        spent.setdefault(tool.name, []).append(took)
        if error:
            report(f"  it failed: {error}")
        results.add(
            {
                "tool": tool.name,
                "rule": tool.rule,
                "subjects": subjects.name,
                "condition": condition.name,
                "threads": condition.threads,
                "repeat": repeat,
                "seconds": took,
                "error": error,
                "answers": [{**vars(answer), "injected": subjects.sides[answer.side]} for answer in answers],
            }
        )


def subjects_of(trial: Mapping[str, Any]) -> str:
    """What a recorded trial was about; files of earlier versions have trials of copies only."""
    return str(trial.get("subjects", COPIES.name))


def _run_trial(
    condition: Condition, tool: Tool, settings: Path, seconds: float, cases: Sequence[str], sides: Sequence[str]
) -> tuple[list[Answer], str | None]:
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="torchduet-peers-")))
        if condition.busy:
            stack.enter_context(neighbours(condition.busy))
        try:
            return tool.run(Trial(folder, settings, condition.threads, seconds, cases, sides)), None
        except Exception as error:  # noqa: BLE001 - becomes the reason of this trial
            return [], str(error) or type(error).__name__


def _seconds_left(plan: Plan, spent: Mapping[str, list[float]]) -> float | None:
    """Estimated from the trials of each tool so far; None while a tool of the plan has had no trial."""
    if any(tool.name not in spent for _, tool in plan):
        return None
    return sum(sum(spent[tool.name]) / len(spent[tool.name]) for _, tool in plan)
