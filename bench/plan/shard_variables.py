"""``--shard auto``: which shard this process is, from the variables that CI systems and schedulers set.

Only variables that their documentation names, with the number at which it says that counting begins.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass

from torchduet.bench.cases.option_values import OptionError
from torchduet.bench.plan.shards import MAX_SHARDS, Shard

OWN_INDEX, OWN_TOTAL = "TORCHDUET_SHARD_INDEX", "TORCHDUET_SHARD_TOTAL"
SLURM_ID, SLURM_COUNT = "SLURM_ARRAY_TASK_ID", "SLURM_ARRAY_TASK_COUNT"
SLURM_MIN, SLURM_MAX = "SLURM_ARRAY_TASK_MIN", "SLURM_ARRAY_TASK_MAX"


@dataclass(frozen=True)
class Source:
    """Two variables of one system, and the number of its first job."""

    system: str
    index: str
    total: str
    first: int


OWN = Source("your own", OWN_INDEX, OWN_TOTAL, 0)
SYSTEMS = (
    Source("GitLab", "CI_NODE_INDEX", "CI_NODE_TOTAL", 1),
    Source("Kubernetes", "JOB_COMPLETION_INDEX", OWN_TOTAL, 0),
    Source("Buildkite", "BUILDKITE_PARALLEL_JOB", "BUILDKITE_PARALLEL_JOB_COUNT", 0),
    Source("CircleCI", "CIRCLE_NODE_INDEX", "CIRCLE_NODE_TOTAL", 0),
)


def shard_of_environment(environment: Mapping[str, str] = os.environ) -> Shard:
    """The shard that the environment names; our own variables come before those of any system.

    Raises:
        OptionError: it names none, or only a part of one, or something that is no shard, or two different ones.
    """
    if OWN.index in environment:
        if OWN.total not in environment:
            raise _refused(f"{OWN.index} is set and {OWN.total} is not: set both")
        return _of(OWN, environment)
    found = {
        source.system: _of(source, environment)
        for source in SYSTEMS
        if source.index in environment and source.total in environment
    }
    if SLURM_ID in environment and all(name in environment for name in (SLURM_MIN, SLURM_MAX, SLURM_COUNT)):
        found["Slurm"] = _of_slurm(environment)
    if len(set(found.values())) > 1:
        named = ", ".join(f"{system} {shard}" for system, shard in found.items())
        raise _refused(f"the environment names different shards ({named}): give --shard K/N")
    if not found:
        raise _refused(_missing(environment))
    return next(iter(found.values()))


def _of(source: Source, environment: Mapping[str, str]) -> Shard:
    total = _number(source.total, environment)
    index = _number(source.index, environment) - source.first + 1
    if not 1 <= total <= MAX_SHARDS:
        raise _refused(f"{source.total}={total}: the number of shards must be from 1 to {MAX_SHARDS}")
    if not 1 <= index <= total:
        given, last = f"{source.index}={environment[source.index]}", source.first + total - 1
        raise _refused(f"{given}: with {source.total}={total} it is from {source.first} to {last}")
    return Shard(index, total)


def _of_slurm(environment: Mapping[str, str]) -> Shard:
    """The task's place in its array, which may begin anywhere and have a step: ``--array=10-40:10``."""
    task, first, last, count = (_number(name, environment) for name in (SLURM_ID, SLURM_MIN, SLURM_MAX, SLURM_COUNT))
    step = max(1, (last - first) // max(1, count - 1))  # follows from the others, whatever SLURM_ARRAY_TASK_STEP is
    index, rest = divmod(task - first, step)
    if first + step * (count - 1) != last or rest or not 0 <= index < count:
        raise _refused(
            f"{SLURM_ID}={task} is none of {count} evenly spaced tasks from {first} to {last}, so its "
            "place among them is not known: submit a range such as --array=1-8, or give --shard K/N"
        )
    if count > MAX_SHARDS:
        raise _refused(f"{SLURM_COUNT}={count}: the number of shards must be from 1 to {MAX_SHARDS}")
    return Shard(index + 1, count)


def _number(name: str, environment: Mapping[str, str]) -> int:
    text = environment[name].strip()
    if not re.fullmatch(r"[0-9]{1,9}", text):
        raise _refused(f"{name}={environment[name]!r}: is no whole number")
    return int(text)


def _missing(environment: Mapping[str, str]) -> str:
    """What is missing: the other variable of a system of which one is set, or all."""
    for source in SYSTEMS:
        if source.index in environment:
            return f"{source.index} is set and {source.total} is not: set it to the number of shards"
    if SLURM_ID in environment:
        absent = next(name for name in (SLURM_MIN, SLURM_MAX, SLURM_COUNT) if name not in environment)
        return f"{SLURM_ID} is set and {absent} is not: give --shard K/N"
    for source in (OWN, *SYSTEMS):
        if source.total in environment:
            return f"{source.total} is set and {source.index} is not: start parallel jobs, or give --shard K/N"
    names = ", ".join([*(source.index for source in (*SYSTEMS, OWN)), SLURM_ID])
    return f"none of {names} is set; on GitHub Actions set {OWN_INDEX} and {OWN_TOTAL}, or give --shard K/N"


def _refused(why: str) -> OptionError:
    return OptionError(f"--shard auto: {why}")
