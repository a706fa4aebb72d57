"""Turns this process into one of Windows or macOS, as far as the standard library shows it to Torchduet.

Packages of others must have been imported before: they see the real system then, as their own builds for that system
would. So the modules of ours are imported twice, the second time under the other system.
"""

from __future__ import annotations

import ctypes
import importlib
import multiprocessing
import multiprocessing.context
import os
import select
import signal
import socket
import sys
import time
from collections.abc import Sequence
from typing import Any

NOT_ON_MACOS = {
    os: ("sched_getaffinity", "sched_setaffinity", "sched_getscheduler", "sched_setscheduler", "sched_getparam"),
    signal: (),
    time: ("CLOCK_BOOTTIME", "pthread_getcpuclockid"),
}
NOT_ON_WINDOWS = {
    os: (
        *NOT_ON_MACOS[os],
        *("fork", "forkpty", "killpg", "setsid", "getsid", "getpgid", "setpgid", "getuid", "geteuid", "getgid"),
        *("sysconf", "getloadavg", "register_at_fork", "waitid", "wait", "P_ALL", "WEXITED", "WNOHANG", "WNOWAIT"),
        *("O_NOFOLLOW", "nice", "getpriority", "setpriority", "PRIO_PROCESS", "mkfifo", "statvfs", "pread"),
    ),
    signal: (
        *("SIGSTOP", "SIGCONT", "SIGTSTP", "SIGHUP", "SIGKILL", "SIGCHLD", "SIGUSR1", "SIGALRM", "SIGQUIT"),
        *("pthread_sigmask", "setitimer", "ITIMER_REAL", "SIG_BLOCK", "SIG_UNBLOCK"),
    ),
    time: (*NOT_ON_MACOS[time], "clock_gettime", "CLOCK_MONOTONIC", "CLOCK_REALTIME"),
    socket: ("AF_UNIX", "send_fds", "recv_fds"),
    select: ("poll", "epoll"),
}
MODULES_NOT_ON_WINDOWS = ("fcntl", "resource", "pwd", "grp", "termios", "tty", "pty", "syslog")


# Of this system: multiprocessing starts and ends processes with them, and /proc has figures.
WHILE_RUNNING = ("WNOHANG", "SIGKILL", "pthread_sigmask", "SIG_BLOCK", "SIG_UNBLOCK", "sysconf")


def become(system: str, *, running: bool = False) -> None:
    """Show ``win32`` or ``darwin`` to what is imported from now on, and forget the modules of ours.

    Args:
        running: processes are started, so that the standard library needs some of what that system lacks.
    """
    for name in [name for name in sys.modules if name.partition(".")[0] == "torchduet"]:
        del sys.modules[name]
    for module, names in (NOT_ON_WINDOWS if system == "win32" else NOT_ON_MACOS).items():
        for name in names:
            if not (running and name in WHILE_RUNNING):
                vars(module).pop(name, None)
    sys.platform = system
    if system == "win32":
        sys.modules.update(dict.fromkeys(MODULES_NOT_ON_WINDOWS))  # type: ignore[arg-type]
        methods: Any = lambda *_: ["spawn"]  # noqa: E731
        multiprocessing.get_all_start_methods = methods
        multiprocessing.context.DefaultContext.get_all_start_methods = methods  # type: ignore[method-assign]
        ctypes.CDLL.__init__ = _no_own_symbols(ctypes.CDLL.__init__)  # type: ignore[method-assign]
    else:
        time.CLOCK_UPTIME_RAW = time.CLOCK_MONOTONIC  # type: ignore[attr-defined, misc]


def _no_own_symbols(original: Any) -> Any:
    def load(self: Any, name: str | None, *arguments: Any, **options: Any) -> None:
        if name is None:
            raise TypeError("LoadLibrary() argument 1 must be str, not None")
        original(self, name, *arguments, **options)

    return load


def import_all(system: str, modules: Sequence[str]) -> list[str]:
    """Import these modules under a system; returns a line for each that fails."""
    for name in modules:
        importlib.import_module(name)
    become(system)
    failed = []
    for name in modules:
        try:
            importlib.import_module(name)
        except Exception as error:  # noqa: BLE001 - reported to the test
            failed.append(f"{name}: {type(error).__name__}: {error}")
    return failed
