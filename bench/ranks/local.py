"""Ranks on this machine: processes of PyTorch's own launcher, each with a pipe and a log."""

from __future__ import annotations

import contextlib
import os
import sys
import traceback
from collections.abc import Mapping, Sequence
from multiprocessing.connection import Connection, Pipe, wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from time import monotonic, sleep

import torch.multiprocessing

from torchduet.bench.host.child_processes import cpu_seconds, describe_exit, last_lines, start_method
from torchduet.bench.host.without_main import without_main
from torchduet.bench.ranks.messages import MAX_BYTES, Order
from torchduet.bench.ranks.rank import LINES, serve, write_stack

END_SECONDS = 2.0
TRIM_SECONDS = 0.2
MAX_LOG_BYTES = 2**26


class LocalRanks:
    """Ranks on this machine, forked from this process (Linux) or new interpreters; each with a pipe.

    They are started by PyTorch's own launcher. The kernel ends them with this process.
    """

    def __init__(self, order: Order, folder: Path) -> None:
        pipes = [Pipe() for _ in range(order.ranks)]
        self._links: list[Connection] = [ours for ours, _ in pipes]
        self._logs = [folder / f"rank-{order.prefix}-{rank}.log" for rank in range(order.ranks)]
        method = start_method()
        forks = method == "fork"
        theirs = [end for _, end in pipes]
        try:
            with contextlib.nullcontext() if forks else without_main():
                self._context = torch.multiprocessing.start_processes(  # type: ignore[attr-defined,no-untyped-call]
                    start,
                    (theirs, [*self._links] if forks else [], order, [str(log) for log in self._logs]),
                    nprocs=order.ranks,
                    join=False,
                    start_method=method,
                )
        except OSError:
            for link in self._links:
                link.close()  # those that were started end
            raise
        finally:
            for end in theirs:
                end.close()
        self._processes = self._context.processes
        # A child of a rank holds its pipe open beyond its end; the system says when the rank itself has ended.
        self._ends = {rank: _end_of(process) for rank, process in enumerate(self._processes)}
        self._trimmed = monotonic()

    def send(self, data: bytes) -> None:
        """Send a message to every rank."""
        for rank in self._ends:
            self._links[rank].send_bytes(data)

    def receive(self, seconds: float) -> Mapping[int, bytes | None]:
        """The messages that have arrived within ``seconds``; a rank's end is reported once."""
        ready = wait([link for rank in self._ends for link in (self._links[rank], self._ends[rank])], seconds)
        arrived: dict[int, bytes | None] = {}
        for rank, end in [*self._ends.items()]:
            if self._links[rank] in ready:
                try:
                    arrived[rank] = self._links[rank].recv_bytes(MAX_BYTES)
                except (EOFError, OSError):
                    arrived[rank] = None
            elif end in ready:
                arrived[rank] = None
            if rank in arrived and arrived[rank] is None:
                self._forget(rank)
        self._trim()
        return arrived

    def _forget(self, rank: int) -> None:
        end = self._ends.pop(rank)
        if end != self._processes[rank].sentinel:
            os.close(end)

    def _trim(self) -> None:
        """Empty logs that are too long, so that they do not fill the disk; the ranks can write on."""
        if monotonic() - self._trimmed < TRIM_SECONDS:
            return
        self._trimmed = monotonic()
        for log in self._logs:
            with contextlib.suppress(OSError):
                if log.stat().st_size > MAX_LOG_BYTES:
                    os.truncate(log, 0)

    def ended(self, rank: int) -> str:
        """How a rank ended."""
        return describe_exit(_exit_code(self._processes[rank]))

    def last_output(self, rank: int) -> str:
        """The last lines of its log."""
        return last_lines(self._logs[rank], LINES)

    def sessions(self) -> list[int]:
        """None: all ranks are in this process's session."""
        return []

    def cpu_seconds(self, rank: int) -> float:
        """Seconds that it has computed."""
        return cpu_seconds(self._processes[rank].pid)

    def dump(self, rank: int) -> None:
        """Let it write its stack."""
        write_stack(self._processes[rank])

    def close(self) -> None:
        """Kill those that are still there, and wait for them."""
        for rank in [*self._ends]:
            self._forget(rank)
        for link in self._links:
            link.close()
        for process in self._processes:
            if process.is_alive():
                process.kill()
        for process in self._processes:
            _exit_code(process)


def _exit_code(process: BaseProcess) -> int | None:
    """The exit code of a process that is about to end; waiting for its sentinel would wait for its children, too."""
    deadline = monotonic() + END_SECONDS
    while process.exitcode is None and monotonic() < deadline:
        sleep(1e-3)
    return process.exitcode


def _end_of(process: BaseProcess) -> int:
    """What becomes readable when a process ends, whatever its children hold open."""
    if hasattr(os, "pidfd_open") and process.pid is not None:
        with contextlib.suppress(OSError):  # of a kernel before 5.3, or refused in a sandbox
            return os.pidfd_open(process.pid)
    return process.sentinel


def start(rank: int, ends: Sequence[Connection], others: Sequence[Connection], order: Order, logs: list[str]) -> None:
    """The start of a rank's process.

    Args:
        ends: of the pipes, one for each rank.
        others: the other ends, which a forked process must not hold open.
    """
    for connection in (*others, *(end for number, end in enumerate(ends) if number != rank)):
        connection.close()
    code: object = 0
    try:
        serve(ends[rank], order, rank, logs[rank])
    except SystemExit as leaving:
        code = leaving.code
    except BaseException:  # noqa: BLE001 - such as KeyboardInterrupt; the output says which
        code = 1
        traceback.print_exc()
    with contextlib.suppress(OSError, ValueError):  # whatever a workload has done to them
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(code if isinstance(code, int) else int(code is not None))  # not waiting for threads that are left
