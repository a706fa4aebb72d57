"""Whatever the other side of a duet does, one line says what and on which side, and pytest's process is unharmed."""

import os
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from threading import Thread
from time import monotonic
from typing import Any

import pytest

from tests.faults import table
from tests.faults.run import WORKLOADS
from torchduet.bench.cases.case import Case, cases_of, group
from torchduet.bench.duet import processes, side_worker
from torchduet.bench.duet.duet import Duet
from torchduet.bench.duet.processes import Facts, Server, SideError, link_packages
from torchduet.bench.duet.side_worker import Worker
from torchduet.bench.duet.sides import Side
from torchduet.bench.received import channel, sides
from torchduet.bench.received.channel import MAX_LINE, Channel
from torchduet.bench.received.cleaned import GarbageError
from torchduet.bench.workers import exit_reason
from torchduet.bench.workers.launcher import WorkerError
from torchduet.suites.registry import load

FILE = str(WORKLOADS / "sides.py")
HELLO = '{"protocol": 1, "executable": "/p", "python": "3.12.1", "torch": "2.9.0", "cuda": null}'
INTERPRETERS: dict[str, str] = {  # fault → a program in the place of the interpreter; its last argument is a socket
    "hello_junk": "os.write(fd, b'hello\\n')",
    "hello_list": "os.write(fd, b'[1, 2]\\n')",
    "hello_keys": "os.write(fd, b'{\"protocol\": 1}\\n')",
    "hello_types": 'os.write(fd, b\'{"protocol": "one"}\\n\')',
    "hello_protocol": "os.write(fd, b'{\"protocol\": 2}\\n')",
    "hello_nested": "os.write(fd, b'{\"error\": ' + b'[' * 60_000 + b'\\n')",
    "hello_utf8": 'os.write(fd, b\'{"error": "\\xff\\xfe"}\\n\')',
    "hello_long_version": "os.write(fd, b'" + HELLO.replace("2.9.0", "2." + "9" * 200) + "\\n')",
    "hello_escapes": 'os.write(fd, b\'{"error": "is \\\\u001b[2Jgone\\\\nand more"}\\n\')',
    "hello_endless": "[os.write(fd, b'x' * 65536) for _ in range(10**6)]",
    "closes_and_hangs": "os.close(fd); time.sleep(600)",
    "hangs": "print('still', 'starting', flush=True); time.sleep(600)",
    "too_old": "sys.version_info = (3, 8, 10); exec(sys.argv[2])",
    "python_2": "print('  File \"<string>\", line 9\\nSyntaxError: invalid syntax'); sys.exit(1)",
    "no_python": "print('usage: \\x1b[1mls\\x1b[0m [-l]', file=sys.stderr); sys.exit(2)",
    "silent": "sys.exit(0)",
    "dies": "os.kill(os.getpid(), 11)",
}


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "ANSWER_SECONDS", 1.0)


def fake(folder: Path, program: str) -> str:
    """An executable that runs a program."""
    python = folder / "python"
    python.write_text(f"#!{sys.executable}\nimport os, sys, time\nfd = int(sys.argv[-1])\n{program}\n")
    python.chmod(0o755)
    return str(python)


@pytest.fixture
def packages(tmp_path: Path) -> Path:
    return link_packages(tmp_path / "packages")


def answer_of(python: str, packages: Path, folder: Path) -> Facts:
    """What an interpreter says of itself."""
    server = Server(Side(python), packages, folder / "server.log", {})
    try:
        return server.ready()
    finally:
        server.close()
        assert server._process.poll() is not None


