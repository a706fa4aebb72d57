"""What the processes of a duet's two sides answer to each request, as types that their messages are held against.

A side runs the user's code in an interpreter that may be another one. It sends JSON, without this module.
"""

from __future__ import annotations

import sys
from collections.abc import Collection, Iterable
from typing import Annotated, Any, NotRequired, TypedDict, TypeVar

import msgspec

from torchduet.bench.received.cleaned import GarbageError, cleaned, cleaned_text
from torchduet.bench.record.schema import MIN, CheckRecord, CompileRecord, FirstCallRecord, ProfileRecord

Kind = TypeVar("Kind")
Seconds = Annotated[float, msgspec.Meta(ge=MIN, le=1 / MIN)]
Amount = Annotated[float, msgspec.Meta(ge=0, le=1 / MIN)]
Count = Annotated[int, msgspec.Meta(ge=0, le=2**53)]
Index = Annotated[str, msgspec.Meta(pattern=r"^[0-9]{1,6}$")]  # of a case, as keys of JSON are text
Stage = Annotated[str, msgspec.Meta(pattern="^(starting|compiling|checking|warming|timed)$")]
Word = Annotated[str, msgspec.Meta(max_length=4096)]
MAX_SHOWN = 200  # characters of a reason


class Hello(TypedDict):
    """What a side's interpreter says of itself.

    Or ``error``: why it cannot be a side; or ``refused``: which option has no effect on it, and why.
    """

    error: NotRequired[str]
    refused: NotRequired[str]
    protocol: NotRequired[int]


class Described(TypedDict):
    """The versions of a side whose protocol is known."""

    executable: Word
    python: Annotated[str, msgspec.Meta(max_length=100)]
    torch: Annotated[str, msgspec.Meta(max_length=100)]
    cuda: Annotated[str, msgspec.Meta(max_length=100)] | None


class Forked(TypedDict):
    """The process of a new worker."""

    pid: Annotated[int, msgspec.Meta(ge=2, le=2**31 - 1)]


class Done(TypedDict):
    """Something is done."""


class Exit(TypedDict):
    """How a worker has ended."""

    exit: Annotated[int, msgspec.Meta(ge=-255, le=255)]


class Imported(TypedDict):
    """What the import of the user's suites took: see :func:`torchduet.bench.duet.revision.importing.import_suites`."""

    error: str | None
    refused: str | None
    imported: dict[Word, Word]
    files: list[Word]


class Pilots(TypedDict):
    """Seconds per unit of each pilot."""

    pilots: dict[Word, Seconds]


class PreparedCase(TypedDict):
    """A case after its first calls and checks."""

    error: str | None
    skip: str | None
    clock: Word
    check: CheckRecord | None
    first_call: FirstCallRecord | None
    compile: CompileRecord | None
    notes: list[str]


class Prepared(TypedDict):
    """All cases, in the order of the request, and the seconds that its process took until then, by stage."""

    cases: list[PreparedCase]
    seconds: dict[Stage, Amount]


class WarmCase(TypedDict):
    """A case after its warm-up: seconds per call, and untimed calls before a block."""

    seconds: Amount
    warm_up_calls: Count
    error: str | None


class Warm(TypedDict):
    """All cases, in the order of the request, and the state of the process."""

    cases: list[WarmCase]
    compiler: bool
    idle: bool
    restores: bool | None


class Errors(TypedDict):
    """Why cases have failed."""

    errors: dict[Index, str]


class Turns(TypedDict):
    """Seconds per call of this side's blocks, by turn; or ``lost``: the other side is gone."""

    lost: NotRequired[bool]
    blocks: NotRequired[list[Seconds | None]]
    errors: NotRequired[dict[Index, str]]
    left_out: NotRequired[dict[Index, Count]]


class Finite(TypedDict):
    """What is known of the cases after their last placement; of switches: blocks, interrupted, switches, seconds."""

    errors: dict[Index, str]
    switches: dict[Index, tuple[Count, Count, Count, Amount]]
    address_sets: dict[Index, Count]


class Peaks(TypedDict):
    """Bytes that a call of a case holds at most."""

    peaks: dict[Index, Count]


class Profile(TypedDict):
    """A profile, or why there is none."""

    error: NotRequired[str]
    profile: NotRequired[ProfileRecord]


class Waits(TypedDict):
    """Whether a side waits for the other one."""

    waiting: NotRequired[bool]


class _Fatal(TypedDict):
    fatal: NotRequired[str]


def decoded(line: bytes, kind: type[Kind]) -> Kind:
    """The message of a kind in a line, its texts cleaned.

    Raises:
        GarbageError: there is none.
    """
    try:
        return cleaned(msgspec.json.decode(line, type=kind))
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        begins = f"; it begins with {line[:24]!r}" if isinstance(error, msgspec.DecodeError) else ""
        reason = cleaned_text(str(error), MAX_SHOWN)
    raise GarbageError(f"{reason}{begins if 'malformed' in reason or 'truncated' in reason else ''}")


def failure(line: bytes) -> str | None:
    """The reason that a worker gives for its end, None if the line is no such message."""
    try:
        message: Any = msgspec.json.decode(line, type=_Fatal)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
    reason = message.get("fatal")
    return None if reason is None else cleaned_text(reason)


def only(indices: Iterable[str], asked: Collection[int]) -> None:
    """Return if all of these are indices of cases that were asked for.

    Raises:
        GarbageError: one is not.
    """
    for index in indices:
        if int(index) not in asked:
            raise GarbageError(f"it names case {int(index)}, which it was not asked for")


def check_number(values: Collection[object], number: int, of: str) -> None:
    """Return if there are as many values as were asked for.

    Raises:
        GarbageError: there are more or fewer.
    """
    if len(values) != number:
        raise GarbageError(f"it has {len(values)} {of} where {number} were asked for")


def check_prepared(answer: Prepared, number: int, *, checked: bool) -> None:
    """Hold a side's answer to the number of cases, and to what follows from a first call.

    Raises:
        GarbageError: something is missing, or there is too much.
    """
    check_number(answer["cases"], number, "cases")
    for result in answer["cases"]:
        measured = checked and result["skip"] is None and result["error"] is None
        if measured and (result["check"] is None or result["first_call"] is None):
            raise GarbageError("a case has no check or no first call")


def descends(pid: int, ancestor: int, generations: int = 8) -> bool:
    """Whether a process is a child of another one, or a child's child; True where this system does not say."""
    if sys.platform != "linux":
        return True
    for _ in range(generations):
        if pid == ancestor:
            return True
        try:
            with open(f"/proc/{pid}/stat", "rb") as file:  # noqa: PTH123
                pid = int(file.read().rpartition(b")")[2].split()[1])
        except (OSError, ValueError, IndexError):
            return False
    return pid == ancestor
