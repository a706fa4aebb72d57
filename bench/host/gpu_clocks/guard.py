"""Unlocks the clocks of GPUs when the process that started it ends, however it ends: even by SIGKILL.

It is run as a script, by its path: ``guard.py FILE UUID…``. It imports nothing of Torchduet, so that it starts at once,
and loads pynvml from FILE, the one that the run uses. It writes ``ready``, waits until its standard input is closed or
its parent has ended, unlocks, and writes ``unlocked`` or what failed. While it lives, NVML is in use, so that a driver
without persistence mode keeps the clocks locked while no other process uses the GPU.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import signal
import sys
import threading
import time
from typing import Any

READY, UNLOCKED = "ready", "unlocked"
POLL_SECONDS = 0.2  # between two looks at the parent
ATTEMPTS, RETRY_SECONDS = 10, 0.2  # to unlock
IGNORED = ("SIGINT", "SIGTERM", "SIGHUP")  # a signal to all processes of the run must not end it before its work


def unlock(nvml: Any, uuids: list[str]) -> list[str]:
    """Unlock the clocks of these GPUs; returns a text for each that could not be."""
    failures = []
    for uuid in uuids:
        why = ""
        for attempt in range(ATTEMPTS):
            if attempt:
                time.sleep(RETRY_SECONDS)
            try:
                nvml.nvmlDeviceResetGpuLockedClocks(nvml.nvmlDeviceGetHandleByUUID(uuid))
                why = ""
                break
            except nvml.NVMLError as error:
                why = f"{uuid}: {error}"
        if why:
            failures.append(why)
    return failures


def wait_for_end(parent: int) -> None:
    """Wait until standard input is closed, or the parent has ended: a process that it forked may hold the other end."""
    closed = threading.Event()

    def read() -> None:
        while os.read(0, 1024):
            pass
        closed.set()

    threading.Thread(target=read, daemon=True).start()
    while not closed.wait(POLL_SECONDS) and os.getppid() == parent:
        pass


def load(path: str) -> Any:
    """The module pynvml of this file."""
    spec = importlib.util.spec_from_file_location("pynvml", path)
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules["pynvml"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def main(path: str, uuids: list[str]) -> int:
    """The script; returns its exit code."""
    parent = os.getppid()
    for name in IGNORED:
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_IGN)
    nvml = load(path)
    try:
        nvml.nvmlInit()
        for uuid in uuids:
            nvml.nvmlDeviceGetHandleByUUID(uuid)
    except nvml.NVMLError as error:
        print(error, flush=True)
        return 1
    print(READY, flush=True)
    wait_for_end(parent)
    failures = unlock(nvml, uuids)
    with contextlib.suppress(OSError):  # the parent may have ended
        print("; ".join(failures) or UNLOCKED, flush=True)
    return int(bool(failures))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2:]))
