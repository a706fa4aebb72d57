"""Shards: disjoint, complete, whole families, balanced, and the same on every machine."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from torchduet.bench.cases.option_values import OptionError
from torchduet.bench.plan.shards import Shard, Weights, cut, parse_shard, plan_digest

SECONDS = st.floats(0, 1e6) | st.integers(0, 20).map(float)
KINDS = st.sampled_from(["", "a", "b"])
SUITES = st.dictionaries(st.text(min_size=1, max_size=12), st.dictionaries(KINDS, SECONDS, max_size=3), max_size=40)


def longest(families: dict[str, Weights], shards: list[list[str]], kind: str = "") -> float:
    return max(sum(families[name].get(kind, 0.0) for name in shard) for shard in shards)


def ideal(families: dict[str, Weights], number: int, kind: str = "") -> float:
    """No shard can be shorter than the longest family, nor all shorter than their mean."""
    seconds = [weights.get(kind, 0.0) for weights in families.values()]
    return max([sum(seconds) / number, *seconds])


def like_a_run(number: int, seed: int) -> dict[str, Weights]:
    """Durations as families have them: many short ones, and a few that take ten times as long."""
    rng = random.Random(seed)
    return {f"suite.workload[n={index}]": {"": rng.lognormvariate(0, 1)} for index in range(number)}


@given(SUITES, st.integers(1, 50))
def test_every_family_is_in_exactly_one_shard(families: dict[str, Weights], number: int) -> None:
    shards = cut(families, number)
    assert len(shards) == number
    assert sorted(name for shard in shards for name in shard) == sorted(families)


@given(SUITES, st.integers(1, 12), st.randoms(use_true_random=False))
def test_the_cut_does_not_depend_on_the_order_of_the_families(
    families: dict[str, Weights], number: int, rng: random.Random
) -> None:
    shuffled = list(families.items())
    rng.shuffle(shuffled)
    assert cut(dict(shuffled), number) == cut(families, number)
    cases = [f"{name} cpu" for name in families]
    assert plan_digest(dict(shuffled), cases[::-1], number) == plan_digest(families, cases, number)


def test_the_cut_does_not_depend_on_the_process() -> None:
    code = """
import json, sys
from torchduet.bench.plan.shards import cut, plan_digest
families = json.load(sys.stdin)
print(json.dumps([cut(families, 7), plan_digest(families, set(families), 7)]))
"""
    families = like_a_run(200, seed=4)
    answers = {
        subprocess.run(
            [sys.executable, "-c", code],
            input=json.dumps(families),
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("0", "1", "4242")
    }
    assert [json.loads(answer) for answer in answers] == [[cut(families, 7), plan_digest(families, families, 7)]]


@given(st.lists(st.floats(0.1, 1000), min_size=1, max_size=60), st.integers(1, 20))
def test_shards_are_balanced_if_no_family_is_long(seconds: list[float], number: int) -> None:
    """Then any assignment to the least loaded shard is within the longest family of the mean (Graham, 1969)."""
    mean = sum(seconds) / number
    families: dict[str, Weights] = {}
    for index, each in enumerate(seconds):  # in parts of at most a tenth of a shard
        parts = int(each // (0.1 * mean)) + 1
        families |= {f"{index} {part}": {"": each / parts} for part in range(parts)}
    assert longest(families, cut(families, number)) <= 1.1 * ideal(families, number) * (1 + 1e-6)


@pytest.mark.parametrize("families", [33, 59, 186, 771])
@pytest.mark.parametrize("number", [2, 3, 4, 5, 8, 10, 16])
def test_shards_are_balanced_with_the_durations_of_a_run(families: int, number: int) -> None:
    for seed in range(3):
        suite = like_a_run(families, seed)
        assert longest(suite, cut(suite, number)) <= 1.1 * ideal(suite, number)


def test_shards_are_better_than_the_longest_first_where_that_is_bad() -> None:
    """The rule alone puts 3 3 | 2 2 2 and then has no place for the last; the optimum is 6 and 6."""
    families = {name: {"": seconds} for name, seconds in zip("abcde", (3.0, 3.0, 2.0, 2.0, 2.0), strict=True)}
    assert longest(families, cut(families, 2)) == 6.0


def test_one_cut_is_balanced_on_every_kind_of_machine() -> None:
    rng = random.Random(2)
    families: dict[str, Weights] = {f"both {index}": {"cpu": rng.lognormvariate(0, 1)} for index in range(100)}
    families = {name: {**weights, "cuda": rng.lognormvariate(1, 1)} for name, weights in families.items()}
    families |= {f"GPU only {index}": {"cuda": rng.lognormvariate(1, 1)} for index in range(60)}
    for number in (2, 4, 8):
        shards = cut(families, number)
        for kind in ("cpu", "cuda"):
            assert longest(families, shards, kind) <= 1.1 * ideal(families, number, kind)


def test_families_of_unknown_length_are_spread() -> None:
    families: dict[str, Weights] = {f"family {index}": {} for index in range(12)}
    assert sorted(map(len, cut(families, 5))) == [2, 2, 2, 3, 3]
    assert sorted(map(len, cut(families, 20))) == [0] * 8 + [1] * 12


def test_a_digest_tells_what_was_cut() -> None:
    families: dict[str, Weights] = {"a": {"": 1.0}, "b": {"": 2.0}}
    others = [
        plan_digest(families, ["a cpu", "b cpu"], 3),
        plan_digest(families, ["a cpu", "b cuda"], 2),
        plan_digest(families | {"c": {"": 1.0}}, ["a cpu", "b cpu"], 2),
        plan_digest({"a": {"": 1.0}, "b": {"": 2.1}}, ["a cpu", "b cpu"], 2),
    ]
    digest = plan_digest(families, ["a cpu", "b cpu"], 2)
    assert len({digest, *others}) == 5
    assert len(digest) == 8
    assert int(digest, 16) >= 0


def test_shards_are_named_as_k_of_n() -> None:
    assert parse_shard(" 2/8 ") == Shard(2, 8)
    assert str(parse_shard("10/10")) == "10/10"
    for text in ("", "2", "2/", "/8", "a/b", "2/8/1", "-1/8", "1.5/2", "2 of 8", "٢/٨"):
        with pytest.raises(OptionError, match=r"--shard '.*': use K/N, e.g. 2/8"):
            parse_shard(text)
    for text in ("0/8", "9/8"):
        with pytest.raises(OptionError, match="shards are numbered from 1 to 8"):
            parse_shard(text)
    for text in ("1/0", "1/10000"):
        with pytest.raises(OptionError, match="the number of shards must be from 1 to 9999"):
            parse_shard(text)
