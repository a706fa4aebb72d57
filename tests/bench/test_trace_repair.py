"""A trace is read whatever an annotation is called, and the file on disk is valid for other viewers, too."""

from __future__ import annotations

import gzip
import json
import re
from pathlib import Path

import pytest
import torch
from torch.profiler import ProfilerActivity, profile, record_function

from torchduet.bench.passes.profiler import PROFILED_CALL
from torchduet.bench.record.trace_repair import problem, repair_file, repaired
from torchduet.reports.profile.trace import MAX_LETTERS, TraceError, read

NAMES = [
    'layer["conv1"]',
    '"',
    'ends in a quote"',
    "back\\slash",
    "ends\\",
    "tab\there",
    "emoji 🦆 é",
    "x" * 5000,
    "\x1b[2J",
]


def as_kineto(*names: str, arguments: str = '"External id": 1,"Input Dims": [[2, 3]]') -> bytes:
    """A trace whose names stand in it as they are, a line each; the first is that of a profiled call."""
    events = [
        f'  {{\n    "ph": "X",\n    "cat": "{"user_annotation" if place == 0 else "cpu_op"}",\n    "name": "{name}",\n'
        f'    "pid": 7,\n    "tid": 7,\n    "ts": {1000 + place},\n    "dur": {100 - place}\n    ,\n    "args": {{\n'
        f"      {arguments}\n    }}\n  }}"
        for place, name in enumerate((PROFILED_CALL, *names))
    ]
    text = '{\n  "schemaVersion": 1,\n  "traceEvents": [\n' + ",\n".join(events) + '\n  ],"traceName": "t.json" }'
    return text.encode("utf-8", "surrogateescape")


def names_in(content: bytes) -> list[str]:
    return [event["name"] for event in json.loads(content)["traceEvents"]]


@pytest.mark.parametrize("name", NAMES)
def test_a_name_is_read_as_it_was_given(name: str, tmp_path: Path) -> None:
    content = as_kineto(name, "aten::mm")
    path = tmp_path / "t.json"
    path.write_bytes(content)
    spans = read(path).host
    assert [span.name for span in spans] == [name[:MAX_LETTERS], "aten::mm"]
    assert spans[0].shapes == "2×3"
    assert names_in(repaired(content)) == [PROFILED_CALL, name, "aten::mm"]


def test_a_valid_trace_is_not_changed() -> None:
    content = as_kineto('escaped \\" already', "back\\\\slash", "\\u00e9")
    assert problem(content) == ""
    assert repaired(content) == content


@pytest.mark.parametrize(
    ("arguments", "kept"),
    [
        ('"External id": 1,"key"x": "None", "Input Dims": [[2, 3]]', "2×3"),
        ('"External id": 1,"loss": nan, "Input Dims": [[2, 3]]', "2×3"),
        ('"Concrete Inputs": ["a"b"], "Input Dims": [[2, 3]]', "2×3"),
        ('"what": "a", "b", c", "Input Dims": [[2, 3]]', ""),
    ],
)
def test_odd_arguments_cost_at_most_the_shapes_of_their_event(arguments: str, kept: str, tmp_path: Path) -> None:
    path = tmp_path / "t.json"
    path.write_bytes(as_kineto('quoted "name"', arguments=arguments))
    (span,) = read(path).host
    assert (span.name, span.shapes) == ('quoted "name"', kept)


def test_a_name_that_was_cut_within_a_character_is_read(tmp_path: Path) -> None:
    content = as_kineto("duck \udcf0\udc9f")
    path = tmp_path / "t.json.gz"
    path.write_bytes(gzip.compress(content))
    assert read(path).host[0].name.startswith("duck \ufffd")
    assert repair_file(path)
    assert names_in(gzip.decompress(path.read_bytes()))[1].startswith("duck \ufffd")


def test_what_cannot_be_repaired_is_named(tmp_path: Path) -> None:
    path = tmp_path / "t.json"
    path.write_bytes(as_kineto("aten::mm").replace(b'"pid": 7', b'"pid": seven', 1))
    with pytest.raises(TraceError, match=r'it is not JSON at byte \d+: "pid": seven'):
        read(path)


def test_a_trace_that_is_cut_short_is_left_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "t.json.gz"
    content = gzip.compress(as_kineto('quoted "name"')[:-40])
    path.write_bytes(content)
    assert not repair_file(path)
    assert path.read_bytes() == content
    with pytest.raises(TraceError, match="cut short"):
        read(path)


def test_what_the_profiler_writes_is_repaired_on_disk(tmp_path: Path) -> None:
    """The names that this version of PyTorch writes; it replaces some characters itself."""
    plain = tmp_path / "t.json"
    with profile(activities=[ProfilerActivity.CPU], record_shapes=True) as profiler, record_function(PROFILED_CALL):
        for name in NAMES:
            with record_function(name):
                torch.ones(3) + 1
    profiler.export_chrome_trace(str(plain))
    path = tmp_path / "t.json.gz"
    path.write_bytes(gzip.compress(plain.read_bytes()))
    was_invalid = problem(plain.read_bytes())
    assert repair_file(path) == bool(was_invalid)
    found = names_in(gzip.decompress(path.read_bytes()))
    assert 'layer["conv1"]' in found
    assert not repair_file(path)
    assert 'layer["conv1"]' in [span.name for span in read(path).host]
    assert [file.name for file in tmp_path.iterdir() if re.search("part", file.name)] == []
