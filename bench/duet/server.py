"""The first process of a side: it imports torch and forks the workers of that side.

It runs in the interpreter of the side, which needs torch and numpy, but neither pytest nor an installation of
Torchduet. It computes nothing and uses no device, so that forking it is safe. It ends when the controller ends,
however that happens: the connection is then closed.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import platform
import signal
import socket
import sys
from time import monotonic, sleep

from torchduet.bench.duet.revision import reroot
from torchduet.bench.received.channel import VERSION, Channel, Message
from torchduet.bench.workers.messages import PRELOAD_COMPILER, PRELOAD_LIBRARIES

OLDEST_TORCH = (2, 9)  # the first with fp32_precision, with which TF32 is set
GRACE_SECONDS = 1.0
POLL_SECONDS = 0.002


def main(descriptor: int) -> None:
    """Describe this side, then fork workers until the controller ends."""
    reroot.start()  # where sitecustomize has not done so
    control = Channel(socket.socket(fileno=descriptor), takes_files=True)
    control.send(describe())
    serve(control)
    os._exit(0)  # interpreter shutdown with torch loaded only costs time


def describe() -> Message:
    """The versions in this interpreter (``torch``, ``python``, …).

    Or ``error``: why it cannot be a side; or ``refused``: which option has no effect on it, and why.
    """
    try:
        import numpy  # noqa: F401
        import torch
    except ModuleNotFoundError as error:
        return {"error": f"has no {error.name}: {sys.executable} -m pip install {error.name}"}
    except (ImportError, OSError) as error:
        return {"error": f"cannot import torch: {_one_line(error)}"}
    version = tuple(int(part) for part in torch.__version__.split(".")[:2])
    if version < OLDEST_TORCH:
        oldest = ".".join(map(str, OLDEST_TORCH))
        return {"error": f"has torch {torch.__version__}, which is too old: {oldest} or newer is needed"}
    try:
        import torchduet.bench.duet.worker
        from torchduet.bench.duet.knobs.in_force import begin

        if (why := begin()) is not None:
            return {"refused": why}
        if os.environ.get(PRELOAD_COMPILER) == "1":
            import torchduet.bench.workers.preload  # noqa: F401
        else:
            from torchduet.bench.workers.imported_once import import_libraries

            import_libraries(json.loads(os.environ.get(PRELOAD_LIBRARIES, "[]")))
    except ModuleNotFoundError as error:
        return {"error": f"lacks the package {error.name}"}
    except ImportError as error:
        return {"error": f"cannot import Torchduet: {_one_line(error)}"}
    return {
        "protocol": VERSION,
        "executable": sys.executable,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "cuda": torch.version.cuda,
    }


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split())[:300]


def serve(control: Channel) -> None:
    """Fork a worker for each ``fork``, end one for each ``reap``; end all when the controller ends.

    ``import`` imports a module that the workers need, once here instead of in each of them.
    """
    workers: set[int] = set()
    try:
        while (message := control.receive()) is not None:
            if message["do"] == "fork":
                pid = _fork(control, message["log"])
                workers.add(pid)
                control.send({"pid": pid})
            elif message["do"] == "import":
                importlib.import_module(message["module"])
                control.send({})
            elif message["do"] == "reap":
                control.send({"exit": reap(message["pid"], message["grace"])})
                workers.discard(message["pid"])
    finally:
        for pid in workers:
            reap(pid, 0.0)


def _fork(control: Channel, log: str) -> int:
    connection, peer = (socket.socket(fileno=control.descriptors.pop(0)) for _ in range(2))
    pid = os.fork()
    if pid:
        connection.close()
        peer.close()
        return pid
    try:
        control.close()
        from torchduet.bench.duet.worker import main as run_worker

        run_worker(Channel(connection), Channel(peer), log)
    finally:
        os._exit(1)  # never return to the loop of the server


def reap(pid: int, grace: float = GRACE_SECONDS) -> int:
    """Wait ``grace`` seconds for a worker to end, then kill its process group; returns its exit code.

    The code is negative for a signal, as in :mod:`subprocess`.
    """
    deadline = monotonic() + grace
    ended, status = 0, 0
    while not ended and monotonic() < deadline:
        ended, status = os.waitpid(pid, os.WNOHANG)
        if not ended:
            sleep(POLL_SECONDS)
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)  # its children, too
    if not ended:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)  # it may have no group of its own yet
        _, status = os.waitpid(pid, 0)
    return os.waitstatus_to_exitcode(status)
