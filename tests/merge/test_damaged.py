"""Files whose keys have the right types and contradict each other: one line names the key, or it counts as absent."""

from __future__ import annotations

import pytest

from tests.merge.made_parts import copy, named, part, records
from torchduet.bench.merge.merging import MergeError, merged


@pytest.mark.parametrize(
    ("key", "says"),
    [("parts", "parts: its run has 2, from 0, and not 5"), ("visits", "timing.visits: part: its run has 2, from 0, ")],
)
def test_a_part_that_the_run_does_not_have_is_named_with_its_case(key: str, says: str) -> None:
    document = copy(merged(named(part(1), part(2))))
    case, record = next(iter(records(document).items()))
    if key == "parts":
        record["parts"] = [5]
    else:
        record["timing"]["visits"][0]["part"] = -1
    with pytest.raises(MergeError) as refusal:
        merged(named(document, part(3)))
    assert str(refusal.value).startswith(f"a.json: {case}: {says}")


def test_errors_that_do_not_belong_to_the_ratios_are_not_known() -> None:
    """As reports read them."""
    document = copy(part(1))
    speedups = [speedup for record in records(document).values() for speedup in record["speedups"]]
    speedups[0]["visit_errors"] = [0.1]
    both = records(merged(named(document, part(2))))
    speedup = next(speedup for record in both.values() for speedup in record["speedups"])
    assert speedup["visit_errors"][:4] == [None] * 4
    assert len(speedup["visit_errors"]) == len(speedup["visit_ratios"]) == 8


def test_a_benchmark_of_another_tool_is_kept_whatever_it_holds() -> None:
    document = copy(part(1))
    document["benchmarks"].append({"name": "own", "stats": {"median": 1.0}, "extra_info": "of my own"})
    assert merged(named(document, part(2)))["benchmarks"][-1]["extra_info"] == "of my own"


def test_a_budget_that_is_no_number_is_left_out_of_the_sum() -> None:
    document = copy(merged(named(part(1, options={"budget_seconds": 20.0}), part(2, options={"budget_seconds": 20.0}))))
    document["torchduet"]["parts"][0]["options"]["budget_seconds"] = "long"
    again = merged(named(document, part(3, options={"budget_seconds": 20.0})))
    assert again["torchduet"]["options"]["budget_seconds"] == 20.0


def test_a_copy_in_two_merged_files_is_told_of_once() -> None:
    with pytest.raises(MergeError) as refusal:
        merged(named(merged(named(part(1), part(2))), merged(named(part(2), part(3)))))
    assert "have the run on node-2 in common; merge the files of the runs themselves" in str(refusal.value)
    assert "two states" not in str(refusal.value)
