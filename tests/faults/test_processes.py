"""What befalls the processes of a run, its parts alone: a run ends in time, and leaves no process and no folder."""

import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.bench.test_left_behind import ROOT, Traces, until
from tests.faults.processes import SERVERS, STOP, begin, ended
from torchduet.bench.host.child_processes import completed
from torchduet.bench.host.process import left_behind
from torchduet.bench.host.process.inherited import too_few_tasks
from torchduet.bench.host.temporary import ALIVE, sweep
from torchduet.bench.workers.ended import WorkerError
from torchduet.bench.workers.exit_reason import start

GIVES_UP = """
try:
    waits()
except KeyboardInterrupt:
    folder.cleanup()
    sys.exit(request.exit_code)
"""
GOES_ON = """
while True:
    try:
        waits()
    except KeyboardInterrupt:
        print("goes on", flush=True)
"""
IN_C = """
import hashlib
print("waits", flush=True)
hashlib.pbkdf2_hmac("sha256", b"", b"", 2**31 - 1)  # no handler of Python's runs meanwhile
"""
INTERRUPTS = """
import os, signal, sys
def hook(event, values):
    if event == "import" and values[0] == {module!r} and {option!r} in sys.orig_argv[1:3]:
        os.kill(os.getpid(), signal.SIGINT)
sys.addaudithook(hook)
"""


@pytest.fixture
def traces(tmp_path: Path) -> Iterator[Traces]:
    del tmp_path
    import tempfile

    folder = Path(tempfile.mkdtemp(prefix="td-", dir="/tmp"))
    yield Traces(folder)
    shutil.rmtree(folder)


@pytest.mark.parametrize("name", ["SIGTERM", "SIGHUP"])
@pytest.mark.parametrize(("what", "words"), [(GIVES_UP, ""), (GOES_ON, "did not end within")], ids=["waits", "goes on"])
def test_after_one_signal_it_ends_whatever_it_waits_for(traces: Traces, what: str, words: str, name: str) -> None:
    process = begin(traces, STOP, what)
    assert process.stdout is not None
    assert process.stdout.readline() == "waits\n"
    process.send_signal(getattr(signal, name))
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 128 + getattr(signal, name), output
    assert words in output
    assert "Traceback" not in output
    assert until(traces.none, 20), traces


def test_sigterm_during_a_call_in_c_ends_it_too(traces: Traces) -> None:
    process = begin(traces, STOP, IN_C)
    assert process.stdout is not None
    assert process.stdout.readline() == "waits\n"
    process.terminate()
    try:
        output, _ = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 143, output
    assert until(traces.none, 20), traces


def test_a_signal_that_was_ignored_stays_so(traces: Traces) -> None:
    what = "signal.signal(signal.SIGHUP, signal.SIG_IGN)"
    first, rest = STOP.split("request.listen()")
    code, output = ended(
        traces, first, what, "request.listen()", rest, "os.kill(os.getpid(), signal.SIGHUP)", "folder.cleanup()"
    )
    assert (code, output) == (0, "")


def test_ctrl_c_twice_while_it_ends_disturbs_nothing(traces: Traces) -> None:
    last_steps = """
request.ends = True
for _ in range(2):
    os.kill(os.getpid(), signal.SIGINT)
folder.cleanup()
print(request.name, request.immediate)
"""
    assert ended(traces, STOP, last_steps) == (0, "SIGINT False\n")
    assert until(traces.none, 20), traces


