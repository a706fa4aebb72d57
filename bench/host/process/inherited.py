"""What a process inherits from whoever starts it, and could not work with."""

from __future__ import annotations

import os
import signal
import stat
import threading

try:
    import resource
except ModuleNotFoundError:  # Windows
    resource = None  # type: ignore[assignment]

MIN_FILES, ENOUGH_FILES = 40, 256  # that a process may have open: fewer do not suffice for a run; as many always do
TASKS = 8  # processes and threads that a run with one thread needs beside this process; libraries start more


def usable() -> None:
    """Replace what this program cannot work with: an umask that forbids it its own files, an ignored SIGCHLD.

    A limit of open files (``ulimit -n``) that is very small is raised, as far as the system allows.

    Where SIGCHLD is ignored, as some programs leave it for those that they start, nobody learns how a child has ended.
    """
    os.umask(os.umask(0o077) & ~stat.S_IRWXU)
    if resource is not None:
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        most = ENOUGH_FILES if hard == resource.RLIM_INFINITY else min(hard, ENOUGH_FILES)
        if soft != resource.RLIM_INFINITY and soft < most:
            resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
    number = getattr(signal, "SIGCHLD", None)  # Windows has none
    if number is None or threading.current_thread() is not threading.main_thread():
        return
    if signal.getsignal(number) == signal.SIG_IGN:
        signal.signal(number, signal.SIG_DFL)


def too_few_files() -> str:
    """Why this process may not open as many files as a run needs; empty if it may."""
    if resource is None:
        return ""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= MIN_FILES:
        return ""
    return f"this process may open {soft} files, and a run needs {MIN_FILES}: raise the hard limit (ulimit -n)"


def too_few_tasks() -> str:
    """Why no run can be started: the system refuses more processes and threads; empty if it does not.

    Tried with threads, which count as processes do, whatever limits them: ``ulimit -u``, a container, a control group.
    """
    over, started = threading.Event(), list[threading.Thread]()
    try:
        for _ in range(TASKS):
            thread = threading.Thread(target=over.wait, daemon=True)
            thread.start()
            started.append(thread)
    except RuntimeError:  # the system's EAGAIN
        return (
            f"the system lets this user start {len(started)} more processes or threads, and a run needs {TASKS} at the "
            "least: end some, or raise the limit (ulimit -u, or that of the container)"
        )
    finally:
        over.set()
        for thread in started:
            thread.join()
    return ""
