"""``--shard auto``: the variables of CI systems and schedulers, as their documentation has them."""

from __future__ import annotations

import pytest

from torchduet.bench.cases.option_values import OptionError
from torchduet.bench.plan.shard_variables import shard_of_environment

SLURM = ("SLURM_ARRAY_TASK_ID", "SLURM_ARRAY_TASK_MIN", "SLURM_ARRAY_TASK_MAX", "SLURM_ARRAY_TASK_COUNT")


def slurm(task: int, first: int, last: int, count: int) -> dict[str, str]:
    return dict(zip(SLURM, map(str, (task, first, last, count)), strict=True))


@pytest.mark.parametrize(
    ("environment", "shard"),
    [
        ({"TORCHDUET_SHARD_INDEX": "0", "TORCHDUET_SHARD_TOTAL": "4"}, "1/4"),  # ${{ strategy.job-index }} is from 0
        ({"CI_NODE_INDEX": "1", "CI_NODE_TOTAL": "5"}, "1/5"),
        ({"CI_NODE_INDEX": "5", "CI_NODE_TOTAL": "5"}, "5/5"),
        ({"JOB_COMPLETION_INDEX": "7", "TORCHDUET_SHARD_TOTAL": "8"}, "8/8"),
        ({"BUILDKITE_PARALLEL_JOB": "0", "BUILDKITE_PARALLEL_JOB_COUNT": "2"}, "1/2"),
        ({"CIRCLE_NODE_INDEX": "3", "CIRCLE_NODE_TOTAL": "4"}, "4/4"),
        ({"CIRCLE_NODE_INDEX": "0", "CIRCLE_NODE_TOTAL": "1"}, "1/1"),
        (slurm(0, 0, 7, 8), "1/8"),
        (slurm(8, 1, 8, 8), "8/8"),
        (slurm(5, 5, 5, 1), "1/1"),
        (slurm(30, 10, 40, 4) | {"SLURM_ARRAY_TASK_STEP": "10"}, "3/4"),
        (slurm(5, 1, 7, 4), "3/4"),  # --array=1-7:2
        (slurm(3, 1, 7, 4), "2/4"),  # --array=1,3,5,7
    ],
)
def test_the_shard_of_each_system(environment: dict[str, str], shard: str) -> None:
    assert str(shard_of_environment(environment)) == shard


def test_our_own_variables_come_first_and_systems_that_agree_are_no_conflict() -> None:
    gitlab = {"CI_NODE_INDEX": "2", "CI_NODE_TOTAL": "3"}
    own = {"TORCHDUET_SHARD_INDEX": "0", "TORCHDUET_SHARD_TOTAL": "9"}
    assert str(shard_of_environment({**gitlab, **own})) == "1/9"
    assert str(shard_of_environment({**gitlab, **slurm(1, 0, 2, 3)})) == "2/3"


def test_a_job_of_gitlab_without_parallel_does_not_hide_another_system() -> None:
    assert str(shard_of_environment({"CI_NODE_TOTAL": "1", **slurm(2, 1, 4, 4)})) == "2/4"


@pytest.mark.parametrize(
    ("environment", "why"),
    [
        ({}, r"none of CI_NODE_INDEX, .*SLURM_ARRAY_TASK_ID is set; on GitHub Actions set TORCHDUET_SHARD_INDEX and"),
        ({"CI_NODE_TOTAL": "1"}, "CI_NODE_TOTAL is set and CI_NODE_INDEX is not: start parallel jobs"),
        ({"TORCHDUET_SHARD_INDEX": "1"}, "TORCHDUET_SHARD_INDEX is set and TORCHDUET_SHARD_TOTAL is not: set both"),
        ({"TORCHDUET_SHARD_TOTAL": "1"}, "TORCHDUET_SHARD_TOTAL is set and TORCHDUET_SHARD_INDEX is not"),
        ({"JOB_COMPLETION_INDEX": "1"}, "JOB_COMPLETION_INDEX is set and TORCHDUET_SHARD_TOTAL is not: set it to the"),
        ({"SLURM_ARRAY_TASK_ID": "1"}, "SLURM_ARRAY_TASK_ID is set and SLURM_ARRAY_TASK_MIN is not: give --shard K/N"),
        ({"CI_NODE_INDEX": "6", "CI_NODE_TOTAL": "5"}, "CI_NODE_INDEX=6: with CI_NODE_TOTAL=5 it is from 1 to 5"),
        ({"CI_NODE_INDEX": "0", "CI_NODE_TOTAL": "5"}, "CI_NODE_INDEX=0: with CI_NODE_TOTAL=5 it is from 1 to 5"),
        (
            {"CIRCLE_NODE_INDEX": "4", "CIRCLE_NODE_TOTAL": "4"},
            "CIRCLE_NODE_INDEX=4: with CIRCLE_NODE_TOTAL=4 it is from 0 to 3",
        ),
        ({"CI_NODE_INDEX": "one", "CI_NODE_TOTAL": "5"}, "CI_NODE_INDEX='one': is no whole number"),
        ({"CI_NODE_INDEX": "1", "CI_NODE_TOTAL": "0"}, "CI_NODE_TOTAL=0: the number of shards must be from 1 to 9999"),
        (slurm(6, 1, 9, 4), "SLURM_ARRAY_TASK_ID=6 is none of 4 evenly spaced tasks from 1 to 9"),  # 1,2,6,9
        (slurm(2, 1, 9, 4), "submit a range such as --array=1-8, or give --shard K/N"),
        (slurm(9, 0, 7, 8), "SLURM_ARRAY_TASK_ID=9 is none of 8"),
        (
            {"CI_NODE_INDEX": "2", "CI_NODE_TOTAL": "3", **slurm(1, 0, 7, 8)},
            r"different shards \(GitLab 2/3, Slurm 2/8\): give --shard K/N",
        ),
    ],
)
def test_what_is_missing_or_contradicts_is_one_line(environment: dict[str, str], why: str) -> None:
    with pytest.raises(OptionError, match=rf"^--shard auto: .*{why}") as refused:
        shard_of_environment(environment)
    assert "\n" not in str(refused.value)
