"""The process with rank 0 of those that were started together: it gathers the others, and ends their part of the run.

It runs pytest as usual. A thread of it counts a key on, so that the others can find that it has ended.
"""

from __future__ import annotations

import contextlib
import dataclasses
import socket
import threading
from collections.abc import Sequence
from time import monotonic

import msgspec

import torchduet
from torchduet.bench.host.launch.processes import Processes
from torchduet.bench.host.launch.variables import WORLD, Launched, LaunchError
from torchduet.bench.ranks.commands import (
    BEAT,
    LEADER,
    MEMBERS,
    OPEN,
    Command,
    Hello,
    Member,
    command,
    hello_key,
    lost_key,
    message_digest,
    reply_key,
)
from torchduet.bench.ranks.messages import decode, encode
from torchduet.bench.ranks.store import CONNECT_SECONDS, opened
from torchduet.bench.received.cleaned import cleaned_text

BEAT_SECONDS = 1.0
MAX_NAME = 255  # characters: of a host, hostname(7)
END_SECONDS = 5.0  # for all processes that follow to take note of the end


def own_hello(launched: Launched) -> Hello:
    """What this process tells the others."""
    return Hello(
        torchduet=torchduet.__version__,
        messages=message_digest(),
        world=launched.world,
        host=socket.gethostname(),
        node=launched.node,
        local_rank=launched.local_rank,
    )


class Leader:
    """Rank 0 of a run of several processes.

    Args:
        seconds: to wait for the others.

    Attributes:
        processes: all of them.

    Raises:
        LaunchError: the store cannot be made or reached, or a process does not come.
    """

    def __init__(self, launched: Launched, seconds: float = CONNECT_SECONDS) -> None:
        self._launched = launched
        self._store = opened(launched)
        self._own = own_hello(launched)
        self._ended = threading.Event()
        try:
            self._store.set(BEAT, b"0")
            self._store.set(LEADER, encode(self._own))
            hellos = [self._own, *self._gathered(seconds)]
            members = _members(hellos)
            self._store.set(MEMBERS, msgspec.msgpack.encode(members))
        except ConnectionError as error:
            raise LaunchError(str(error)) from None
        self._following = [rank for rank, member in enumerate(members) if rank and not member.refused]
        nodes = [member.node for member in members]
        self.processes = Processes(len(members), nodes.count(nodes[0]), len(set(nodes)), launched.torchrun)
        threading.Thread(target=self._beat, name="torchduet-beat", daemon=True).start()

    def _gathered(self, seconds: float) -> list[Hello]:
        others = range(1, self._launched.world)
        end = monotonic() + seconds
        for rank in others:
            if not self._store.wait([hello_key(rank)], end - monotonic()):
                late = [str(rank) for rank in others if not self._store.has(hello_key(rank))]
                raise LaunchError(
                    f"{WORLD} is {self._launched.world}, and rank{'s' if len(late) > 1 else ''} {', '.join(late)} did "
                    f"not come within {seconds:.0f} s: start every process with the same command"
                )
        return [_hello(self._store.get(hello_key(rank)), rank) for rank in others]

    def _beat(self) -> None:
        number = 0
        with contextlib.suppress(ConnectionError, LaunchError):
            store = opened(dataclasses.replace(self._launched, agent_hosts=True))  # a connection of this thread
            while not self._ended.wait(BEAT_SECONDS):
                number += 1
                store.set(BEAT, str(number).encode())

    def close_pools(self) -> None:
        """End the ranks that a worker has left: it was killed, or it died."""
        with contextlib.suppress(ConnectionError):
            if self._store.add(OPEN, 0) > 0:
                for rank in self._alive():
                    command(self._store, rank, Command(what="close"))
                self._store.delete_all("pool/")
                self._store.add(OPEN, -self._store.add(OPEN, 0))

    def _alive(self) -> list[int]:
        return [rank for rank in self._following if not self._store.has(lost_key(rank))]

    def end(self) -> None:
        """Let the others end; they must have read it before a store in this process ends with it."""
        self._ended.set()
        with contextlib.suppress(ConnectionError):
            keys = []
            for rank in self._alive():
                keys.append(reply_key(self._store))
                command(self._store, rank, Command(what="end", reply=keys[-1]))
            end = monotonic() + END_SECONDS
            for key in keys:
                self._store.wait([key], end - monotonic())


def _hello(data: bytes, rank: int) -> Hello:
    try:
        return readable(decode(data, Hello))
    except msgspec.MsgspecError:
        return Hello(torchduet="another version", messages="", world=0, host=f"the machine of rank {rank}")


def readable(hello: Hello) -> Hello:
    """The message of another machine, with texts that are fit for a terminal."""
    short = {name: cleaned_text(getattr(hello, name), MAX_NAME) for name in ("torchduet", "messages", "host", "node")}
    return msgspec.structs.replace(hello, **short)


def _members(hellos: Sequence[Hello]) -> list[Member]:
    """The processes by rank.

    Raises:
        LaunchError: they were told different numbers of processes.
    """
    first, members = hellos[0], list[Member]()
    for rank, hello in enumerate(hellos):
        node = hello.node or hello.host
        refused = why_refused(hello, rank, first)
        if not refused and hello.world != first.world:
            raise LaunchError(f"{WORLD} is {hello.world} for rank {rank} on {hello.host} and {first.world} for rank 0")
        before = sum(member.node == node for member in members)
        local_rank = before if hello.local_rank is None else hello.local_rank
        members.append(Member(host=hello.host, node=node, local_rank=local_rank, refused=refused))
    return members


def why_refused(hello: Hello, rank: int, first: Hello) -> str:
    """Why a process cannot be a rank beside rank 0; empty where it can."""
    if (hello.torchduet, hello.messages) == (first.torchduet, first.messages):
        return ""
    same = hello.torchduet == first.torchduet
    theirs, ours = (f"Torchduet {of.torchduet}{f' ({of.messages})' if same else ''}" for of in (hello, first))
    return f"rank {rank} on {hello.host} runs {theirs}, and rank 0 {ours}: install the same for all ranks"
