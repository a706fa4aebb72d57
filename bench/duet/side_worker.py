"""The controller's handle on a worker of one side: asks it, holds its answers to what was asked, stops and ends it."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TypeVar

from torchduet.bench.duet import process_groups
from torchduet.bench.duet.server import GRACE_SECONDS
from torchduet.bench.received import sides
from torchduet.bench.received.channel import Channel, Message, SilentError
from torchduet.bench.received.cleaned import GarbageError
from torchduet.bench.workers.exit_reason import describe_exit, last_output, truncate_log
from torchduet.bench.workers.launcher import SILENT_SECONDS, WorkerError

NO_MESSAGE = "sent something that is not a message"
Kind = TypeVar("Kind")


class Worker:
    """A worker, stopped except while it has something to do, so that its threads do not spin while the other is timed.

    Attributes:
        pid: of its process, and of its process group.
        channel: to it.
        stops: whether it is stopped at all; False if it is known to be idle while it waits.
        stages: seconds until its cases were prepared, by stage, as it says.

    Args:
        reap: ends the process and returns its exit code: see :meth:`torchduet.bench.duet.processes.Server.reap`.
    """

    def __init__(self, reap: Callable[[int, float], int], pid: int, channel: Channel, log: Path) -> None:
        self.pid, self.channel = pid, channel
        self.stops = True
        self.stages: Mapping[str, float] = {}
        self._reap_by_server, self._log = reap, log
        self._ended = self._stopped = False

    def send(self, message: Message, *, resume: bool = True) -> None:
        """Send the worker a message; :meth:`receive` waits for the answer.

        Args:
            resume: continue it, if it was stopped; else another process does.

        Raises:
            WorkerError: it has ended.
        """
        if resume and self._stopped:
            process_groups.resume(self.pid)
        self._stopped = False
        try:
            if self.channel.has_unread():
                raise WorkerError(self._garbage("it was asked for nothing"))
            self.channel.send(message)
        except OSError:
            raise WorkerError(self._ending()) from None

    def receive(self, kind: type[Kind], seconds: float = SILENT_SECONDS, *, after: float = 0.0) -> Kind:
        """Its answer.

        Args:
            kind: of the answer.
            after: seconds for which it has been silent already.

        Raises:
            WorkerError: there is no answer; the message says how the worker ended and what it printed last.
        """
        try:
            line = self.channel.receive_line(seconds, self.trim)
        except SilentError:
            silent = f"reported nothing for {seconds + after:.0f} s and was killed"
            raise WorkerError(f"{silent}{last_output(self._log)}") from None
        except GarbageError as error:
            raise WorkerError(self._garbage(str(error))) from None
        if line is None:
            raise WorkerError(self._ending())
        if (reason := sides.failure(line)) is not None:
            raise WorkerError(f"failed: {reason}{last_output(self._log)}")
        with self.held_to_account():
            return sides.decoded(line, kind)

    @contextlib.contextmanager
    def held_to_account(self) -> Iterator[None]:
        """Within this context, an answer that is refused becomes the reason why the worker has none.

        Raises:
            WorkerError: the answer is refused.
        """
        try:
            yield
        except GarbageError as error:
            raise WorkerError(self._garbage(str(error))) from None

    def _garbage(self, reason: str) -> str:
        return f"{NO_MESSAGE} ({reason}) and was killed{last_output(self._log)}"

    def trim(self) -> None:
        """Empty its output if that is too long, so that it does not fill the disk."""
        truncate_log(self._log)

    def turn(self, message: Message, kind: type[Kind], seconds: float = SILENT_SECONDS) -> Kind:
        """Continue the worker, let it answer a message, and stop it again; returns the answer."""
        self.send(message)
        answer = self.receive(kind, seconds)
        self.pause()
        return answer

    def pause(self) -> None:
        """Stop the worker and its children until the next message to it, unless it is idle anyway."""
        if self.stops:
            process_groups.stop(self.pid)
            self._stopped = True

    def _ending(self) -> str:
        return f"{describe_exit(self._reap(GRACE_SECONDS))}{last_output(self._log)}"

    def _reap(self, grace: float) -> int:
        self._ended = True
        return self._reap_by_server(self.pid, grace)

    def end(self) -> None:
        """End it, with all its children."""
        self.channel.close()
        if not self._ended:
            with contextlib.suppress(WorkerError):  # the server has ended, and its workers with it
                self._reap(0.0)
