"""A process with a rank above 0 of those that were started together: it starts its rank of a pool when it is told to.

It collects, measures and writes nothing. It ends when rank 0 ends the run, or when rank 0 is lost.
"""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Callable
from multiprocessing.connection import wait
from pathlib import Path
from time import monotonic
from types import FrameType
from typing import Any

import msgspec

from torchduet.bench.host.launch.variables import Launched, LaunchError
from torchduet.bench.ranks.commands import (
    BEAT,
    LEADER,
    Command,
    Hello,
    Report,
    command_key,
    ended_key,
    hello_key,
    lost_key,
)
from torchduet.bench.ranks.leader import own_hello, readable, why_refused
from torchduet.bench.ranks.messages import Order, decode, encode
from torchduet.bench.ranks.started import RankProcess
from torchduet.bench.ranks.store import CONNECT_SECONDS, Store, opened

IDLE_SECONDS = 1.0  # between two looks at rank 0; a command arrives at once
BUSY_SECONDS = 0.5  # between two looks at the store while a rank runs
SHORT_SECONDS, SOON_SECONDS = 0.05, 2.0  # the same after a command: others often follow within so long
LOST_SECONDS = 15.0  # without a sign of rank 0
LOST_AFTER_SIGNAL = 4.0  # the same after a signal to end
ENDING = ("SIGINT", "SIGTERM", "SIGHUP")


class Follower:
    """A process that follows rank 0.

    Args:
        folder: for temporary files.
        before: called with each order before its rank is started.

    Raises:
        LaunchError: rank 0 is not there, or runs another version.
    """

    def __init__(self, launched: Launched, folder: Path, before: Callable[[Order], object] = lambda _: None) -> None:
        self._rank, self._folder, self._before = launched.rank, folder, before
        self._store = opened(launched)
        self._pools: dict[str, RankProcess] = {}
        self._told: set[str] = set()  # pools of which the end of the rank was told
        self._read, self._signal = 0, 0
        self._commanded = monotonic()
        self._beat, self._beaten = b"", monotonic()
        own = own_hello(launched)
        with _as_launch_errors():
            if self._store.add(f"{hello_key(self._rank)}/number", 1) > 1:
                raise LaunchError(f"another process of this run has RANK={self._rank}, too")
            self._store.set(hello_key(self._rank), encode(own))
            if not self._store.wait([LEADER], CONNECT_SECONDS):
                raise LaunchError(f"rank 0 did not begin a run within {CONNECT_SECONDS:.0f} s")
            if refused := why_refused(own, self._rank, _first(self._store)):
                raise LaunchError(refused)

    def follow(self) -> None:
        """Follow until rank 0 ends the run.

        Raises:
            LaunchError: rank 0 is lost.
        """
        for number in _ending():
            signal.signal(number, self._on_signal)
        why = "has ended"
        try:
            with _as_launch_errors():
                while self._step():
                    pass
        except LaunchError as error:
            why = f"has ended: {error}"
            raise
        finally:
            for pool in self._pools.values():
                pool.close()
            with contextlib.suppress(ConnectionError):
                self._store.set(lost_key(self._rank), why.encode())
            for number in _ending():  # torchrun ends all others as soon as one has failed: this one ends by itself
                signal.signal(number, signal.SIG_IGN)

    def _on_signal(self, number: int, _: FrameType | None) -> None:
        self._signal = self._signal or number  # rank 0 gets it, too, and decides how the run ends

    def _step(self) -> bool:
        """Wait for a command and do it; False at the end of the run."""
        key = command_key(self._rank, self._read + 1)
        sentinels = [rank.sentinel for name, rank in self._pools.items() if name not in self._told]
        if sentinels and not self._store.has(key):
            wait(sentinels, BUSY_SECONDS if monotonic() - self._commanded > SOON_SECONDS else SHORT_SECONDS)
        elif not sentinels:
            self._store.wait([key], IDLE_SECONDS)
        self._tell_ends()
        if not self._store.has(key):
            self._look_for_rank_0()
            return True
        self._read, self._commanded = self._read + 1, monotonic()
        given = decode(self._store.take(key), Command)
        report = self._do(given)
        if given.reply:
            self._store.set(given.reply, encode(report))
        return given.what != "end"

    def _do(self, given: Command) -> Report:
        if given.what == "start" and given.order is not None:
            return self._start(given, given.order)
        if given.what == "close":
            for name in [given.pool] if given.pool else [*self._pools]:
                if (rank := self._pools.pop(name, None)) is not None:
                    rank.close()
            return Report()
        rank = self._pools.get(given.pool)
        if rank is None:
            return Report(ended="was ended")
        if given.what == "dump":
            rank.dump()
        return rank.report()

    def _start(self, given: Command, order: Order) -> Report:
        try:
            self._before(order)
            folder = self._folder / given.pool
            folder.mkdir(parents=True)
            own = msgspec.structs.replace(order, folder=str(folder))
            self._pools[given.pool] = RankProcess(
                own, self._rank, given.local_rank, given.pool, folder, own_group=True, local=given.local
            )
        except OSError as error:
            return Report(ended=f"could not be started: {error}")
        return Report()

    def _tell_ends(self) -> None:
        for name, rank in self._pools.items():
            if name not in self._told and rank.report().ended:
                self._told.add(name)
                self._store.set(ended_key(name, self._rank), b"")

    def _look_for_rank_0(self) -> None:
        now, beat = monotonic(), self._store.get(BEAT)
        if beat != self._beat:
            self._beat, self._beaten = beat, now
        limit = LOST_AFTER_SIGNAL if self._signal else LOST_SECONDS
        if now - self._beaten > limit:
            raise LaunchError(f"rank 0 is lost: it has given no sign for {limit:.0f} s")


def _first(store: Store) -> Hello:
    try:
        return readable(decode(store.get(LEADER), Hello))
    except msgspec.MsgspecError:
        return Hello(torchduet="another version", messages="", world=0, host="")


@contextlib.contextmanager
def _as_launch_errors() -> Any:
    try:
        yield
    except ConnectionError as error:
        raise LaunchError(f"rank 0 is lost: {error}") from None


def _ending() -> list[int]:
    return [
        number
        for name in ENDING
        if (number := getattr(signal, name, None)) is not None and signal.getsignal(number) != signal.SIG_IGN
    ]
