"""What a process inherits from whoever starts it, and could not work with."""

from __future__ import annotations

import os
import signal
import stat
import threading


def usable() -> None:
    """Replace what this program cannot work with: an umask that forbids it its own files, an ignored SIGCHLD.

    Where SIGCHLD is ignored, as some programs leave it for those that they start, nobody learns how a child has ended.
    """
    os.umask(os.umask(0o077) & ~stat.S_IRWXU)
    number = getattr(signal, "SIGCHLD", None)  # Windows has none
    if number is None or threading.current_thread() is not threading.main_thread():
        return
    if signal.getsignal(number) == signal.SIG_IGN:
        signal.signal(number, signal.SIG_DFL)