@pytest.mark.parametrize("fault", INTERPRETERS)
def test_an_interpreter_that_cannot_be_a_side_is_named_in_one_line(
    fault: str, packages: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if fault == "hangs":
        monkeypatch.setattr(processes, "READY_SECONDS", 1.0)
    python = fake(tmp_path, INTERPRETERS[fault])
    with pytest.raises(SideError) as raised:
        answer_of(python, packages, tmp_path)
    words = str(raised.value)
    assert words.startswith(f"{python} ")
    assert table.SIDES[fault][1] in words
    assert words.isprintable(), words  # no line break, no escape sequence
    assert len(words) < len(python) + 500


def test_what_is_no_program_is_named_in_one_line(packages: Path, tmp_path: Path) -> None:
    python = tmp_path / "python"
    python.write_bytes(b"\x7fELF and no more")
    python.chmod(0o755)
    with pytest.raises(SideError, match=r"python cannot be run: [^\n]*$"):
        answer_of(str(python), packages, tmp_path)


def test_versions_with_escape_sequences_are_written_out(packages: Path, tmp_path: Path) -> None:
    hello = HELLO.replace("2.9.0", "2.9.0\\\\u001b[2J")
    facts = answer_of(fake(tmp_path, f"os.write(fd, b'{hello}\\n'); time.sleep(600)"), packages, tmp_path)
    assert facts.torch == "2.9.0\\x1b[2J"


def test_an_interpreter_that_floods_its_output_does_not_fill_the_disk(
    packages: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(processes, "READY_SECONDS", 3.0)
    monkeypatch.setattr(channel, "LOOK_SECONDS", 0.02)
    monkeypatch.setattr(exit_reason, "MAX_LOG_BYTES", 2**16)
    sizes: list[int] = []
    trim = side_worker.truncate_log

    def trimmed(log: Path) -> None:
        trim(log)
        sizes.append(log.stat().st_size)

    monkeypatch.setattr(processes, "truncate_log", trimmed)
    flood = "while True: os.write(2, b'spam ' * 4000); time.sleep(0.005)"
    with pytest.raises(SideError, match="did not answer within 3 s"):
        answer_of(fake(tmp_path, flood), packages, tmp_path)
    assert len(sizes) > 3
    assert any(after < before for before, after in pairwise(sizes))  # it was emptied


@pytest.mark.parametrize("pid", ["1", "0", "-1", "99999999999", '"one"', "null", "own"])
def test_a_process_that_is_not_the_interpreters_own_is_never_signalled(
    pid: str, packages: Path, tmp_path: Path
) -> None:
    sent = str(os.getpid()) if pid == "own" else pid  # no parameter: it differs between processes
    answer = f'{{"pid": {sent}}}'
    program = f"os.write(fd, b'{HELLO}\\n'); os.read(fd, 9999); os.write(fd, b'{answer}\\n'); time.sleep(600)"
    server = Server(Side(fake(tmp_path, program)), packages, tmp_path / "server.log", {})
    ends = socket.socketpair()
    with ends[0], ends[1]:
        try:
            server.ready()
            with pytest.raises(WorkerError, match=r"is no process of its own|something that is not a message"):
                server.fork(ends[0])
        finally:
            server.close()


@pytest.fixture(scope="module")
def duet() -> Iterator[Duet]:
    """This interpreter against itself with SIDED=1, one pair of servers."""
    made = Duet((Side(sys.executable), Side(sys.executable, (("SIDED", "1"),))), compiler=False)
    made.pool.start()
    monkeypatch = pytest.MonkeyPatch()
    monkeypatch.setattr(made.pool, "unused", lambda _: made.pool.any())
    yield made
    monkeypatch.undo()
    made.close()


def case_of(name: str) -> Case:
    (suite,) = load(FILE)
    return next(
        case
        for family in group(cases_of(FILE, suite, tier="quick", devices=["cpu"]))
        for case in family.cases
        if case.workload == name
    )


WORKERS = [name for name in table.SIDES if name not in INTERPRETERS]


@pytest.mark.parametrize("fault", WORKERS)
def test_a_worker_that_sends_what_no_side_should_fails_its_case_and_is_named(
    duet: Duet, fault: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (side_worker, sys.modules["torchduet.bench.duet.placements"]):
        monkeypatch.setattr(module, "SILENT_SECONDS", 6.0)
    monkeypatch.setattr("torchduet.bench.duet.placements.ANSWER_SECONDS", 2.0)
    case, began = case_of(fault), monotonic()
    ledger, taken = duet.first([case], 10.0, lambda: None)
    if fault == "prints":
        assert not ledger.failures
        assert case in taken.blocks
        return
    failure = ledger.failures[case]
    assert failure.side == 1
    assert table.SIDES[fault][1] in failure.reason
    assert "\x1b" not in failure.reason
    assert case not in taken.blocks
    assert monotonic() - began < 120


def test_after_all_that_the_next_family_is_timed(duet: Duet) -> None:
    assert not duet.first([case_of("prints")], 10.0, lambda: None)[0].failures


@pytest.fixture
def worker(tmp_path: Path) -> Iterator[tuple[Worker, socket.socket]]:
    own, other = socket.socketpair()
    yield Worker(lambda _pid, _grace: 0, os.getpid(), Channel(own), tmp_path / "log"), other
    own.close()
    other.close()


TURNS: tuple[tuple[str, bytes, str], ...] = (
    ("huge numbers", b'{"blocks": [1e999], "errors": {}, "left_out": {}}', "Number out of range"),
    ("seconds beyond any clock", b'{"blocks": [1e300], "errors": {}, "left_out": {}}', "Expected `float` <="),
    ("an index that is none", b'{"blocks": [], "errors": {"-1": "why"}, "left_out": {}}', "matching regex"),
    ("a text for an object", b'{"blocks": [], "errors": "why"}', "Expected `object`, got `str`"),
    ("half a message", b'{"blocks": [', "Input data was truncated"),
    ("no object", b"42", "Expected `object`, got `int`"),
)


@pytest.mark.parametrize(("content", "words"), [(content, words) for _, content, words in TURNS])
def test_an_answer_of_another_form_is_refused(worker: tuple[Worker, socket.socket], content: bytes, words: str) -> None:
    of, other = worker
    other.sendall(content + b"\n")
    with pytest.raises(WorkerError, match=re.escape(words)) as raised:
        of.receive(sides.Turns, 1.0)
    assert "sent something that is not a message" in str(raised.value)


def test_answers_to_nothing_are_refused_before_the_next_question(worker: tuple[Worker, socket.socket]) -> None:
    of, other = worker
    other.sendall(b'{"errors": {}}\n{"errors": {}}\n')
    assert of.receive(sides.Errors, 1.0) == {"errors": {}}
    with pytest.raises(WorkerError, match="it was asked for nothing"):
        of.send({"do": "fresh"})


def test_no_line_grows_without_end_and_the_time_for_one_is_limited() -> None:
    own, other = socket.socketpair()
    with own, other:
        reading = Channel(own)
        chunk = b"x" * 2**16
        sending = Thread(target=lambda: [other.sendall(chunk) for _ in range(MAX_LINE // len(chunk) + 2)])
        sending.start()
        with pytest.raises(GarbageError, match="without the end of a line"):
            reading.receive_line(60.0)
        sending.join(60)
        assert not sending.is_alive()
    own, other = socket.socketpair()
    with own, other:
        other.sendall(b"drip")
        began = monotonic()
        with pytest.raises(channel.SilentError):
            Channel(own).receive_line(0.2)
        assert monotonic() - began < 60


def test_files_that_a_side_sends_along_are_not_kept_open() -> None:
    own, other = socket.socketpair()
    with own, other, open(os.devnull) as file:  # noqa: PTH123
        reading = Channel(own)
        before = len(os.listdir("/proc/self/fd")) if Path("/proc/self/fd").exists() else 0  # noqa: PTH208
        socket.send_fds(other, [b"{}\n"], [file.fileno()] * 3)
        assert reading.receive(1.0) == {}
        assert reading.descriptors == []
        if before:
            assert len(os.listdir("/proc/self/fd")) == before  # noqa: PTH208


def without_msgspec(code: str) -> Any:
    """The result of code in an interpreter that has torch and NumPy and nothing else that is installed here."""
    absent = ["msgspec", "pytest", "pandas", "matplotlib", "jinja2", "cloudpickle", "tqdm", "pytest_benchmark"]
    script = f"import sys\nfor name in {absent}: sys.modules[name] = None\n{code}"
    return subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)


def test_a_side_needs_torch_and_numpy_alone() -> None:
    done = without_msgspec(
        "import torchduet.bench.duet.server, torchduet.bench.duet.worker, torchduet.bench.duet.memory\n"
        "import torchduet.bench.workers.profiling, torchduet.bench.passes.pilots, torchduet.bench.workers.preload\n"
        "print('imported')"
    )
    assert done.stdout == "imported\n", done.stderr
