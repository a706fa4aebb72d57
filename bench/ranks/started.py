"""One rank's process of a pool whose messages go over the store: how it is started, and its end of the connection."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import sys
from pathlib import Path
from typing import Any

from torchduet.bench.host.child_processes import cpu_seconds, describe_exit, last_lines
from torchduet.bench.host.without_main import without_main
from torchduet.bench.ranks.commands import Report, did_key, do_key
from torchduet.bench.ranks.messages import Order
from torchduet.bench.ranks.rank import LINES, serve, write_stack
from torchduet.bench.ranks.store import Store, again

DAY_SECONDS = 86_400.0
END_SECONDS = 2.0


class StoreLink:
    """A rank's end of the connection to the family's worker."""

    def __init__(self, store: Store, pool: str, rank: int) -> None:
        self._store, self._pool, self._rank = store, pool, rank
        self._number = 0

    def send_bytes(self, data: bytes, /) -> None:
        """Answer the message that was received last."""
        self._store.set(did_key(self._pool, self._number, self._rank), data)

    def recv_bytes(self) -> bytes:
        """Wait for the next message; whoever has started this process ends it when none will come."""
        self._number += 1
        key = do_key(self._pool, self._number)
        while not self._store.wait([key], DAY_SECONDS):
            pass
        return self._store.get(key)


class RankProcess:
    """The process of one rank, started from this one.

    Args:
        pool: name of the pool.
        folder: for its output.
        own_group: it is the first of a process group, which is ended with it.
        local: all ranks of the pool are on one machine.
    """

    def __init__(
        self, order: Order, rank: int, local_rank: int, pool: str, folder: Path, *, own_group: bool, local: bool
    ) -> None:
        self._log = folder / f"rank-{pool.replace('/', '-')}-{rank}.log"
        self._own_group = own_group and hasattr(os, "killpg")
        context: Any = multiprocessing.get_context("fork" if sys.platform == "linux" else "spawn")
        self._process = context.Process(
            target=_start, args=(order, rank, local_rank, pool, str(self._log), self._own_group, local)
        )
        with without_main():
            self._process.start()

    @property
    def sentinel(self) -> int:
        """Readable when the process has ended."""
        return int(self._process.sentinel)

    def report(self) -> Report:
        """How it is."""
        if self._process.is_alive():
            session = self._process.pid if self._own_group else 0
            return Report(lines=self.last_output(), cpu_seconds=cpu_seconds(self._process.pid), session=session)
        return Report(ended=describe_exit(self._process.exitcode), lines=self.last_output())

    def last_output(self) -> str:
        """The last lines that it wrote."""
        return last_lines(self._log, LINES)

    def dump(self) -> None:
        """Let it write its stack."""
        write_stack(self._process)

    def close(self) -> None:
        """Kill it, and wait for it."""
        if self._own_group:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, signal.SIGKILL)
        if self._process.is_alive():
            self._process.kill()
        self._process.join(END_SECONDS)


def _start(order: Order, rank: int, local_rank: int, pool: str, log: str, own_group: bool, local: bool) -> None:
    """The start of a rank's process."""
    if own_group:
        os.setsid()
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches rank 0, which decides
    serve(StoreLink(again(), pool, rank), order, rank, log, local_rank=local_rank, local=local)
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)
