"""Measures again, in another process, what a case has left its process unable to measure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from torchduet.bench.cases.exchange import FamilyResult, Task


def measured_again(task: Task, answer: FamilyResult, measure: Callable[[Task], FamilyResult]) -> FamilyResult:
    """The answer of a process that one case left unable to measure the others: with these from another process.

    Args:
        measure: measures a task in another process.
    """
    remaining = tuple(case for case in task.family.cases if case != answer.broken)
    failed = [result for result in answer.results if result.case == answer.broken]
    if not remaining:
        return replace(answer, results=failed)
    second = measure(replace(task, family=replace(task.family, cases=remaining)))
    seconds = {stage: spent + answer.seconds.get(stage, 0.0) for stage, spent in second.seconds.items()}
    return replace(second, results=[*second.results, *failed], seconds=seconds)
