"""What holds of the readers whatever a file says: what they let through is what the schema says, and nothing else."""

import contextlib
import itertools
import json
import math
import struct
import tempfile
import zlib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.reports import fuzz, tracing
from tests.reports.spoiled import documents, spoiled
from torchduet.bench.record import journal
from torchduet.bench.record.schema import JOURNAL, KEY, Record, RunRecord
from torchduet.bench.record.schema_check import ContractError, check
from torchduet.bench.record.strict_json import strict
from torchduet.reports.profile.summary import summarise
from torchduet.reports.profile.trace import TraceError, read
from torchduet.reports.read.pytest_benchmark import BATCHES, _batches
from torchduet.reports.read.run_file import from_json, read_fast

SEEDS = st.integers(0, 2**32)
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
JSON = st.recursive(
    SCALARS,
    lambda some: st.lists(some, max_size=4) | st.dictionaries(st.text(max_size=8), some, max_size=4),
    max_leaves=8,
)
ENTRIES = st.lists(st.dictionaries(st.text(max_size=6), JSON, max_size=4), max_size=6)
FIRST = {"kind": "run", "format": journal.FORMAT}


def test_mutated_files_are_read_or_refused_in_one_line(tmp_path: Path) -> None:
    """A slice of ``nox -s fuzz``."""
    told = [fuzz.fault(fuzz.mutated(seed), tmp_path / "run.json") for seed in range(150)]
    assert [said for what, said in told if what == "fault"] == []
    assert min(sum(what == one for what, _ in told) for one in ("read", "refused")) > 20


@given(SEEDS)
def test_what_the_quick_reader_lets_through_the_thorough_one_does(seed: int) -> None:
    content = spoiled(seed)
    run = read_fast(content, "run.json")
    if run is None:
        return
    with contextlib.suppress(UnicodeDecodeError):  # in what neither of them looks at
        thorough = from_json(json.loads(content), "run.json")
        assert thorough.records == run.records
        assert thorough.about == run.about


@pytest.mark.parametrize("number", [2**63, -(2**63), 10**30])
def test_a_whole_number_beyond_64_bits_is_refused(number: int) -> None:
    document = changed_timing(documents()[0], number)
    assert read_fast(json.dumps(document).encode(), "run.json") is None
    with pytest.raises(ContractError, match="beyond 64 bits"):
        from_json(document)


def changed_timing(document: Any, calls: int) -> Any:
    document = json.loads(json.dumps(document))
    document["benchmarks"][0]["extra_info"][KEY]["timing"]["calls_per_block"] = calls
    return document


@given(JSON)
def test_no_value_whatever_breaks_the_check_of_a_record(value: Any) -> None:
    for expected in (Record, RunRecord, list[list[float]], dict[str, int], float | None):
        with contextlib.suppress(ContractError):
            check(value, expected, "it")


@given(ENTRIES, st.data())
def test_of_a_journal_cut_anywhere_what_was_whole_comes_back_and_nothing_else(
    entries: list, data: st.DataObject
) -> None:  # type: ignore[type-arg]
    entries = strict(json.loads(json.dumps(entries)))
    lines = [journal.encode(one) for one in (FIRST, *entries)]
    content = b"".join(lines)
    cut = data.draw(st.integers(len(lines[0]), len(content)))
    found = journal.parse(content[:cut], "it")
    ends = list(itertools.accumulate(map(len, lines)))
    whole = sum(end <= cut for end in ends)
    assert same(found.entries, entries[: whole - 1])
    assert found.intact == ends[whole - 1]
    assert found.dropped == (cut > ends[whole - 1])


def same(some: object, others: object) -> bool:
    """Whether two values are the same JSON; NaN is like NaN."""
    return json.dumps(list(some)) == json.dumps(list(others))  # type: ignore[call-overload]


