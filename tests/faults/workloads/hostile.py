"""Workloads that do to their worker what code can do to a process; each fault between two that are harmless."""

import ctypes
import gc
import multiprocessing.connection
import os
import pickle
import resource
import shlex
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable

import msgspec
import torch

from torchduet import Suite

suite = Suite("hostile", "What code can do to a process")
Fault = Callable[[], object]


def pipe() -> int:
    """The worker's end of the pipe to pytest."""
    gc.unfreeze()
    (found,) = (
        one
        for one in gc.get_objects()
        if type(one) is multiprocessing.connection.Connection and not one.closed and one.writable
    )
    return int(found.fileno())


def send(content: bytes) -> None:
    os.write(pipe(), content)


def framed(content: bytes) -> bytes:
    """As multiprocessing sends it."""
    return struct.pack("!i", len(content)) + content


class Runs:
    """Its pickle writes a file where it is loaded."""

    def __reduce__(self) -> tuple[Callable[[str], int], tuple[str]]:
        return os.system, (f"touch {shlex.quote(os.environ['TORCHDUET_TEST_RAN'])}",)


def close_pipe() -> None:
    os.close(pipe())
    time.sleep(3600)


def hang_in_c() -> None:
    ctypes.PyDLL(None).sleep(3600)  # holds the GIL: no thread of the worker can do anything


def hang_with_children() -> None:
    subprocess.Popen([sys.executable, "-c", "import time; time.sleep(3600)"])
    time.sleep(3600)


def print_megabytes() -> None:
    for _ in range(100):
        os.write(1, b"spam " * 200_000)
    raise RuntimeError("printed 100 MB")


def exhaust_memory() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (2**33, 2**33))
    torch.empty(2**36, dtype=torch.uint8).fill_(1)


def exhaust_descriptors() -> None:
    resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
    files = [open(os.devnull) for _ in range(200)]  # noqa: SIM115, PTH123
    raise RuntimeError(len(files))


def exhaust_file_size() -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (10, 10))
    os.write(1, b"0123456789" * 10)
    os.write(1, b"0123456789" * 10)


def exhaust_cpu() -> None:
    resource.setrlimit(resource.RLIMIT_CPU, (1, 3))
    while True:
        pass


def recurse(depth: int = 0) -> int:
    return recurse(depth + 1) + 1


def overflow_stack() -> None:
    sys.setrecursionlimit(10**9)
    nested: list[object] = []
    for _ in range(10**6):
        nested = [nested]
    pickle.dumps(nested)


def in_thread() -> None:
    thread = threading.Thread(target=lambda: os.kill(os.getpid(), signal.SIGABRT))
    thread.start()
    thread.join()


def interrupt() -> None:
    raise KeyboardInterrupt


def kill(number: int) -> Fault:
    def send() -> None:
        if number != signal.SIGKILL:
            signal.signal(number, signal.SIG_DFL)  # under nohup a hang-up would be ignored
        os.kill(os.getpid(), number)

    return send


AGAIN = """
while :; do
    if grep -q "^State:.T" /proc/{pid}/status; then kill -CONT {pid}; fi
    sleep 0.02
done
"""
EVERY = 25  # calls, of which some are then within a timed block


def stop_and_go_on() -> Fault:
    """SIGSTOP now and then; a process of its own lets it go on."""
    calls: list[subprocess.Popen[bytes] | None] = []

    def fault() -> None:
        time.sleep(1e-3)
        if not calls:
            calls.append(subprocess.Popen(["sh", "-c", AGAIN.format(pid=os.getpid())]))
        calls.append(None)
        if len(calls) % EVERY == 0:
            os.kill(os.getpid(), signal.SIGSTOP)

    return fault


DEADLY: dict[str, Fault] = {
    "killed": kill(signal.SIGKILL),
    "segfault": lambda: ctypes.string_at(0),
    "abort": os.abort,
    "abort_in_thread": in_thread,
    "bus_error": kill(signal.SIGBUS),
    "illegal_instruction": kill(signal.SIGILL),
    "floating_point": kill(signal.SIGFPE),
    "terminated": kill(signal.SIGTERM),
    "hung_up": kill(signal.SIGHUP),
    "trapped": kill(signal.SIGTRAP),
    "real_time_signal": kill(signal.SIGRTMIN + 3),
    "file_size": exhaust_file_size,
    "cpu_time": exhaust_cpu,
    "stack": overflow_stack,
    "exit_0": lambda: os._exit(0),
    "exit_7": lambda: os._exit(7),
    "sys_exit": lambda: sys.exit(3),
    "interrupted": interrupt,
    "closes_its_pipe": close_pipe,
    "garbage": lambda: send(b"GET / HTTP/1.1\r\n\r\n"),
    "no_message": lambda: send(framed(b"12345678")),
    "pickle": lambda: send(framed(pickle.dumps(Runs()))),
    "unknown_class": lambda: send(framed(b"cno_such_module\nX\n..")),
    "wrong_type": lambda: send(framed(msgspec.msgpack.encode(42))),
    "endless_message": lambda: send(struct.pack("!iQ", -1, 2**62)),
    "half_a_message": lambda: (send(struct.pack("!i", 1000) + b"half"), os._exit(0)),
    "half_a_message_and_hangs": lambda: (send(struct.pack("!i", 1000) + b"half"), time.sleep(3600)),
    "hangs": lambda: time.sleep(3600),
    "hangs_in_c": hang_in_c,
    "hangs_with_children": hang_with_children,
}

SURVIVED: dict[str, Fault] = {
    "raises": lambda: 1 / 0,
    "recursion": recurse,
    "host_memory": exhaust_memory,
    "descriptors": exhaust_descriptors,
    "megabytes": print_megabytes,
    "stops_its_output": lambda: (os.close(1), os.close(2), 1 / 0),
    "deletes_its_folder": lambda: (shutil.rmtree(tempfile.gettempdir()), 1 / 0),
}


def add(name: str, fault: Fault) -> None:
    """A workload that computes what it should, after the fault."""

    def faulty(x: torch.Tensor) -> torch.Tensor:
        fault()
        return x + 1

    faulty.__name__ = name
    faulty.__doc__ = name
    suite.workload(inputs=lambda device: (torch.ones(4, device=device),), modes=["eager"])(faulty)


def interleaved() -> None:
    """Three deaths in a row would end the run: every third is one that the worker survives."""
    harmless = [*SURVIVED.items()]
    for index, (name, fault) in enumerate(DEADLY.items()):
        if index % 2 == 0:
            number = index // 2
            its_name, its_fault = harmless[number] if number < len(harmless) else (f"harmless_{number}", lambda: None)
            add(its_name, its_fault)
        add(name, fault)


add("stopped", stop_and_go_on())  # first, while there is time for it
interleaved()
