"""Small programs made of parts of ours, without torch: what befalls a process takes tenths of a second to try."""

from __future__ import annotations

import subprocess
import sys

from tests.bench.test_left_behind import ROOT, Traces

STOP = """
import os, signal, sys, time
from torchduet.bench.host import signals, temporary
signals.GIVE_UP_SECONDS, signals.END_SECONDS = 0.3, 1.2
folder = temporary.RunFolder()
request = signals.StopRequest(in_time=True)
request.at_end.append(temporary.remove_all)
request.listen()
request.graceful = True
ours, theirs = os.pipe()
def waits():
    print("waits", flush=True)
    os.read(ours, 1)
"""

SERVERS = """
import multiprocessing, os, signal, sys, time
from multiprocessing import resource_tracker
from pathlib import Path
from torchduet.bench.host.temporary import RunFolder
from torchduet.bench.host.without_main import without_main
from torchduet.bench.workers import servers as module
from torchduet.bench.workers.environment import temporary_below
module.PRELOAD, module.MIN_START_SECONDS = "json", 0.0  # not torch
folder = RunFolder()
own = folder.path / "t"
servers = module.Servers(folder.path, lambda _: {"OF_THE_SERVER": "yes"} | temporary_below(own))
servers.start(compiler=False)
Path(servers._ready_file(0)).write_text("0")
context = multiprocessing.get_context("forkserver")

def server():
    servers._keep()
    return servers._states[0]["_forkserver_pid"]

def worker(seconds=60.0):
    "A worker that writes what it sees of the server's variables."
    with servers.restartable(seconds, True), without_main():
        seen = f"echo $OF_THE_SERVER $TMPDIR > {folder.path}/seen"
        process = context.Process(target=os.system, args=(seen,))
        process.start()
    process.join()
    return (folder.path / "seen").read_text().split() == ["yes", str(own)]

assert worker()
"""


def begin(traces: Traces, *parts: str) -> subprocess.Popen[str]:
    """Start a program in a process of its own, in no terminal."""
    return subprocess.Popen(
        [sys.executable, "-c", "\n".join(parts)],
        cwd=ROOT,
        env=traces.environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def ended(traces: Traces, *parts: str) -> tuple[int, str]:
    """Run a program to its end; its exit code and output."""
    process = begin(traces, *parts)
    output, _ = process.communicate(timeout=120)
    return process.returncode, output
