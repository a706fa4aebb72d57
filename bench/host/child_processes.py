"""Child processes: that one has ended, how it ended and what it wrote last; one that ends with its parent.

A forked child shares its parent's memory page by page. The parent's first write to each page is then a page fault
(fork(2), copy-on-write), even after the child has ended: the calls that follow pay for it.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import io
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from time import monotonic
from typing import Any

from torchduet.bench.host.error_words import printable

PR_SET_PDEATHSIG = 1  # <linux/prctl.h>

try:
    import resource
except ModuleNotFoundError:  # Windows, where nothing is forked

    def usage() -> float:
        """A figure that grows whenever a child ends; always 0, as this system does not count it."""
        return 0.0

else:

    def usage() -> float:
        """A figure that grows whenever a child ends: the sum of what ended children used, getrusage(2)."""
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        return used.ru_utime + used.ru_stime + used.ru_minflt


def end_with_parent() -> None:
    """Let the kernel kill this process when the thread that has started it ends (Linux)."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def completed(command: Sequence[str], **options: Any) -> subprocess.CompletedProcess[Any]:
    """As :func:`subprocess.run`, but what the command has started ends with it where this process is interrupted.

    git starts helpers, and pip compilers, which would go on and keep its output open.
    """
    entered = options.pop("input", None)
    with subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL if entered is None else subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
        **options,
    ) as process:
        try:
            output, errors = process.communicate(entered)
        except BaseException:
            if hasattr(os, "killpg"):
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.killpg(process.pid, signal.SIGKILL)
            process.kill()
            raise
    return subprocess.CompletedProcess(command, process.returncode, output, errors)


def describe_exit(exitcode: int | None) -> str:
    """How a process ended, in words that follow its name."""
    if exitcode is None:
        return "closed its channel and kept running; it was killed"
    if exitcode >= 0:
        return f"ended with exit code {exitcode} and no answer"
    try:
        name = signal.Signals(-exitcode).name
    except ValueError:
        name = f"signal {-exitcode}"
    hint = "; the kernel does that when memory runs out" if name == "SIGKILL" else ""
    return f"was killed by {name}{hint}"


def last_lines(log: Path, count: int = 6, max_bytes: int = 16_384) -> str:
    """The last ``count`` lines of a worker's output, from at most its last ``max_bytes``.

    Of a crash that faulthandler reports, the innermost two frames are kept. Control characters are written as escapes.
    """
    try:
        with log.open("rb") as file:
            file.seek(max(0, file.seek(0, 2) - max_bytes))
            lines = file.read().decode(errors="replace").split("\n")
    except FileNotFoundError:
        return ""
    kept: list[str] = []
    frames = 0
    for line in filter(str.strip, lines):
        is_frame = line.startswith("  File ")
        frames = frames + 1 if is_frame else 0
        if frames <= 2 and not line.startswith(("Extension modules:", "Current thread ", "USDT:")):
            kept.append(line)
    return "\n".join(printable(line.expandtabs()) for line in kept[-count:])


def cpu_seconds(pid: int | None) -> float:
    """User and system time of a process, from proc(5)'s ``stat``; the time of a clock where that is unknown."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return monotonic()
    user, system = stat.rpartition(")")[2].split()[11:13]
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


def write_output_to(log: str) -> None:
    """Let this process write its output to a file, from which its last lines are read where it fails.

    What a full disk does not take is lost, and nothing fails for that.
    """
    try:
        output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    except OSError:
        output = os.open(os.devnull, os.O_WRONLY)
    sys.stdout.flush()
    sys.stderr.flush()
    os.dup2(output, 1)
    os.dup2(output, 2)
    sys.stdout, sys.stderr = _Output(1), _Output(2)


class _Output(io.TextIOWrapper):
    """A process's output by its descriptor; loses what a full disk does not take."""

    def __init__(self, number: int) -> None:
        super().__init__(os.fdopen(number, "wb", closefd=False), line_buffering=True, errors="backslashreplace")

    def write(self, text: str) -> int:
        with _lost_on_a_full_disk():
            super().write(text)
        return len(text)

    def flush(self) -> None:
        with _lost_on_a_full_disk():
            super().flush()


@contextlib.contextmanager
def _lost_on_a_full_disk() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise


def start_method() -> str:
    """How this process can start another one that goes on with what it has imported: ``fork``, else ``spawn``.

    Threads of a library would be missing in a fork: a suite's file that computes when it is imported has started
    OpenMP's, and the first parallel operation there would wait for them for ever.
    """
    forks = sys.platform == "linux" and len(list(Path("/proc/self/task").iterdir())) <= threading.active_count()
    return "fork" if forks else "spawn"


def has_ended(pid: int) -> bool:
    """Whether a child has ended; it then is no zombie any more."""
    try:
        return os.waitpid(pid, os.WNOHANG)[0] == pid
    except ChildProcessError:
        return True
