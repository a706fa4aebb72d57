"""The controller's handles on the processes of a side: its server, and the workers forked from it."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torchduet
from torchduet import bench, suites
from torchduet.bench.duet import process_groups
from torchduet.bench.duet.protocol import VERSION, Channel, Message, SilentError
from torchduet.bench.duet.server import GRACE_SECONDS
from torchduet.bench.duet.sides import Side
from torchduet.bench.host.child_processes import last_lines
from torchduet.bench.host.gpus.processes import note_started
from torchduet.bench.workers.exit_reason import describe_exit, last_output
from torchduet.bench.workers.launcher import SILENT_SECONDS, WorkerError

READY_SECONDS = 300.0  # beside other load, with the headers that inductor precompiles
ANSWER_SECONDS = 15.0
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
            with log.open("wb") as output:
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
        try:
            hello = self._channel.receive(READY_SECONDS)
        except SilentError:
            raise SideError(f"{self._side.python} did not answer within {READY_SECONDS:.0f} s") from None
        if hello is None:
            self._process.wait(5)
            reason = last_lines(self._log) or f"it ended with exit code {self._process.returncode}"
            raise SideError(f"{self._side.python} did not start: {reason}")
        if "error" in hello:
            raise SideError(f"{self._side.python} {hello['error']}")
        if hello["protocol"] != VERSION:
            raise SideError(f"{self._side.python} has protocol {hello['protocol']}, this Torchduet has {VERSION}")
        self._facts = Facts(hello["executable"], hello["python"], hello["torch"], hello["cuda"])
        return self._facts

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
            answer = self._ask({"do": "fork", "log": str(log)}, [other_end.fileno(), peer.fileno()])
        except WorkerError:
            own_end.close()
            raise
        finally:
            other_end.close()
        note_started(answer["pid"])
        return Worker(self, answer["pid"], Channel(own_end), log)

    def load(self, module: str) -> None:
        """Let the server import a module, once; workers forked later have it.

        Raises:
            WorkerError: the server has ended.
        """
        if module not in self._loaded:
            self._loaded.add(module)
            self._ask({"do": "import", "module": module}, seconds=READY_SECONDS)

    def reap(self, pid: int, grace: float) -> int:
        """End a worker with all its children; returns its exit code, negative for a signal."""
        exit_code: int = self._ask({"do": "reap", "pid": pid, "grace": grace})["exit"]
        return exit_code

    def _ask(self, message: Message, descriptors: Sequence[int] = (), seconds: float = ANSWER_SECONDS) -> Message:
        try:
            self._channel.send(message, descriptors)
            answer = self._channel.receive(seconds)
        except (OSError, SilentError):
            answer = None
        if answer is None:
            raise WorkerError(f"the process that forks its workers has ended\n{last_lines(self._log)}".rstrip())
        return answer

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


class Worker:
    """A worker, stopped except while it has something to do, so that its threads do not spin while the other is timed.

    Attributes:
        pid: of its process, and of its process group.
        channel: to it.
        stops: whether it is stopped at all; False if it is known to be idle while it waits.
    """

    def __init__(self, server: Server, pid: int, channel: Channel, log: Path) -> None:
        self.pid, self.channel = pid, channel
        self.stops = True
        self._server, self._log = server, log
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
            self.channel.send(message)
        except OSError:
            raise WorkerError(self._ending()) from None

    def receive(self, seconds: float = SILENT_SECONDS, *, after: float = 0.0) -> Message:
        """Its answer.

        Args:
            after: seconds for which it has been silent already.

        Raises:
            WorkerError: there is no answer; the message says how the worker ended and what it printed last.
        """
        try:
            answer = self.channel.receive(seconds)
        except SilentError:
            silent = f"reported nothing for {seconds + after:.0f} s and was killed"
            raise WorkerError(f"{silent}{last_output(self._log)}") from None
        if answer is None:
            raise WorkerError(self._ending())
        if "fatal" in answer:
            raise WorkerError(f"failed: {answer['fatal']}{last_output(self._log)}")
        return answer

    def turn(self, message: Message, seconds: float = SILENT_SECONDS) -> Message:
        """Continue the worker, let it answer a message, and stop it again; returns the answer."""
        self.send(message)
        answer = self.receive(seconds)
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
        return self._server.reap(self.pid, grace)

    def end(self) -> None:
        """End it, with all its children."""
        self.channel.close()
        if not self._ended:
            with contextlib.suppress(WorkerError):  # the server has ended, and its workers with it
                self._reap(0.0)
