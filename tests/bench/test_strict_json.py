"""What is written is JSON that every reader accepts, whatever value a workload or a library put there."""

from __future__ import annotations

import enum
import json
import math
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from torchduet.bench.record import journal
from torchduet.bench.record.strict_json import dumps, encodable, strict


class Grade(enum.StrEnum):
    GOOD = "good"


def loads(text: str) -> Any:
    """Decodes as strict decoders do: without NaN and infinity, and text that UTF-8 can encode."""

    def refuse(token: str) -> None:
        raise ValueError(f"{token} is not JSON")

    value = json.loads(text, parse_constant=refuse)
    json.dumps(value, ensure_ascii=False).encode()
    return value


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (math.nan, None),
        (-math.inf, None),
        ({"a": [1.0, math.inf], "b": (math.nan,)}, {"a": [1.0, None], "b": [None]}),
        (np.float64("nan"), None),
        (np.float32(1.5), 1.5),
        (np.int64(7), 7),
        (np.bool_(True), True),
        (torch.tensor(2.5), 2.5),
        (torch.tensor(float("inf")), None),
        (Grade.GOOD, "good"),
        ("\ud800 \U0001f986", "\\ud800 \U0001f986"),
        ({"\udc80": 1}, {"\\udc80": 1}),
        ([True, None, 3, "x"], [True, None, 3, "x"]),
    ],
)
def test_odd_values_become_ones_that_every_reader_accepts(value: Any, expected: Any) -> None:
    assert loads(dumps({"value": strict(value)})) == {"value": expected}
    assert loads(json.dumps(strict(value))) == expected


def test_what_needs_no_change_is_not_copied() -> None:
    value = {"blocks": [[1.0, 2.0], [3.0]], "name": "é🦆", "none": None}
    assert strict(value) is value


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(exclude_categories=()), max_size=8),
    lambda some: st.lists(some, max_size=4) | st.dictionaries(st.text(max_size=4), some, max_size=4),
    max_leaves=8,
)


@given(JSON)
def test_every_value_is_written_as_strict_json(value: Any) -> None:
    loads(dumps(value))
    line = journal.encode({"kind": "x", "value": value})
    loads(line.decode())
    assert journal.decode(line) == {"kind": "x", "value": strict(value)}


@given(st.text(st.characters(exclude_categories=()), max_size=20))
def test_text_without_lone_surrogates_is_unchanged(text: str) -> None:
    changed = any("\ud800" <= letter <= "\udfff" for letter in text)
    assert (encodable(text) != text) == changed
