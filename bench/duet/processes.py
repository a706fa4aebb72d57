"""The controller's handle on the first process of a side, from which its workers are forked."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import torchduet
from torchduet import bench, suites
from torchduet.bench.duet.server import GRACE_SECONDS
from torchduet.bench.duet.side_worker import NO_MESSAGE, Worker
from torchduet.bench.duet.sides import Side
from torchduet.bench.host.child_processes import last_lines
from torchduet.bench.host.gpus.processes import note_started
from torchduet.bench.received import sides
from torchduet.bench.received.channel import VERSION, Channel, Message, SilentError
from torchduet.bench.received.cleaned import GarbageError, cleaned_text
from torchduet.bench.workers.exit_reason import truncate_log
from torchduet.bench.workers.launcher import WorkerError

READY_SECONDS = 300.0  # beside other load, with the headers that inductor precompiles
ANSWER_SECONDS = 15.0
MAX_REASON = 300  # characters of what an interpreter that cannot be a side printed last
Kind = TypeVar("Kind")
BOOT = """
import sys
if sys.version_info < (3, 11):
    sys.exit("Python %d.%d is too old: 3.11 or newer is needed" % sys.version_info[:2])
sys.path.insert(0, sys.argv[1])
from torchduet.bench.duet.server import main
main(int(sys.argv[2]))
"""


class SideError(Exception):
    """A side that cannot be used; the message says why."""


class IgnoredError(SideError):
    """A side on which an option has no effect; the message begins with the option."""


def link_packages(folder: Path) -> Path:
    """A folder that has only this package, so that the other side imports nothing else that is installed here."""
    inner = folder / "torchduet"
    inner.mkdir(parents=True)
    (inner / "__init__.py").symlink_to(Path(torchduet.__file__).absolute())
    for package in (bench, suites):
        assert package.__file__ is not None
        name = package.__name__.rpartition(".")[2]
        (inner / name).symlink_to(Path(package.__file__).parent.absolute(), target_is_directory=True)
    return folder


@dataclass(frozen=True)
class Facts:
    """What the interpreter of a side reports about itself."""

    executable: str
    python: str
    torch: str
    cuda: str | None


class Server:
    """The server of a side: starts importing at once; its workers end with it, and it ends with this process."""

    def __init__(self, side: Side, packages: Path, log: Path, common: dict[str, str]) -> None:
        self._side, self._log = side, log
        self._workers = 0
        self._facts: Facts | None = None
        self._loaded: set[str] = set()
        own_end, other_end = socket.socketpair()
        self._channel = Channel(own_end)
        try:
            with log.open("ab") as output:
                self._process = subprocess.Popen(
                    [side.python, "-c", BOOT, str(packages), str(other_end.fileno())],
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    pass_fds=[other_end.fileno()],
                    env=side.environment(common),
                    cwd=side.folder,
                    start_new_session=True,  # Ctrl-C reaches pytest alone, which ends this server
                )
        except OSError as error:
            own_end.close()
            raise SideError(f"{side.python} cannot be run: {error.strerror or error}") from None
        finally:
            other_end.close()

    def ready(self) -> Facts:
        """Wait until it has imported torch.

        Raises:
            SideError: it cannot be a side.
        """
        if self._facts is not None:
            return self._facts
        python = self._side.python
        try:
            line = self._channel.receive_line(READY_SECONDS, self._trim)
            if line is None:
                raise SideError(f"{python} did not start: {self._why_ended()}")
            hello = sides.decoded(line, sides.Hello)
            if "error" in hello:
                raise SideError(f"{python} {' '.join(hello['error'].split())[:MAX_REASON]}")
            if "refused" in hello:
                raise IgnoredError(" ".join(hello["refused"].split())[:MAX_REASON])
            if hello.get("protocol") != VERSION:
                theirs = hello.get("protocol", "without a number")
                raise SideError(f"{python} has protocol {theirs}, this Torchduet has {VERSION}")
            facts = sides.decoded(line, sides.Described)
        except SilentError:
            raise SideError(f"{python} did not answer within {READY_SECONDS:.0f} s{self._last_line()}") from None
        except GarbageError as error:
            raise SideError(f"{python} {NO_MESSAGE} ({error})") from None
        self._facts = Facts(facts["executable"], facts["python"], facts["torch"], facts["cuda"])
        return self._facts

    def _why_ended(self) -> str:
        """Why it has closed its connection: the last line that it printed, or how it ended."""
        try:
            self._process.wait(ANSWER_SECONDS if self._process.poll() is None else 0)
        except subprocess.TimeoutExpired:
            return f"it closed its connection and kept running{self._last_line()}"
        lines = last_lines(self._log, 1)
        return cleaned_text(lines, MAX_REASON) or f"it ended with exit code {self._process.returncode}"

    def _last_line(self) -> str:
        lines = last_lines(self._log, 1)
        return f"; its last output: {cleaned_text(lines, MAX_REASON)}" if lines else ""

    def fork(self, peer: socket.socket) -> Worker:
        """A new worker, in milliseconds.

        Args:
            peer: its end of the connection to the worker of the other side.

        Raises:
            WorkerError: the server has ended.
        """
        self._workers += 1
        log = self._log.with_suffix(f".{self._workers}.log")
        own_end, other_end = socket.socketpair()
        try:
            files = [other_end.fileno(), peer.fileno()]
            pid = self._ask({"do": "fork", "log": str(log)}, sides.Forked, files)["pid"]
            if not sides.descends(pid, self._process.pid):  # it would be stopped and killed
                raise WorkerError(f"of the process that forks workers is no process of its own: it names {pid}")
        except WorkerError:
            own_end.close()
            raise
        finally:
            other_end.close()
        note_started(pid)
        return Worker(self.reap, pid, Channel(own_end), log)

    def load(self, module: str) -> None:
        """Let the server import a module, once; workers forked later have it.

        Raises:
            WorkerError: the server has ended.
        """
        if module not in self._loaded:
            self._loaded.add(module)
            self._ask({"do": "import", "module": module}, sides.Done, seconds=READY_SECONDS)

    def reap(self, pid: int, grace: float) -> int:
        """End a worker with all its children; returns its exit code, negative for a signal."""
        return self._ask({"do": "reap", "pid": pid, "grace": grace}, sides.Exit)["exit"]

    def _ask(
        self, message: Message, kind: type[Kind], descriptors: Sequence[int] = (), seconds: float = ANSWER_SECONDS
    ) -> Kind:
        forks = "the process that forks its workers"
        try:
            if self._channel.has_unread():
                raise GarbageError("it was asked for nothing")
            self._channel.send(message, descriptors)
            line = self._channel.receive_line(seconds, self._trim)
            if line is not None:
                return sides.decoded(line, kind)
        except GarbageError as error:
            raise WorkerError(f"{forks} {NO_MESSAGE} ({error})\n{last_lines(self._log)}".rstrip()) from None
        except (OSError, SilentError):
            pass
        raise WorkerError(f"{forks} has ended\n{last_lines(self._log)}".rstrip())

    def _trim(self) -> None:
        truncate_log(self._log)

    def close(self) -> None:
        """End the server and all its workers."""
        self._channel.close()  # the server then ends its workers and itself
        try:
            self._process.wait(GRACE_SECONDS)
        except subprocess.TimeoutExpired:
            pass
        finally:
            if self._process.poll() is None:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(self._process.pid, signal.SIGKILL)
                self._process.wait()
