"""Runs that must not be one: a single message names all reasons, with the values and the documents."""

from __future__ import annotations

from typing import Any

import pytest

from tests.merge.made_parts import ANOTHER_CPU, about, copy, named, part, records, shards
from torchduet.bench.merge.merging import MergeError, merge, merged
from torchduet.bench.record.schema import KEY


def why(*documents: Any) -> str:
    """The message of the refusal."""
    with pytest.raises(MergeError) as refusal:
        merged(named(*documents))
    return str(refusal.value)


@pytest.mark.parametrize(
    ("machine", "says"),
    [
        ({"torch": "2.8.0"}, "PyTorch: 2.9.1 in a.json, 2.8.0 in b.json"),
        ({"torch": "2.9.1+cu126"}, "PyTorch: 2.9.1 in a.json, 2.9.1+cu126 in b.json"),
        ({"python": "3.13.1"}, "Python: 3.12 in a.json, 3.13 in b.json"),
        ({"driver": "560.1"}, "driver: not given in a.json, 560.1 in b.json"),
    ],
)
def test_other_versions(machine: dict[str, Any], says: str) -> None:
    assert says in why(part(1), part(2, machine=machine))


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"threads": 2}, "threads: 1 in a.json, 2 in b.json"),
        ({"cache": "cold"}, "cache: not given in a.json, cold in b.json"),
        ({"data": "openml:mnist_784"}, "data: not given in a.json, openml:mnist_784 in b.json"),
        ({"of_a_later_version": 3}, "of a later version: not given in a.json, 3 in b.json"),
    ],
)
def test_other_options(options: dict[str, Any], says: str) -> None:
    assert says in why(part(1), part(2, options=options))


def test_another_torchduet_or_commit() -> None:
    other = copy(part(2))
    other[KEY]["version"] = "0.2.0"
    other["commit_info"]["id"] = "fedcba9876543210"
    message = why(part(1), other)
    assert "Torchduet: 0.1.0 in a.json, 0.2.0 in b.json" in message
    assert "commit: 0123456789ab in a.json, fedcba987654 in b.json" in message
    assert message.count("\n") == 0


def test_a_commit_with_changes_is_another_one() -> None:
    other = copy(part(2))
    other["commit_info"]["dirty"] = True
    assert "commit: 0123456789ab in a.json, 0123456789ab-dirty in b.json" in why(part(1), other)


def test_what_selects_cases_may_differ() -> None:
    whole = merged(named(part(1), part(2, options={"tier": "default", "suite": "matmul", "mode": "eager"})))
    assert about(whole)["options"]["tier"] == "quick, default"


def test_patches_of_python_and_unknown_commits_may_differ() -> None:
    other = copy(part(2, machine={"python": "3.12.9", "memory_bytes": 8 * 2**30 + 4096}))
    other["commit_info"] = {"id": "unversioned", "dirty": False}
    assert len(about(merged(named(part(1), other)))["parts"]) == 2


def test_machines_of_another_kind_may_have_another_build_driver_and_number_of_threads() -> None:
    gpu = {**ANOTHER_CPU, "torch": "2.9.1+cu126", "driver": "560.1", "cuda": "12.6"}
    whole = merged(named(part(1), part(2, machine=gpu, options={"threads": 4})))
    assert len(whole[KEY]["machines"]) == 2
    assert "PyTorch: 2.9.1 in a.json, 2.8.0 in b.json" in why(part(1), part(2, machine={**gpu, "torch": "2.8.0"}))


def test_all_reasons_are_in_one_message_and_many_documents_are_counted() -> None:
    others = [part(seed, options={"threads": 2}, machine={"python": "3.13.0"}) for seed in range(2, 8)]
    message = why(part(1), *others)
    assert "threads: 1 in a.json, 2 in b.json, c.json, d.json and 3 more" in message
    assert "Python: 3.12 in a.json, 3.13 in b.json, c.json, d.json and 3 more" in message


