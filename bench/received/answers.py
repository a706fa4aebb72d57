"""The encoding of a worker's messages to its parent: msgpack of plain values, decoded into the types that are expected.

A worker runs the user's code, which can write anything to its pipe. Unlike a pickle, a message holds values only, and
names its cases by their positions in the family.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from functools import cache
from typing import Annotated, Any, get_type_hints

import msgspec

from torchduet.bench.cases.case import Case
from torchduet.bench.cases.exchange import Answer as Answer
from torchduet.bench.cases.exchange import CaseResult, FamilyResult, FirstCallTask, Profiled, ProfileTask, Task
from torchduet.bench.cases.exchange import Progress as Progress
from torchduet.bench.received.cleaned import GarbageError, cleaned, cleaned_text
from torchduet.bench.record.schema import MIN, ProfileRecord, StopReason
from torchduet.bench.record.strict_json import strict
from torchduet.bench.record.telemetry import Telemetry

MAX_REASON = 4000  # characters
INTERRUPTED: StopReason = "interrupted"
STAGES = frozenset({"timed", "warming"})
Seconds = Annotated[float, msgspec.Meta(ge=MIN, le=1 / MIN)]
Amount = Annotated[float, msgspec.Meta(ge=-1 / MIN, le=1 / MIN)]
Share = Annotated[float, msgspec.Meta(ge=0, le=1)]
# Of a CaseResult, as it is sent: what is computed with before a record is checked. Other fields are as they are there.
SENT: dict[str, Any] = {
    "case": int,
    "calls": Annotated[int, msgspec.Meta(ge=1)],
    "blocks": list[list[Seconds]],
    "host": list[list[Amount]],
    "wall": list[list[Amount]],
    "device_blocks": list[list[Seconds]],
    "alone": list[Seconds],
    "too_slow": Amount | None,
    "address_sets": Annotated[int, msgspec.Meta(ge=0)] | None,
}


class ProgressSent(msgspec.Struct, tag="progress", frozen=True):
    """A :class:`Progress`."""

    what: str
    fraction: Share


class AnswerSent(msgspec.Struct, tag="answer", frozen=True):
    """An :class:`Answer`, whose value is encoded by itself."""

    value: msgspec.Raw
    error: str | None
    unsafe: str


class ProfiledSent(msgspec.Struct, frozen=True):
    """A :class:`Profiled`, with positions of cases."""

    records: list[tuple[int, ProfileRecord]]
    errors: list[tuple[int, str]]


@cache
def _family_type() -> Any:
    """The type of a :class:`FamilyResult` as it is sent; its fields are those of the class, so that none is missed."""
    hints = get_type_hints(CaseResult, include_extras=True) | SENT
    case = msgspec.defstruct("CaseSent", list(hints.items()), forbid_unknown_fields=True)
    fields = [
        ("results", list[case]),  # type: ignore[valid-type]
        ("stop", StopReason | None),
        ("seconds", dict[str, Amount]),
        ("telemetry", Telemetry | None),
        ("broken", int | None),
    ]
    assert [name for name, _ in fields] == [field.name for field in dataclasses.fields(FamilyResult)]
    return msgspec.defstruct("FamilySent", fields, forbid_unknown_fields=True)


def cases_of(argument: object) -> Sequence[Case]:
    """The cases of the family that a job is about; none if it is about no family."""
    task = argument.task if isinstance(argument, ProfileTask | FirstCallTask) else argument
    return task.family.cases if isinstance(task, Task) else ()


def why_incomplete(task: Task, answer: FamilyResult) -> str:
    """What an answer lacks of that which is computed with, in words; empty if there is all of it."""
    if answer.broken is not None:
        return ""
    for result in answer.results:
        if result.error is not None or result.skip is not None:
            continue
        slowed = result.case.slowdown != 1  # such a copy makes the calls of its original
        if task.paces is None and not slowed and (result.check is None or result.first_call is None):
            return f"{result.case.id} has no check or no first call"
        if task.check_only:
            continue
        if answer.stop is None:
            return f"{result.case.id} was timed, and it does not say why that ended"
        if answer.stop != INTERRUPTED and not (result.blocks and all(result.blocks)):
            return f"{result.case.id} has a placement without a block, or none"
    return "" if answer.seconds.keys() >= STAGES else "it does not say how long its stages took"


class Codec:
    """Encodes messages in a worker, and decodes them in its parent.

    Args:
        kind: of the job's result.
        cases: of the family that the job is about, in both processes in the same order.
    """

    def __init__(self, kind: Any, cases: Sequence[Case] = ()) -> None:
        self._kind, self._cases = kind, tuple(cases)

    def encoded(self, message: Progress | Answer) -> bytes:
        """A message as bytes.

        Raises:
            TypeError: it holds something that is no plain value.
        """
        if isinstance(message, Progress):
            fraction = message.fraction
            return _encode(ProgressSent(message.what, min(1.0, max(0.0, float(fraction))) if fraction else 0.0))
        value = msgspec.Raw(_encode(self._plain(message.value)))
        return _encode(AnswerSent(value, message.error, message.unsafe))

    def _plain(self, value: Any) -> Any:
        position = {case: number for number, case in enumerate(self._cases)}
        if isinstance(value, FamilyResult):
            results = [{**vars(result), "case": position[result.case]} for result in value.results]
            broken = None if value.broken is None else position[value.broken]
            return {**vars(value), "results": results, "broken": broken}
        if isinstance(value, Profiled):
            return ProfiledSent(
                [(position[case], record) for case, record in value.records.items()],
                [(position[case], error) for case, error in value.errors.items()],
            )
        return value

    def decoded(self, data: bytes) -> Progress | Answer:
        """The message in these bytes, its texts cleaned.

        Raises:
            GarbageError: there is none.
        """
        sent = _decode(data, ProgressSent | AnswerSent)
        if isinstance(sent, ProgressSent):
            return Progress(cleaned_text(sent.what, 1000), sent.fraction)
        error = None if sent.error is None else cleaned_text(sent.error, MAX_REASON)
        if error is not None or sent.unsafe:
            return Answer(error=error, unsafe=cleaned_text(sent.unsafe, MAX_REASON))
        return Answer(self._value(sent.value))

    def _value(self, data: msgspec.Raw) -> Any:
        if self._kind is FamilyResult:
            return self._family(_decode(data, _family_type()))
        if self._kind is Profiled:
            sent = _decode(data, ProfiledSent)
            self._check_positions([number for number, _ in (*sent.records, *sent.errors)])
            return Profiled(
                {self._cases[number]: cleaned(record) for number, record in sent.records},
                {self._cases[number]: cleaned_text(error) for number, error in sent.errors},
            )
        return _finite(cleaned(_decode(data, self._kind)), "its result")

    def _family(self, sent: Any) -> FamilyResult:
        numbers = [result.case for result in sent.results]
        self._check_positions(numbers)
        if len(numbers) != len(self._cases):
            raise GarbageError(f"it has results of {len(numbers)} of {len(self._cases)} cases")
        if sent.broken is not None:
            self._check_positions([sent.broken])
        results = []
        for result in sent.results:
            values = {name: getattr(result, name) for name in result.__struct_fields__}
            case = self._cases[result.case]
            own = {"case": case, "summary": result.summary}  # whose names are compared with those of the next visit
            results.append(_finite(CaseResult(**{**cleaned(values), **own}), case.id))
        broken = None if sent.broken is None else self._cases[sent.broken]
        telemetry = cleaned(_finite(sent.telemetry, "its telemetry"))
        return FamilyResult(results, sent.stop, cleaned(sent.seconds), telemetry, broken)

    def _check_positions(self, numbers: Sequence[int]) -> None:
        if len(set(numbers)) != len(numbers):
            raise GarbageError("it names a case twice")
        if not set(numbers) <= set(range(len(self._cases))):
            raise GarbageError(f"it names a case that is none of the {len(self._cases)} that it was asked for")


def _encode(value: Any) -> bytes:
    return msgspec.msgpack.encode(value, enc_hook=_number)


def _number(value: Any) -> Any:
    """A scalar of NumPy or PyTorch as Python's number."""
    number = strict(value)
    if number is value:
        raise TypeError(f"a result holds {type(value).__name__}, which is no plain value")
    return number


def _decode(data: bytes | msgspec.Raw, kind: Any) -> Any:
    try:
        return msgspec.msgpack.decode(data, type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise GarbageError(cleaned_text(str(error), 300)) from None


def _finite(value: Any, where: str) -> Any:
    """The value, if its numbers are finite; those in objects are of records, whose readers refuse what is not.

    Raises:
        GarbageError: one is not.
    """
    if isinstance(value, float) and not math.isfinite(value):
        raise GarbageError(f"{where} holds {value}, not a finite number")
    if isinstance(value, list | tuple):
        for item in value:
            _finite(item, where)
    elif dataclasses.is_dataclass(value):
        for field in dataclasses.fields(value):
            _finite(getattr(value, field.name), where)
    return value
