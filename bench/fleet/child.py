"""Starts the process that measures on this machine, takes its orders to it, and keeps its replies.

The process is a session of its own, with its workers below it. It ends when its input is closed: that is when the
process which has started it ends in any way.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from time import monotonic, sleep

from torchduet.bench.fleet.messages import LAST, Gone, MessageError, Order, Reply, encode, reply_of
from torchduet.bench.host.child_processes import describe_exit, last_lines
from torchduet.bench.host.temporary import RunFolder

COMMAND = (sys.executable, "-m", "torchduet.bench.fleet.node")
FILES = "files"
COPY_ATTEMPTS, COPY_SECONDS = 10, 0.5  # while the folder is replaced
END_SECONDS = 12.0  # after SIGTERM: the process ends by itself within 9.5 s


def copy(files: Path, target: Path, attempts: int = COPY_ATTEMPTS) -> None:
    """Copy a folder, again from the start where it was replaced meanwhile.

    Raises:
        OSError: it cannot be copied.
    """
    for attempt in range(attempts):
        try:
            shutil.copytree(files, target, symlinks=True)
        except (FileNotFoundError, shutil.Error):
            if attempt + 1 == attempts:
                raise
            shutil.rmtree(target, ignore_errors=True)
            sleep(COPY_SECONDS)
        else:
            return


class Child:
    """The process that measures on this machine.

    Replies are numbered from 0, and kept until they are acknowledged: what a broken connection has lost is asked for
    again.

    Args:
        environment: its variables.
        files: a folder of which it gets a copy as its working folder; None: that of this process.
    """

    def __init__(self, environment: Mapping[str, str] | None = None, files: Path | None = None) -> None:
        self._folder = RunFolder()
        if files is not None:
            copy(files, self._folder.path / FILES)
        self._log = self._folder.path / "output"
        with self._log.open("wb") as output:
            self._process = subprocess.Popen(
                COMMAND,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=output,
                env=None if environment is None else dict(environment),
                cwd=None if files is None else self._folder.path / FILES,
                start_new_session=True,
            )
        self._first, self._lines, self._ended = 0, list[bytes](), False
        self._changed = threading.Condition()
        self._sending = threading.Lock()
        threading.Thread(target=self._read, name="reads replies", daemon=True).start()

    @property
    def pid(self) -> int:
        """The number of the process."""
        return self._process.pid

    def send(self, order: Order) -> None:
        """Send an order; to a process that has ended nothing is sent, as its last reply says so."""
        assert self._process.stdin is not None
        with self._sending, contextlib.suppress(OSError, ValueError):
            self._process.stdin.write(encode(order))
            self._process.stdin.flush()

    def replies(self, first: int, seconds: float) -> tuple[int, list[bytes]]:
        """The replies from number ``first`` on, as lines, waiting for one; those before are acknowledged.

        Returns the number of the first one, and the replies: none after so many seconds without any.
        """
        deadline = monotonic() + seconds
        with self._changed:
            if first > self._first:
                del self._lines[: first - self._first]
                self._first = first
            while len(self._lines) <= first - self._first and not self._ended:
                if not self._changed.wait(max(0.0, deadline - monotonic())):
                    break
            return first, self._lines[first - self._first :]

    def end(self) -> None:
        """End the process and all that it has started."""
        with contextlib.suppress(OSError, ValueError):
            assert self._process.stdin is not None
            self._process.stdin.close()
        try:
            self._process.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            pass
        finally:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            self._folder.cleanup()

    def _read(self) -> None:
        """Keep every reply; at the end say how the process has ended, unless it has said so itself."""
        assert self._process.stdout is not None
        last: Reply | None = None
        for line in self._process.stdout:
            try:
                reply = reply_of(line)
            except MessageError as error:
                last = self._add(Gone(why=f"sent something that is not a message ({error})"))
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.killpg(self._process.pid, signal.SIGKILL)
                break
            last = reply
            self._keep(line)
        code = self._process.wait()
        if not isinstance(last, LAST):
            output = last_lines(self._log)
            self._add(Gone(why=describe_exit(code) + (f"; its last output: {output}" if output else "")))
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    def _add(self, reply: Reply) -> Reply:
        self._keep(encode(reply))
        return reply

    def _keep(self, line: bytes) -> None:
        with self._changed:
            self._lines.append(line)
            self._changed.notify_all()