def test_missing_shards_are_named() -> None:
    three = [shard for shard in shards(5) if about(shard)["options"]["shard"] not in ("2/5", "4/5")]
    assert "shards 2 and 4 of 5 are missing (--missing-ok merges the others)" in why(*three)
    assert "shard 5 of 5 is missing" in why(*shards(5)[:4])
    found = merge(named(*three), missing_ok=True)
    assert about(found.document)["missing_shards"] == ["2/5", "4/5"]
    assert "shards 2 and 4 of 5 are missing: their cases were not measured" in about(found.document)["warnings"]
    assert "shards 2 and 4 of 5 are missing" in found.notes
    later = merged([("x", found.document), *named(*(shard for shard in shards(5) if shard not in three))])
    assert "missing_shards" not in about(later)
    assert not any("missing" in line for line in about(later)["warnings"])


def test_a_shard_that_a_machine_of_another_kind_measured_is_not_missing() -> None:
    first, second = shards(2)
    elsewhere = shards(2, machine=ANOTHER_CPU)[1]
    whole = merged(named(first, elsewhere))
    assert len(whole[KEY]["machines"]) == 2
    assert [len(run["parts"]) for run in whole[KEY]["machines"].values()] == [1, 1]
    assert len(merged(named(first, second))["benchmarks"]) == len(whole["benchmarks"])


def test_shards_that_were_cut_otherwise() -> None:
    message = why(shards(2)[0], shards(3)[1])
    assert "shards: of 2 (plan 0123abcd) in a.json, of 3 (plan 0123abcd) in b.json" in message
    assert "(plan 0123abcd) in a.json, of 2 (plan 4567cdef) in b.json" in why(
        shards(2)[0], shards(2, plan="4567cdef")[1]
    )


def test_a_shard_that_was_measured_twice_adds_visits() -> None:
    first, second = shards(2)
    families = tuple(dict.fromkeys(record["case"]["family"] for record in records(first).values()))
    again = part(9, shard="1/2", families=families)
    whole = merged(named(first, second, again))
    assert {tuple(records(whole)[name]["parts"]) for name in records(first)} == {(0, 2)}


def test_a_duet() -> None:
    duet = copy(part(2))
    duet[KEY]["against"] = {}
    assert "b.json is a duet, which holds its own two sides" in why(part(1), duet)


def test_two_states_of_a_run_of_which_none_holds_the_other() -> None:
    later = copy(part(1))
    records(later)["matmul.square[n=128] cpu eager fp32"]["timing"]["blocks"][3][0] *= 2
    records(later)["matmul.square[n=128] cpu eager fp32"]["timing"]["seconds"] *= 1.01
    message = why(part(1), later)
    assert "are two states of one run (the run on node-1, begun 2026-03-02T10:21:37+00:00)" in message
    assert "leave the earlier one out" in message


def test_two_merged_runs_with_a_part_in_common() -> None:
    one, other = merged(named(part(1), part(2))), merged(named(part(2), part(3)))
    assert "a.json and b.json have the run on node-2 in common" in why(one, other).replace(
        "b.json and a.json", "a.json and b.json"
    )


def test_two_runs_that_began_in_the_same_second_on_nodes_of_one_name_are_two() -> None:
    one, other = copy(part(1, node="localhost")), copy(part(2, node="localhost"))
    other[KEY]["started"] = one[KEY]["started"]
    assert len(about(merged(named(one, other)))["parts"]) == 2


def test_beside_a_whole_run_missing_shards_leave_no_case_out() -> None:
    found = merge(named(*shards(2)[:1], part(5)), missing_ok=True)
    assert (
        "shard 2 of 2 is missing: of its cases there is only what other runs measured"
        in (about(found.document)["warnings"])
    )


def test_nothing() -> None:
    with pytest.raises(MergeError, match="there is no run"):
        merged([])


def test_a_document_of_pytest_benchmark_alone() -> None:
    with pytest.raises(MergeError, match=r"x\.json: was written by pytest-benchmark without"):
        merged([("x.json", {"benchmarks": [{"name": "a", "extra_info": {}}]})])
