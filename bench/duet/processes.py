"""The conductor's handles on the processes of a side: its server, and the workers forked from it."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import monotonic, sleep

import torchduet
from torchduet import bench, suites
from torchduet.bench.duet.cores import keep
from torchduet.bench.duet.protocol import VERSION, Channel, Message, SilentError
from torchduet.bench.duet.server import GRACE_SECONDS
from torchduet.bench.duet.sides import Side
from torchduet.bench.workers.exit_reason import describe_exit, last_output
from torchduet.bench.workers.launcher import SILENT_SECONDS, WorkerError
from torchduet.bench.workers.process import last_lines

READY_SECONDS = 180.0
ANSWER_SECONDS = 15.0
STOP_SECONDS = 1.0  # a process that hangs in the kernel stops later
POLL_SECONDS = 2e-5
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
    """A folder with ours alone in it: what else is installed beside us must not reach the other side."""
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
    """What a side's interpreter says of itself."""

    executable: str
    python: str
    torch: str
    cuda: str | None


class Server:
    """A side's server: starts importing at once; its workers end with it, and it ends with this process."""

    def __init__(self, side: Side, packages: Path, log: Path, common: dict[str, str]) -> None:
        self._side, self._log = side, log
        self._workers = 0
        self._facts: Facts | None = None
        self._loaded: set[str] = set()
        ours, theirs = socket.socketpair()
        self._channel = Channel(ours)
        try:
            with log.open("wb") as output:
                self._process = subprocess.Popen(
                    [side.python, "-c", BOOT, str(packages), str(theirs.fileno())],
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    pass_fds=[theirs.fileno()],
                    env=side.environment(common),
                    cwd=side.folder,
                    start_new_session=True,  # Ctrl-C is for pytest, which ends us
                )
        except OSError as error:
            ours.close()
            raise SideError(f"{side.python} cannot be run: {error.strerror or error}") from None
        finally:
            theirs.close()

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
            said = last_lines(self._log) or f"it ended with exit code {self._process.returncode}"
            raise SideError(f"{self._side.python} did not start: {said}")
        if "error" in hello:
            raise SideError(f"{self._side.python} {hello['error']}")
        if hello["protocol"] != VERSION:
            raise SideError(f"{self._side.python} speaks protocol {hello['protocol']}, this Torchduet {VERSION}")
        self._facts = Facts(hello["executable"], hello["python"], hello["torch"], hello["cuda"])
        return self._facts

    def fork(self) -> Worker:
        """A new worker, in milliseconds.

        Raises:
            WorkerError: the server is gone.
        """
        self._workers += 1
        log = self._log.with_suffix(f".{self._workers}.log")
        ours, theirs = socket.socketpair()
        try:
            answer = self._ask({"do": "fork", "log": str(log)}, [theirs.fileno()])
        except WorkerError:
            ours.close()
            raise
        finally:
            theirs.close()
        return Worker(self, answer["pid"], Channel(ours), log)

    def load(self, module: str) -> None:
        """Let it import a module, once: workers forked from now on have it.

        Raises:
            WorkerError: the server is gone.
        """
        if module not in self._loaded:
            self._loaded.add(module)
            self._ask({"do": "import", "module": module}, seconds=READY_SECONDS)

    def reap(self, pid: int, grace: float) -> int:
        """End a worker with all its children; its exit code, negative for a signal."""
        exit_code: int = self._ask({"do": "reap", "pid": pid, "grace": grace})["exit"]
        return exit_code

    def _ask(self, message: Message, descriptors: Sequence[int] = (), seconds: float = ANSWER_SECONDS) -> Message:
        try:
            self._channel.send(message, descriptors)
            answer = self._channel.receive(seconds)
        except (OSError, SilentError):
            answer = None
        if answer is None:
            raise WorkerError(f"the process that forks its workers is gone\n{last_lines(self._log)}".rstrip())
        return answer

    def close(self) -> None:
        """End the server and every worker that is left."""
        self._channel.close()  # it ends its workers, then itself
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
    """A worker, which stands still but for its turns: its threads do not spin while the other side is timed."""

    def __init__(self, server: Server, pid: int, channel: Channel, log: Path) -> None:
        self.pid = pid
        self._server, self._channel, self._log = server, channel, log
        self._ended = False
        self._stat = Path(f"/proc/{pid}/stat")

    def send(self, message: Message) -> None:
        """Let it go on, and give it something to do; :meth:`receive` waits for the answer.

        Raises:
            WorkerError: it is gone.
        """
        self._signal(signal.SIGCONT)
        try:
            self._channel.send(message)
        except OSError:
            raise WorkerError(self._ending()) from None

    def receive(self, seconds: float = SILENT_SECONDS) -> Message:
        """Its answer.

        Raises:
            WorkerError: there is none; the message says how it ended and what it printed last.
        """
        try:
            answer = self._channel.receive(seconds)
        except SilentError:
            raise WorkerError(f"reported nothing for {seconds:.0f} s and was killed{last_output(self._log)}") from None
        if answer is None:
            raise WorkerError(self._ending())
        if "fatal" in answer:
            raise WorkerError(f"failed: {answer['fatal']}{last_output(self._log)}")
        return answer

    def turn(self, message: Message, seconds: float = SILENT_SECONDS) -> Message:
        """Go on, do this, stand still again; the answer."""
        self.send(message)
        answer = self.receive(seconds)
        self.pause()
        return answer

    def pause(self) -> None:
        """Stand still until the next turn, with all threads and children; returns when its first thread does.

        The signal takes effect once its first thread has run again. Were the other side let go on before, that thread
        might wait for a core until the other side's time slice is over, and meanwhile its own other threads would go on
        waiting actively, on a core that the other side needs.
        """
        self._signal(signal.SIGSTOP)
        deadline = monotonic() + STOP_SECONDS
        while self._goes_on() and monotonic() < deadline:
            sleep(POLL_SECONDS)

    def _goes_on(self) -> bool:
        """Whether its first thread has not stopped yet, proc_pid_stat(5); False where nothing tells."""
        try:
            state = self._stat.read_bytes().rsplit(b") ", 1)[1][:1]
        except (OSError, IndexError):
            return False  # it has ended, or this system has no /proc
        return state not in (b"T", b"t", b"Z", b"X")

    def keep_to(self, cores: Collection[int]) -> None:
        """Let its first thread run on these cores alone."""
        keep(self.pid, cores)

    def _signal(self, which: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, which)

    def _ending(self) -> str:
        return f"{describe_exit(self._reap(GRACE_SECONDS))}{last_output(self._log)}"

    def _reap(self, grace: float) -> int:
        self._ended = True
        return self._server.reap(self.pid, grace)

    def end(self) -> None:
        """End it, with all its children."""
        self._channel.close()
        if not self._ended:
            with contextlib.suppress(WorkerError):  # then the server has gone, and its workers with it
                self._reap(0.0)
