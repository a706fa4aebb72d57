"""What processes that run the user's code send is bounded and validated, and none of it runs in the parent."""

import math
import os
import pickle
import struct
from collections.abc import Callable, Iterator
from dataclasses import replace
from multiprocessing.connection import Connection, Pipe
from pathlib import Path
from threading import Thread
from typing import Any

import msgspec
import numpy as np
import pytest

from tests.bench.made_visits import answer, family
from tests.faults import table
from torchduet.bench.cases.case import Family
from torchduet.bench.cases.copies import with_copies
from torchduet.bench.cases.exchange import Answer, FamilyResult, Profiled, ProfileTask, Progress, Task
from torchduet.bench.host.machine import Machine, probe
from torchduet.bench.received.answers import Codec, Seconds, cases_of, why_incomplete
from torchduet.bench.received.cleaned import MAX_TEXT, GarbageError, cleaned, cleaned_text
from torchduet.bench.received.inbox import MAX_BYTES, Inbox
from torchduet.bench.record.schema import CeilingRecord
from torchduet.bench.workers.launcher import Launcher, WorkerError

FAMILY = family("f", "eager", "compile")
CODEC = Codec(FamilyResult, FAMILY.cases)


def sent(result: object, kind: Any = FamilyResult, of: Family = FAMILY) -> Any:
    """A result as the parent gets it."""
    codec = Codec(kind, of.cases)
    received = codec.decoded(codec.encoded(Answer(result)))
    assert isinstance(received, Answer)
    return received.value


def test_a_result_arrives_as_it_was_sent() -> None:
    result = answer(FAMILY, 0, meters={"loss": ("", [math.nan, 1.0])}, notes=["it waits"], sm_mhz=[1.0])
    received = sent(result)
    assert repr(received) == repr(result)  # NaN is not equal to itself
    assert [one.case for one in received.results] == [*FAMILY.cases]
    assert sent(replace(result, broken=FAMILY.cases[1])).broken == FAMILY.cases[1]
    trace = {"trace": "t.json", "calls": 3, "seconds": 1.0, "plain_seconds": 0.5, "stacks": False}
    profiled = Profiled({FAMILY.cases[1]: trace}, {FAMILY.cases[0]: "why not"})  # type: ignore[dict-item]
    assert sent(profiled, Profiled) == profiled
    assert sent({"memory": 1e-3}, dict[str, Seconds]) == {"memory": 1e-3}
    assert sent([], list[CeilingRecord]) == []
    machine = probe()
    assert sent(machine, Machine) == machine


def test_numbers_of_numpy_arrive_as_numbers_and_objects_do_not_arrive() -> None:
    result = answer(FAMILY, 0, operators=np.int64(3), device_seconds=np.float64(0.5))
    received = sent(result).results[0]
    assert (type(received.operators), type(received.device_seconds)) == (int, float)
    with pytest.raises(TypeError, match="Path, which is no plain value"):
        CODEC.encoded(Answer(Path("p")))


def test_progress_and_reasons_arrive() -> None:
    assert CODEC.decoded(CODEC.encoded(Progress("timing", 0.5))) == Progress("timing", 0.5)
    assert CODEC.decoded(CODEC.encoded(Progress("timing", math.nan))).fraction <= 1  # type: ignore[union-attr]
    assert CODEC.decoded(CODEC.encoded(Answer(error="why\x1b[2J"))) == Answer(error="why\\x1b[2J")
    assert CODEC.decoded(CODEC.encoded(Answer(unsafe="it leaves a thread"))) == Answer(unsafe="it leaves a thread")


def test_a_job_about_a_family_names_its_cases() -> None:
    task = Task(FAMILY, 1.0, 1)
    assert cases_of(task) == cases_of(ProfileTask(task, {})) == FAMILY.cases
    assert cases_of(None) == ()


def changed(**values: Any) -> bytes:
    """A message whose first case has other values than a worker would send."""
    outer = msgspec.msgpack.decode(CODEC.encoded(Answer(answer(FAMILY, 0))))
    outer["value"]["results"][0] |= values
    return msgspec.msgpack.encode(outer)


def without(key: str) -> bytes:
    """A message that lacks a key."""
    outer = msgspec.msgpack.decode(CODEC.encoded(Answer(answer(FAMILY, 0))))
    del outer["value"]["results"][0][key]
    return msgspec.msgpack.encode(outer)


