"""What processes that were started together tell each other beside the messages of pools, and the keys in the store."""

from __future__ import annotations

import hashlib
from functools import cache
from typing import Literal

import msgspec

from torchduet.bench.ranks.messages import Did, Do, Order, encode
from torchduet.bench.ranks.store import Store

GROUP = "group"  # below a pool's keys: those of its process group
OPEN = "open"  # counts the pools that are not closed
MEMBERS = "members"  # a list of Member
LEADER = "leader"  # the Hello of rank 0
BEAT = "beat"  # counts on while rank 0 lives


class Hello(msgspec.Struct, frozen=True, kw_only=True):
    """What a process tells the others first. Other versions read it, too: fields are added, and none is removed.

    Attributes:
        torchduet: its version.
        messages: a digest of the messages' fields.
        world: how many processes it was told that there are.
        host: name of its machine.
        node: number of its machine; empty: it is not given.
        local_rank: its number on its machine; None: it is not given.
    """

    torchduet: str
    messages: str
    world: int
    host: str
    node: str = ""
    local_rank: int | None = None


class Member(msgspec.Struct, frozen=True, kw_only=True):
    """What rank 0 makes of a :class:`Hello`.

    Attributes:
        node: what its machine is called, or its number: different for different machines.
        refused: why it can be no rank; empty: it can.
    """

    host: str
    node: str
    local_rank: int
    refused: str = ""


class Command(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a process that follows is to do.

    Attributes:
        what: start its rank of a pool, let it write its stack, report on it, end it, or end the run.
        pool: name of the pool; empty: all of them.
        order: for the rank.
        local: all ranks of the pool are on one machine.
        reply: key for a :class:`Report`; empty: none is wanted.
    """

    what: Literal["start", "dump", "report", "close", "end"]
    pool: str = ""
    order: Order | None = None
    local_rank: int = 0
    local: bool = False
    reply: str = ""


class Report(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A rank's process, as the process that has started it sees it.

    Attributes:
        ended: how it has ended, in words that follow its name; empty: it has not.
        lines: the last that it wrote.
        cpu_seconds: that it has computed.
        session: of processes, of its own; 0: it is in that of the process that has started it.
    """

    ended: str = ""
    lines: str = ""
    cpu_seconds: float = 0.0
    session: int = 0


@cache
def message_digest() -> str:
    """Equal in two processes if they understand each other's messages."""
    schema = msgspec.json.schema_components([Order, Do, Did, Member, Command, Report])
    words = msgspec.json.encode(schema, order="deterministic")
    return hashlib.sha256(words).hexdigest()[:16]


def do_key(pool: str, number: int) -> str:
    """The key of the pool's message of a number, counted from 1."""
    return f"{pool}/do/{number}"


def did_key(pool: str, number: int, rank: int) -> str:
    """The key of a rank's answer to it."""
    return f"{pool}/did/{number}/{rank}"


def hello_key(rank: int) -> str:
    """The key of a process's :class:`Hello`."""
    return f"hello/{rank}"


def command_key(rank: int, number: int) -> str:
    """The key of a command for the process that follows with this rank, counted from 1."""
    return f"to/{rank}/{number}"


def lost_key(rank: int) -> str:
    """The key that says why a process can no longer be a rank, in words that follow its name."""
    return f"lost/{rank}"


def ended_key(pool: str, rank: int) -> str:
    """The key that is there when a rank's process has ended."""
    return f"{pool}/ended/{rank}"


def command(store: Store, rank: int, given: Command) -> None:
    """Let a process that follows do something."""
    number = store.add(f"to/{rank}", 1)
    store.set(command_key(rank, number), encode(given))


def reply_key(store: Store) -> str:
    """A key for one reply."""
    return f"reply/{store.add('reply', 1)}"
