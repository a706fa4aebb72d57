"""The order of trials, one at a time, and the file in which their answers are kept."""

from __future__ import annotations

import contextlib
import random
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from time import monotonic
from typing import Any

from torchduet.bench.host.atomic_files import write_json
from torchduet.bench.peers.cases import CHOSEN, SIDES
from torchduet.bench.peers.tools import asv, pyperf, pytest_benchmark, torch_timer, torchduet
from torchduet.bench.peers.tools.place import Answer, Place
from torchduet.bench.selfcheck.neighbours import neighbours

SEED = "torchduet peers"


@dataclass(frozen=True)
class Tool:
    """A tool, the rule by which it says that two sides differ, and how it is run."""

    name: str
    rule: str
    trial: Callable[[Place], list[Answer]]
    at_once: int | None = None  # cases in one trial, in turn; of a tool that takes minutes for each

    @property
    def slow(self) -> bool:
        """Whether a trial is a part of its cases only."""
        return self.at_once is not None

    def cases_of(self, repeat: int) -> tuple[str, ...]:
        """The cases of a trial."""
        if self.at_once is None:
            return tuple(CHOSEN)
        names = list(CHOSEN)
        start = repeat * self.at_once % len(names)
        return tuple(names[start : start + self.at_once])


TOOLS = (
    Tool(torchduet.NAME, torchduet.RULE, torchduet.trial),
    Tool(pytest_benchmark.NAME, pytest_benchmark.RULE, pytest_benchmark.trial),
    Tool("torch.utils.benchmark, blocked", torch_timer.RULE, partial(torch_timer.trial, method="blocked")),
    Tool("torch.utils.benchmark, adaptive", torch_timer.RULE, partial(torch_timer.trial, method="adaptive")),
    Tool(asv.NAME, asv.RULE, asv.trial),
    Tool(pyperf.NAME, pyperf.RULE, pyperf.trial, at_once=2),
)


@dataclass(frozen=True)
class Condition:
    """What goes on beside the benchmark: ``busy`` cores are kept busy by another process meanwhile."""

    name: str
    threads: int
    busy: int = 0


def conditions(cores: int) -> dict[str, Condition]:
    """Alone with all cores, and with all but one beside a process that keeps one busy."""
    return {
        "idle": Condition("idle", cores),
        "busy": Condition("busy", cores - 1, busy=1),
    }


Plan = list[tuple[Condition, Tool]]


@dataclass
class Kept:
    """Everything that was found, written anew after each trial: whole, or as it was before.

    Attributes:
        path: the JSON file.
        about: the machine, the versions and the calibration.
        trials: one per tool, condition and repeat, with its answers or its error.
    """

    path: Path
    about: dict[str, Any]
    trials: list[dict[str, Any]] = field(default_factory=list)

    def add(self, trial: dict[str, Any]) -> None:
        """Keep one more.

        Raises:
            OSError: the file cannot be written; what it held before stands.
        """
        self.trials.append(trial)
        write_json({**self.about, "trials": self.trials}, self.path)


def order(tools: Sequence[Tool], chosen: Sequence[Condition], repeats: int, slow_repeats: int) -> Plan:
    """Conditions in turns within a repeat, tools in random order within each."""
    rng = random.Random(SEED)
    plan: Plan = []
    for repeat in range(max(repeats, slow_repeats)):
        for condition in chosen:
            due = [tool for tool in tools if repeat < (slow_repeats if tool.slow else repeats)]
            plan += [(condition, tool) for tool in rng.sample(due, len(due))]
    return plan


def run(
    plan: Plan,
    settings: Mapping[str, Path],
    seconds: float,
    kept: Kept,
    tell: Callable[[str], None],
) -> None:
    """All trials of a plan. A tool that fails costs its own trial.

    Args:
        settings: condition's name → the file that says threads and turns.
        seconds: of timing for each side of a comparison.
        tell: gets a line before and after each trial.
    """
    spent: dict[str, list[float]] = {}
    for done, (condition, tool) in enumerate(plan):
        left = _seconds_left(plan[done:], spent)
        remaining = "" if left is None else f"; about {left / 60:.0f} min left"
        tell(f"[{done + 1}/{len(plan)}] {condition.name}, {tool.name}{remaining}")
        start = monotonic()
        repeat = sum(one["tool"] == tool.name and one["condition"] == condition.name for one in kept.trials)
        answers, error = _one(condition, tool, settings[condition.name], seconds, tool.cases_of(repeat))
        took = monotonic() - start
        spent.setdefault(tool.name, []).append(took)
        if error:
            tell(f"  it failed: {error}")
        kept.add(
            {
                "tool": tool.name,
                "rule": tool.rule,
                "condition": condition.name,
                "threads": condition.threads,
                "repeat": repeat,
                "seconds": took,
                "error": error,
                "answers": [{**vars(answer), "injected": SIDES[answer.side]} for answer in answers],
            }
        )


def _one(
    condition: Condition, tool: Tool, setting: Path, seconds: float, cases: Sequence[str]
) -> tuple[list[Answer], str | None]:
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="torchduet-peers-")))
        if condition.busy:
            stack.enter_context(neighbours(condition.busy))
        try:
            return tool.trial(Place(folder, setting, condition.threads, seconds, cases)), None
        except Exception as error:  # noqa: BLE001 - becomes the reason of this trial
            return [], str(error) or type(error).__name__


def _seconds_left(plan: Plan, spent: Mapping[str, list[float]]) -> float | None:
    """By what each tool's trials took so far; None while one that is due has not run yet."""
    if any(tool.name not in spent for _, tool in plan):
        return None
    return sum(sum(spent[tool.name]) / len(spent[tool.name]) for _, tool in plan)