@given(ENTRIES, st.data())
def test_a_byte_that_flips_costs_a_line_at_the_most_and_makes_nothing_up(entries: list, data: st.DataObject) -> None:  # type: ignore[type-arg]
    entries = strict(json.loads(json.dumps(entries)))
    lines = [journal.encode(one) for one in (FIRST, *entries)]
    content = bytearray(b"".join(lines))
    content[
        data.draw(
            st.integers(len(lines[0]), len(content)).filter(lambda at: at < len(content)) if entries else st.just(0)
        )
    ] ^= data.draw(st.integers(1, 255))
    try:
        found = journal.parse(bytes(content), "it")
    except journal.JournalError:
        assert not entries
        return
    kept = [json.dumps(one) for one in found.entries]
    written = iter(json.dumps(one) for one in entries)
    assert all(one in written for one in kept)  # in their order
    assert len(kept) >= len(entries) - 2  # a line break that is lost joins two lines


def test_an_entry_that_is_nested_without_end_is_a_damaged_line() -> None:
    body = b'{"kind":"family","x":' + b"[" * 100_000 + b"]" * 100_000 + b"}"
    line = JOURNAL + b"%08x" % zlib.crc32(body) + journal.MIDDLE + body + journal.END
    found = journal.parse(journal.encode(FIRST) + line + journal.encode({"kind": "pilot"}), "it")
    assert found.entries == ({"kind": "pilot"},)
    assert found.dropped == 1


@given(st.lists(st.floats(0, 1), min_size=1, max_size=400))
def test_batches_are_all_rounds_in_their_order_and_even(rounds: list[float]) -> None:
    found = _batches({"median": 1.0, "data": rounds})
    assert [value for batch in found for value in batch] == rounds
    assert len(found) == min(len(rounds), BATCHES)
    assert max(map(len, found)) - min(map(len, found)) <= 1


def trace_of(content: bytes) -> Any:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "trace.json"
        path.write_bytes(content)
        return read(path)


EVENTS = st.lists(
    st.fixed_dictionaries(
        {},
        optional={
            "cat": st.sampled_from(["cpu_op", "kernel", "user_annotation", "python_function"]) | JSON,
            "name": st.sampled_from(["[memory]", "aten::add"]) | JSON,
            "ts": st.floats() | st.integers() | JSON,
            "dur": st.floats() | st.integers() | JSON,
            "pid": JSON,
            "args": st.dictionaries(st.sampled_from(["Bytes", "Addr", "Device Type", "Input Dims"]), JSON) | JSON,
        },
    )
    | JSON,
    max_size=6,
)


@given(EVENTS)
def test_a_trace_of_whatever_events_is_one_in_order_of_time_or_refused(events: list[Any]) -> None:
    found = trace_of(json.dumps(tracing.document(*tracing.steps(1), *events)).encode())
    for spans in (found.calls, found.host, found.device):
        assert all(math.isfinite(one.start) and one.start <= one.end < math.inf for one in spans)
        assert [one.start for one in spans] == sorted(one.start for one in spans)
    assert len(found.calls) >= 1
    assert summarise(found, "it", "cpu").seconds >= 0


@given(st.binary(max_size=60) | JSON.map(lambda value: json.dumps(value).encode()))
def test_what_is_no_trace_is_refused(content: bytes) -> None:
    with pytest.raises(TraceError):
        trace_of(content)


@pytest.mark.parametrize("number", ["9" * 400, "1e308", "-1e308", "1e-400", "NaN"])
def test_numbers_beyond_all_times_are_left_out_of_a_trace(number: str) -> None:
    event = '{"cat":"cpu_op","name":"x","ts":' + number + ',"dur":1e308}'
    whole = json.dumps(tracing.document(*tracing.steps(1)))
    found = trace_of(whole.replace('"traceEvents": [', f'"traceEvents": [{event}, ').encode())
    assert all(math.isfinite(one.end) for one in found.host)


def test_a_crc_is_that_of_zlib() -> None:
    line = journal.encode({"a": 1})
    assert struct.pack(">I", zlib.crc32(b'{"a":1}')).hex().encode() in line
