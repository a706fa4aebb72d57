"""The messages between a family's worker, which decides, and its ranks, which do. Encoded by msgspec, without pickles.

Each message goes to every rank of a pool, and each rank answers it. So no rank decides how often it calls a function:
ranks that decided by their own clocks would take part in different numbers of collectives and wait for ever.
"""

from __future__ import annotations

from typing import Any, Literal, TypeVar

import msgspec

from torchduet.bench.cases.case import Case

Preparing = Literal["join", "prepare", "decide", "agree"]
Timing = Literal["call", "block", "fresh", "settle"]
Ending = Literal["verify", "memory", "profile", "finish", "end"]
What = Preparing | Timing | Ending
Message = TypeVar("Message")
MAX_BYTES = 2**24  # of a message


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """What the ranks of one pool are to measure.

    Attributes:
        cases: those of the family with as many ranks, on one device.
        ranks: how many there are.
        store: path of the file by which they find each other; empty: they use the store of ``torchrun``.
        prefix: of the keys in a store that is used more than once.
        seed: of the random orders, equal in all ranks.
        checks: whether results are checked.
        compiled: folder for code that later visits read; empty: none is kept.
        number: of the visit, from which the seeds are counted on.
        timeout: seconds after which a collective gives up.
    """

    cases: list[Case]
    ranks: int
    store: str
    prefix: str
    seed: str
    threads: int
    folder: str
    data: str | None
    checks: bool
    number: int
    timeout: float
    compiled: str = ""


class ProfileOrder(msgspec.Struct, frozen=True, kw_only=True):
    """How the first rank profiles a case, while the others make the same calls.

    Attributes:
        folder: for the trace.
        plain, wait, warm_up, active: see :class:`torchduet.bench.passes.profiler.Counts`.
        stacks, flops: what the trace contains, see :class:`torchduet.bench.cases.exchange.Extras`.
    """

    folder: str
    plain: int
    wait: int
    warm_up: int
    active: int
    stacks: bool
    flops: bool


class Do(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What every rank is to do now.

    Attributes:
        number: of the message; the answer repeats it.
        case: position of the case concerned.
        calls: per block.
        warm_up_calls: untimed calls before the block.
        launch_seconds: to launch a call in the slowest rank, in the last block on an accelerator.
        spin: turns of an empty loop after the calls of a slowed copy.
        active: whether inputs are put back before each call.
        profile: how to profile the case.
        paces: seconds per call of each case, as of the warm-up; 0 of one that has none.
    """

    number: int
    what: What
    case: int = 0
    calls: int = 1
    warm_up_calls: int = 0
    launch_seconds: float = 0.0
    spin: int = 0
    active: bool = False
    profile: ProfileOrder | None = None
    paces: list[float] = []


class Did(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A rank's answer.

    Attributes:
        number: of the message that it answers.
        error: why the rank could not do it, in one line.
        skip: why the case cannot run here, in one line.
        result: plain values by their names.
    """

    number: int
    error: str = ""
    skip: str = ""
    result: dict[str, Any] = {}


def encode(message: msgspec.Struct) -> bytes:
    """A message as bytes."""
    return msgspec.msgpack.encode(message)


def decode(data: bytes, kind: type[Message]) -> Message:
    """The message of a kind in these bytes.

    Raises:
        msgspec.MsgspecError: they are none.
    """
    if len(data) > MAX_BYTES:
        raise msgspec.DecodeError(f"it has {len(data)} bytes, and a message at most {MAX_BYTES}")
    try:
        return msgspec.msgpack.decode(data, type=kind)
    except (RecursionError, UnicodeDecodeError) as error:
        raise msgspec.DecodeError(str(error)) from None
