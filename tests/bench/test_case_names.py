"""Short names of cases: what distinguishes them, and never two alike."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from torchduet.bench.record.words.case_names import short_names


def test_what_all_cases_share_is_left_out() -> None:
    ids = ["layers.net[n=256] cpu eager fp32", "layers.norm[n=256] cpu eager fp32"]
    assert list(short_names(ids).values()) == ["layers.net", "layers.norm"]
    assert short_names([*ids, "layers.net[n=512] cpu eager bf16"]) == {
        ids[0]: "layers.net[n=256] fp32",
        ids[1]: "layers.norm fp32",
        "layers.net[n=512] cpu eager bf16": "layers.net[n=512] bf16",
    }


def test_a_single_case_is_its_workload_and_nothing_is_nothing() -> None:
    assert short_names(["a.b[n=1] cpu eager fp32"]) == {"a.b[n=1] cpu eager fp32": "a.b"}
    assert short_names([]) == {}


def test_a_case_with_a_further_knob_keeps_it() -> None:
    ids = ["a.load cpu eager fp32", "a.load cpu eager fp32 2 workers"]
    assert list(short_names(ids).values()) == ["a.load", "a.load 2 workers"]


@given(st.lists(st.text("ab[]= 1", max_size=12), unique=True, max_size=6))
def test_two_cases_never_have_one_name(ids: list[str]) -> None:
    names = short_names(ids)
    assert list(names) == ids
    assert len(set(names.values())) == len(ids)