NESTED = b"\x91" * 200_000 + b"\x90"


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (changed(blocks=[[math.nan]]), "float"),
        (changed(blocks=[[math.inf]]), "float"),
        (changed(blocks=[[-1.0]]), "float"),
        (changed(blocks=[[0.0]]), "float"),
        (changed(blocks="many"), r"Expected `array`, got `str` - at `\$.results\[0\].blocks`"),
        (changed(blocks=[[1e300]]), "float"),
        (changed(device_blocks=[[math.nan]]), "float"),
        (changed(calls=0), "int"),
        (changed(pace={"seconds": math.nan, "pacing_seconds": 1.0, "calls": 1, "warm_up_calls": 0}), "missing"),
        (changed(sm_mhz=[math.nan]), "holds nan, not a finite number"),
        (changed(case=2), "it names a case that is none of the 2"),
        (changed(case=-1), "it names a case that is none of the 2"),
        (changed(case=1), "it names a case twice"),
        (changed(case="f"), "Expected `int`"),
        (changed(unknown=1), "unknown field"),
        (changed(error=b"bytes"), "Expected `str | null`, got `bytes`"),
        (changed(check={"what": "values"}), "missing required field"),
        (changed(first_call=[1]), "Expected"),
        (changed(notes=[["deep"]]), "Expected `str`"),
        (changed(notes=[float("1")]), "Expected `str`"),
        (without("case"), "missing required field `case`"),
        (without("blocks"), "missing required field `blocks`"),
        (b"", "truncated"),
        (b"\xc1", "malformed"),
        (NESTED, "Expected `object`"),
        (b"\x82\xa4type\xa6answer\xa5value" + NESTED, "recursion"),
        (b"\xdf\xff\xff\xff\xff", "truncated"),
        (b"\xdd\xff\xff\xff\xff", "Expected `object`"),
        (b"\xa4\xff\xff\xff\xff", "Expected `object`"),
        (b"\x81\xa4type\xa4\xff\xff\xff\xff", "utf-8|Invalid"),
        (msgspec.msgpack.encode({"type": "progress", "what": "w", "fraction": 2.0}), "<= 1"),
        (msgspec.msgpack.encode({"type": "progress", "what": "w", "fraction": math.nan}), "float"),
        (msgspec.msgpack.encode({"type": "other"}), "Invalid value 'other'"),
        (msgspec.msgpack.encode(42), "Expected `object`, got `int`"),
        (pickle.dumps(Answer("done")), "^[^\n]+$"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_no_message_is_refused_in_one_line(data: bytes, words: str) -> None:
    with pytest.raises(GarbageError, match=words) as refused:
        CODEC.decoded(data)
    assert len(str(refused.value)) < 400
    assert "\n" not in str(refused.value)


MESSAGES: dict[str, bytes] = {
    "missing_keys": without("blocks"),
    "unknown_keys": changed(unknown=1),
    "other_types": changed(blocks="many"),
    "nan": changed(blocks=[[math.nan]]),
    "negative": changed(blocks=[[-1.0]]),
    "huge": changed(blocks=[[1e300]]),
    "another_case": changed(case=2),
    "case_twice": changed(case=1),
    "nesting": b"\x82\xa4type\xa6answer\xa5value" + NESTED,
    "millions": b"\x84\xa4type\xa6answer\xa5value\xdd\xff\xff\xff\xff",
    "escapes": CODEC.encoded(Answer(error="\x1b]0;title\x07\x1b[2J")),
}


@pytest.mark.parametrize("fault", table.MESSAGES)
def test_a_message_that_a_workload_sends_fails_its_family(fault: str, tmp_path: Path) -> None:
    reading, writing = Pipe(duplex=False)
    sending = Thread(target=writing.send_bytes, args=[MESSAGES[fault]])
    launcher, log = Launcher(), tmp_path / "log"
    log.touch()
    sending.start()
    try:
        answer = launcher._listen(None, Inbox(reading, CODEC), None, lambda _: None, log, 60.0)  # type: ignore[arg-type]
        reason = answer.error or ""
    except WorkerError as error:
        reason = str(error)
    finally:
        launcher.close()
        reading.close()
        sending.join(60)
        writing.close()
    assert table.MESSAGES[fault][1] in reason
    assert reason.isprintable()


def test_a_result_that_lacks_a_case_is_refused() -> None:
    with pytest.raises(GarbageError, match="it has results of 1 of 2 cases"):
        CODEC.decoded(Codec(None, FAMILY.cases[:1]).encoded(Answer(answer(family("f", "eager"), 0))))


def test_a_result_that_would_not_make_a_record_is_incomplete() -> None:
    task = Task(FAMILY, 1.0, 1)

    def lacking(**changes: Any) -> str:
        return why_incomplete(task, answer(FAMILY, 0, **changes))

    assert lacking() == ""
    assert "has no check or no first call" in lacking(check=None)
    assert "has no check or no first call" in lacking(first_call=None)
    assert "a placement without a block, or none" in lacking(blocks=[])
    assert "a placement without a block, or none" in lacking(blocks=[[1.0], []])
    assert "does not say why" in lacking(stop=None)
    assert why_incomplete(replace(task, check_only=True), answer(FAMILY, 0, blocks=[])) == ""
    assert why_incomplete(replace(task, paces={}), answer(FAMILY, 0, check=None)) == ""
    assert "how long" in why_incomplete(task, replace(answer(FAMILY, 0), seconds={}))
    assert lacking(error="why", check=None, blocks=[]) == ""
    slowed = with_copies(family("f", "eager"), (1.5,))
    result = answer(slowed, 0)
    results = [replace(one, check=None, first_call=None) if one.case.slowdown != 1 else one for one in result.results]
    assert why_incomplete(Task(slowed, 1.0, 1), replace(result, results=results)) == ""  # it calls its original


@pytest.fixture
def pipe() -> Iterator[tuple[Inbox, Connection]]:
    reading, writing = Pipe(duplex=False)
    yield Inbox(reading, CODEC), writing
    reading.close()
    writing.close()


def ran(folder: Path) -> tuple[Path, bytes]:
    """A file that a pickle makes where it is loaded, and the pickle."""
    trace = folder / "ran"

    class Runs:
        def __reduce__(self) -> tuple[Callable[[str], int], tuple[str]]:
            return os.system, (f"touch {trace}",)

    return trace, pickle.dumps(Runs())


def test_nothing_of_a_message_runs_in_the_parent(pipe: tuple[Inbox, Connection], tmp_path: Path) -> None:
    inbox, writing = pipe
    trace, content = ran(tmp_path)
    writing.send_bytes(content)
    with pytest.raises(GarbageError):
        inbox.receive(1)
    assert not trace.exists()
    pickle.loads(content)
    assert trace.exists()  # it would have run


def test_messages_arrive_whole_however_they_are_cut(pipe: tuple[Inbox, Connection]) -> None:
    inbox, writing = pipe
    one, other = CODEC.encoded(Progress("timing", 0.25)), CODEC.encoded(Answer(answer(FAMILY, 0)))
    stream = b"".join(struct.pack("!i", len(body)) + body for body in (one, other))
    for place in range(0, len(stream), 50):
        assert inbox.receive(0) is None or place
        os.write(writing.fileno(), stream[place : place + 50])
        if place < len(one):
            continue
        received = inbox.receive(1)
        if isinstance(received, Answer):
            assert received.value == answer(FAMILY, 0)
            break
    else:
        pytest.fail("no answer arrived")


@pytest.mark.parametrize(
    "beginning", [struct.pack("!iQ", -1, 2**62), struct.pack("!i", MAX_BYTES + 1), struct.pack("!i", 0), b"GET / HTTP"]
)
def test_a_length_that_no_message_has_is_refused_at_once(pipe: tuple[Inbox, Connection], beginning: bytes) -> None:
    inbox, writing = pipe
    os.write(writing.fileno(), beginning)
    with pytest.raises(GarbageError, match="it begins with"):
        inbox.receive(1)


def test_half_a_message_is_not_waited_for_and_its_end_is_named(pipe: tuple[Inbox, Connection]) -> None:
    inbox, writing = pipe
    os.write(writing.fileno(), struct.pack("!i", 100) + b"half")
    assert inbox.receive(1) is None
    assert inbox.receive(0) is None
    writing.close()
    with pytest.raises(GarbageError, match="only its first 8 bytes arrived"):
        inbox.receive(1)


def test_texts_are_bounded_and_cannot_move_a_terminals_cursor() -> None:
    assert cleaned_text("plain µs, two\nlines\tand a\xa0space") == "plain µs, two\nlines\tand a\xa0space"
    assert cleaned_text("\x1b]0;title\x07\r\u202e\x00\x9b1m") == "\\x1b]0;title\\x07\\r\\u202e\\x00\\x9b1m"
    assert cleaned_text("\ud800") == "\\ud800"
    assert len(cleaned_text("x" * (2 * MAX_TEXT))) == MAX_TEXT + 1
    value = {"a\x1b": ["b\x1b", ("c\x1b", 1.0)], "d": [1.0, 2.0]}
    assert cleaned(value) == {"a\\x1b": ["b\\x1b", ("c\\x1b", 1.0)], "d": [1.0, 2.0]}
    assert cleaned(Progress("\x1b", 0.0)) == Progress("\\x1b", 0.0)
