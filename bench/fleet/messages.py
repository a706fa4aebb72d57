"""The messages between a fleet's driver and the process that measures on a machine: one line of JSON each.

The driver sends orders, one at a time; the process answers each. Journal entries and words for the progress line come
in between. ``Stop`` alone is read while another order is carried out.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from torchduet.bench.record.strict_json import dumps


class Message(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind"):
    """What one side sends to the other."""


class Start(Message, frozen=True, kw_only=True, tag="start"):
    """The first message: describe the machine, and plan.

    Attributes:
        options: the values of the options of ``pytest bench/``, as they were typed, by name.
        when_busy: what ``--when-busy`` says.
    """

    options: dict[str, Any]
    when_busy: str


class Begin(Message, frozen=True, kw_only=True, tag="begin"):
    """Take part.

    Attributes:
        entries: the journal of an earlier process on this machine, which is continued; none: there was none.
        warm_starts: whether warm starts are measured at the end, where the tier chooses them by itself.
    """

    entries: list[dict[str, Any]] = []
    warm_starts: bool = True


class Measure(Message, frozen=True, kw_only=True, tag="measure"):
    """Make the first visit to a family.

    Attributes:
        seconds: of the budget that the machine may use by the end of it.
    """

    family: str
    seconds: float


class Visit(Message, frozen=True, kw_only=True, tag="visit"):
    """Make one later visit, to the family for which that is worth most.

    Attributes:
        seconds: of the budget that the machine may use in all.
    """

    seconds: float


class End(Message, frozen=True, kw_only=True, tag="end"):
    """Measure what comes after the last visit, and send the run's file."""


class Stop(Message, frozen=True, kw_only=True, tag="stop"):
    """Finish what is being timed, and send the run's file.

    Attributes:
        number: of the signal that the driver has received.
    """

    number: int


Order = Start | Begin | Measure | Visit | End | Stop


class Showing(Message, frozen=True, kw_only=True, tag="showing"):
    """What is being done, for the progress line."""

    text: str


class FamilyPlan(msgspec.Struct, frozen=True, kw_only=True):
    """A family that a machine can measure.

    Attributes:
        seconds: that it takes, guessed.
        least: seconds that its first visit takes at least, guessed.
        cases: the records of its reported cases, by id.
    """

    name: str
    seconds: float
    least: float
    cases: dict[str, dict[str, Any]]


class Planned(Message, frozen=True, kw_only=True, tag="planned"):
    """The answer to ``Start``: the machine, and what it can measure.

    Attributes:
        host: its name in the network.
        machine: the key of the machine, see :mod:`torchduet.bench.record.machines.key`.
        accelerator: the model of its accelerators; of its CPU where it has none.
        label: the machine in words.
        versions: what must be equal in the whole fleet: name → version.
        identity: what must be equal for another process to continue what this one measures.
        budget: seconds, for the whole suite on one machine.
        families: in the order of the suite.
        in_turns: the families in the order to take them where the time may be too short for all.
        unmatched: values of ``--case`` that match none of its cases.
    """

    host: str
    machine: str
    accelerator: str
    label: str
    versions: dict[str, str]
    identity: dict[str, dict[str, Any]]
    budget: float
    families: list[FamilyPlan]
    in_turns: list[str]
    unmatched: list[str]


class Problem(Message, frozen=True, kw_only=True, tag="problem"):
    """The machine cannot take part; nothing follows."""

    text: str


class Ready(Message, frozen=True, kw_only=True, tag="ready"):
    """The answer to ``Begin``.

    Attributes:
        measured: families of the journal that is continued that need not be measured again.
        used: seconds of the budget that were used until then.
        finished: whether everything was measured, later visits included.
    """

    measured: list[str]
    used: float
    finished: bool = False
    warnings: list[str]


class Wrote(Message, frozen=True, kw_only=True, tag="wrote"):
    """An entry of the machine's journal."""

    entry: dict[str, Any]


class Measured(Message, frozen=True, kw_only=True, tag="measured"):
    """The answer to ``Measure``.

    Attributes:
        used: seconds of the budget so far.
        stopped: why the machine measures no other family; empty: it goes on.
        whole: whether the family is finished; not if it was stopped in the middle.
    """

    family: str
    used: float
    stopped: str = ""
    whole: bool = True


class Visited(Message, frozen=True, kw_only=True, tag="visited"):
    """The answer to ``Visit``.

    Attributes:
        more: whether another visit may be worth it.
        unclear, comparisons: how many comparisons are not precise yet, and how many there are.
    """

    more: bool
    used: float
    unclear: int
    comparisons: int
    stopped: str = ""


class Finished(Message, frozen=True, kw_only=True, tag="finished"):
    """The answer to ``End`` and to ``Stop``: the run's file. Nothing follows.

    Attributes:
        hints: lines for the terminal.
    """

    document: dict[str, Any]
    hints: list[str]


class Gone(Message, frozen=True, kw_only=True, tag="gone"):
    """The process has ended without having sent ``Finished`` or ``Problem``; added by what has started it.

    Attributes:
        why: in words that follow "the process".
    """

    why: str


Reply = Showing | Planned | Problem | Ready | Wrote | Measured | Visited | Finished | Gone
LAST = (Problem, Finished, Gone)  # nothing follows these


class MessageError(ValueError):
    """A line that is not a message; the message says what is wrong with it."""


def encode(message: Message) -> bytes:
    """A message as its line, in strict JSON: null for NaN and infinity."""
    return dumps(msgspec.to_builtins(message, enc_hook=_plain)).encode() + b"\n"


def order_of(line: bytes) -> Order:
    """The order in a line.

    Raises:
        MessageError: there is none.
    """
    order: Order = _decoded(line, _ORDERS)
    return order


def reply_of(line: bytes) -> Reply:
    """The reply in a line.

    Raises:
        MessageError: there is none.
    """
    reply: Reply = _decoded(line, _REPLIES)
    return reply


_ORDERS, _REPLIES = msgspec.json.Decoder(Order), msgspec.json.Decoder(Reply)


def _decoded(line: bytes, decoder: msgspec.json.Decoder[Any]) -> Any:
    try:
        return decoder.decode(line)
    except msgspec.MsgspecError as error:
        raise MessageError(f"{error}: {line[:80]!r}") from None


def _plain(value: Any) -> Any:
    """NumPy's numbers as Python's, of which they are subclasses."""
    for kind in (float, int, str):
        if isinstance(value, kind):
            return kind(value)
    if isinstance(value, Mapping):
        return dict(value)
    raise NotImplementedError(f"a message cannot hold {type(value).__name__}")