@pytest.mark.parametrize(
    ("arguments", "module", "option"),
    [
        ("-m torchduet run", "torchduet.bench.plugin.against_command", "-m"),
        ("-m torchduet run", "_pytest.cacheprovider", "-c"),
        ("-m pytest bench/", "torchduet.bench.plugin.collection", "-m"),
    ],
    ids=["the command", "its pytest", "pytest"],
)
def test_ctrl_c_while_it_imports_prints_no_traceback(traces: Traces, arguments: str, module: str, option: str) -> None:
    hook = traces.folder / "site"
    hook.mkdir()
    (hook / "sitecustomize.py").write_text(INTERRUPTS.format(module=module, option=option))
    done = subprocess.run(
        [sys.executable, *arguments.split()],
        cwd=ROOT,
        env={**traces.environment, "PYTHONPATH": f"{hook}{os.pathsep}{ROOT}"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    shutil.rmtree(hook)
    assert done.returncode == -signal.SIGINT, done
    assert "Traceback" not in done.stdout + done.stderr
    assert until(traces.none, 20), traces


def test_of_a_run_killed_by_sigkill_only_its_own_folder_is_left_which_the_next_removes(
    traces: Traces, monkeypatch: pytest.MonkeyPatch
) -> None:
    code, output = ended(traces, SERVERS, "os.kill(os.getpid(), signal.SIGKILL)")
    assert code == -signal.SIGKILL, output
    assert until(lambda: not traces.processes(), 20), traces
    (left,) = traces.folder.iterdir()  # no pymp-…
    assert left.name.startswith("torchduet-")
    os.utime(left / ALIVE, (0, 0))
    monkeypatch.setattr("tempfile.tempdir", str(traces.folder))
    sweep()
    assert traces.none(), traces


CLOSES = """
servers.stop()
folder.cleanup()
"""


@pytest.mark.parametrize(
    "what",
    [
        "os.kill(server(), signal.SIGKILL); os.waitid(os.P_PID, server(), os.WEXITED | os.WNOWAIT)",
        "os.kill(resource_tracker._resource_tracker._pid, signal.SIGKILL)",
    ],
    ids=["fork server", "resource tracker"],
)
def test_a_killed_helper_is_started_again_as_it_was(traces: Traces, what: str) -> None:
    code, output = ended(traces, SERVERS, what, "assert worker()", CLOSES)
    assert code == 0, output
    assert until(traces.none, 20), traces


def test_a_stopped_fork_server_costs_one_worker(traces: Traces) -> None:
    what = """
os.kill(server(), signal.SIGSTOP)
try:
    worker(0.3)
except EOFError:
    print("refused")
assert worker()
os.kill(server(), signal.SIGSTOP)
"""
    assert ended(traces, SERVERS, what, CLOSES) == (0, "refused\n")
    assert until(traces.none, 20), traces


def test_where_sigchld_was_ignored_it_is_not_any_more_nor_does_the_umask_forbid_own_files(traces: Traces) -> None:
    inherits = """
import os, signal
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
os.umask(0o777)
from torchduet.bench.host.process.inherited import usable
usable()
"""
    code, output = ended(traces, inherits, SERVERS, "assert worker()", CLOSES, "print(oct(os.umask(0)))")
    assert (code, output) == (0, "0o77\n")


@pytest.mark.parametrize(("hard", "kept", "few"), [(4096, 256, False), (60, 60, False), (20, 20, True)])
def test_a_small_limit_of_open_files_is_raised_or_named(traces: Traces, hard: int, kept: int, few: bool) -> None:
    limited = f"""
from resource import RLIMIT_NOFILE, getrlimit, setrlimit
from torchduet.bench.host.process.inherited import too_few_files, usable
setrlimit(RLIMIT_NOFILE, (20, {hard}))
usable()
print(getrlimit(RLIMIT_NOFILE), "ulimit -n" in too_few_files())
"""
    assert ended(traces, limited) == (0, f"({kept}, {hard}) {few}\n")


def test_processes_that_a_workload_leaves_in_a_session_of_their_own_are_ended(traces: Traces) -> None:
    leaves = """
from torchduet.bench.host.process.left_behind import MARK, end_marked
servers._variables[0][MARK] = str(folder.path)
os.kill(server(), signal.SIGKILL); os.waitid(os.P_PID, server(), os.WEXITED | os.WNOWAIT)
with servers.restartable(60.0, True), without_main():
    process = context.Process(target=os.system, args=("setsid sleep 600 > /dev/null 2>&1 &",))
    process.start()
process.join()
print(end_marked(folder.path, [servers.stop()]))
folder.cleanup()
"""
    assert ended(traces, SERVERS, leaves) == (0, "1\n")
    assert until(traces.none, 20), traces


def test_a_process_that_starts_another_program_at_that_moment_is_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its environment is empty meanwhile."""
    with subprocess.Popen(["sleep", "600"], env={**os.environ, left_behind.MARK: str(tmp_path)}) as left:
        seen = iter([set[int]()] * (left_behind.SCANS - 1))
        marked = left_behind._marked
        monkeypatch.setattr(left_behind, "_marked", lambda folder: next(seen, None) or marked(folder))
        monkeypatch.setattr(left_behind, "GRACE_SECONDS", 0.5)
        assert left_behind.end_marked(tmp_path) == 1
        assert left.wait(20) == -signal.SIGKILL


def test_a_command_that_is_interrupted_ends_with_what_it_has_started(traces: Traces) -> None:
    interrupted = """
import os, signal, threading
from torchduet.bench.host.child_processes import completed
threading.Timer(0.5, lambda: os.kill(os.getpid(), signal.SIGINT)).start()
try:
    completed(["sh", "-c", "sleep 600 & sleep 600"])
except KeyboardInterrupt:
    print("interrupted")
"""
    assert ended(traces, interrupted) == (0, "interrupted\n")
    assert until(traces.none, 5), traces


def test_a_command_is_given_its_input_and_its_output_is_read() -> None:
    assert completed(["cat"], input=b"x").stdout == b"x"
    assert completed(["sh", "-c", "echo no >&2; exit 3"], text=True).stderr == "no\n"


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (BlockingIOError(11, "Resource temporarily unavailable"), "Resource temporarily unavailable"),
        (OSError(28, "No space left on device"), "No space left on device"),
        (EOFError(), "the process that forks it has ended"),
    ],
    ids=["EAGAIN", "ENOSPC", "its server is gone"],
)
def test_a_worker_that_cannot_be_started_says_why(error: Exception, words: str) -> None:
    class Process:
        def start(self) -> None:
            raise error

    with pytest.raises(WorkerError, match=f"the worker could not be started: {words}"):
        start(Process())  # type: ignore[arg-type]


@pytest.mark.parametrize("possible", [3, 1000])
def test_where_no_more_processes_and_threads_may_be_started_a_run_is_refused(
    possible: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    start, before, refused = threading.Thread.start, threading.active_count(), list[threading.Thread]()

    def limited(thread: threading.Thread) -> None:
        if threading.active_count() - before >= possible:
            refused.append(thread)
            raise RuntimeError("can't start new thread")
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", limited)
    words = too_few_tasks()
    assert threading.active_count() == before
    if possible == 3:
        assert len(refused) == 1
        assert "3 more processes or threads" in words
        assert "ulimit -u" in words
    else:
        assert words == ""
