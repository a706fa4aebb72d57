"""A place that cannot take a result is refused before the work; what fails later is written elsewhere, and said."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from pytest_benchmark.storage.file import FileStorage

from tests.bench.test_left_behind import ROOT
from tests.faults.unusual import put
from tests.reports.refusals import refused
from torchduet.__main__ import main
from torchduet.bench.files import atomic, places
from torchduet.bench.files.atomic import write_atomically
from torchduet.bench.host import temporary
from torchduet.bench.host.run_lock import REFUSE, Lock
from torchduet.bench.passes.profiler import whole_files
from torchduet.bench.plan.options import OptionError
from torchduet.bench.plan.preflight import check_output, check_temporary
from torchduet.bench.plugin import output
from torchduet.bench.record import journal
from torchduet.bench.run.profile_selection import Profiling, profile_all
from torchduet.bench.run.progress import Progress
from torchduet.bench.timing.failures import describe
from torchduet.bench.workers.ended import WorkerError
from torchduet.bench.workers.environment import scratch
from torchduet.reports.commands import render

pytestmark = pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="its faults are those of POSIX systems")

PLACES = {  # kind of tests.faults.unusual → what is said of it, as a run's file and as a report
    "pipe": ("is a pipe, not a file", None),
    "socket": ("is a socket, not a file", None),
    "device": ("is a device, not a file", None),
    "folder": ("is a folder; name a file", "is a directory"),
    "link loop": ("Too many levels of symbolic links", "Too many levels of symbolic links"),
    "dangling link": ("there is no folder", "there is no folder"),
}
NOBODY = 65534


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


@contextlib.contextmanager
def without_rights() -> Iterator[None]:
    """Root does without its rights."""
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.mark.parametrize("kind", PLACES)
def test_a_place_that_takes_no_run_is_refused_before_it(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "it.json"
    put(kind, path)
    before = names(tmp_path)
    with pytest.raises(OptionError) as error:
        check_output(path)
    assert str(error.value).startswith(f"--benchmark-json {path}: ")
    assert PLACES[kind][0] in str(error.value)
    check_output(path, selecting_only=True)
    assert names(tmp_path) == before


@pytest.mark.parametrize("kind", [kind for kind in PLACES if PLACES[kind][1]])
@pytest.mark.parametrize(
    "command",
    [
        ("render", "run.json", "-o"),
        ("render", "run.json", "--markdown"),
        ("render", "run.json", "--comment"),
        ("export", "run.json", "-o"),
        ("compare", "run.json", "-o"),
        ("compare", "run.json", "--markdown"),
        ("machines", "run.json", "-o"),
        ("history", ".", "-o"),
        ("against", "main", "-o"),
    ],
    ids=" ".join,
)
def test_a_place_that_takes_no_report_is_refused_before_it(
    command: tuple[str, ...], kind: str, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    put(kind, here / "it.csv")
    before = names(here)
    says = refused(capsys, *command, "it.csv")
    assert says.startswith("error: it.csv: ")
    assert (PLACES[kind][1] or "") in says or "Is a directory" in says
    assert names(here) == before


@pytest.mark.parametrize("path", ["/dev/stdout", "/dev/stdin", "/dev/null", "/dev/full", "/dev/fd/1"])
def test_a_run_is_not_written_to_a_device(path: str) -> None:
    with pytest.raises(OptionError, match=rf"--benchmark-json {path}: is (a device|standard input or output), not a"):
        check_output(Path(path))
    assert not os.path.lexists(f"{path}.journal")


def test_a_report_to_standard_output_is_added_to_what_a_shell_has_opened(here: Path) -> None:
    (here / "log").write_text("before\n")
    with (here / "log").open("ab") as log:
        command = [sys.executable, "-m", "torchduet", "render", str(here / "run.json"), "--markdown", "/dev/stdout"]
        done = subprocess.run(command, cwd=ROOT, stdout=log, stderr=subprocess.PIPE, check=False)
    assert done.returncode == 0, done.stderr
    lines = (here / "log").read_text().splitlines()
    assert lines[:1] == ["before"]
    assert len(lines) > 3
    assert "/dev/stdout" not in lines


def test_a_pipe_is_written_to_once_it_has_a_reader(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    read: list[bytes] = []
    reader = threading.Thread(target=lambda: read.append(pipe.read_bytes()))
    reader.start()
    write_atomically(b"x" * 300_000, pipe)  # more than a pipe holds
    reader.join()
    assert read == [b"x" * 300_000]
    monkeypatch.setattr(atomic, "READER_SECONDS", 0.1)
    with pytest.raises(OSError, match="it is a pipe that nobody reads"):
        write_atomically(b"x", pipe)


@pytest.mark.parametrize("kind", [*PLACES, "file"])
def test_a_place_is_tried_without_a_change(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "it.json"
    if kind == "file":
        path.write_text("as it was")
        (tmp_path / "hard").hardlink_to(path)
        before = path.stat()
        check_output(path)
        now = path.stat()
        assert (now.st_ino, now.st_mtime_ns, now.st_nlink) == (before.st_ino, before.st_mtime_ns, 2)
    else:
        put(kind, path)
        with pytest.raises(OSError, match=r".") as error:
            places.try_place(path, only_files=True)
        assert error.value.strerror
    assert names(tmp_path) == ({"it.json", "hard"} if kind == "file" else {"it.json"})


def test_links_are_followed_and_hard_links_keep_the_earlier_content(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    (tmp_path / "link").symlink_to("there/it.json")
    places.try_place(tmp_path / "link")
    write_atomically(b"1", tmp_path / "link")
    (tmp_path / "hard").hardlink_to(tmp_path / "there" / "it.json")
    (tmp_path / "hard").chmod(0o640)
    write_atomically(b"2", tmp_path / "link")
    assert (tmp_path / "link").is_symlink()
    assert ((tmp_path / "link").read_bytes(), (tmp_path / "hard").read_bytes()) == (b"2", b"1")
    assert (tmp_path / "link").stat().st_mode & 0o777 == 0o640
    assert names(tmp_path / "there") == {"it.json"}


def test_a_file_of_another_process_that_appears_meanwhile_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "it.json"
    synced = os.fsync

    def appears(handle: int) -> None:
        synced(handle)
        path.write_text("of another")

    monkeypatch.setattr(os, "fsync", appears)
    places.try_place(path)
    assert path.read_text() == "of another"
    assert names(tmp_path) == {"it.json"}


@pytest.mark.parametrize(
    ("path", "says"),
    [
        ("none/run.json", "there is no folder"),
        ("file/run.json", "Not a directory|there is no folder"),
        ("x" * 300, "File name too long"),
        ("x" * 250, "its journal x+.journal cannot be written: File name too long"),
        ("a\0b", "null"),
    ],
    ids=["no folder", "below a file", "300 bytes", "250 bytes", "null byte"],
)
def test_a_name_that_no_file_can_have_is_refused(path: str, says: str, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OptionError, match=says):
        check_output(tmp_path / path)
    assert names(tmp_path) == {"file"}


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that every user can read."""
    if os.geteuid():
        pytest.skip("only root can take on another user's rights")
    folder = Path(tempfile.mkdtemp(prefix="td-", dir="/tmp"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


def test_a_folder_of_another_user_is_refused_and_his_file_in_a_shared_one(open_folder: Path) -> None:
    """As in a clone that belongs to root."""
    tmp_path = open_folder
    for name, mode in (("theirs", 0o755), ("shared", 0o1777)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "run.json").write_text("theirs")
        (tmp_path / name).chmod(mode)
    if os.geteuid():
        pytest.skip("only root can take on another user's rights")
    with without_rights():
        with pytest.raises(OptionError, match=r"theirs/run\.json: cannot be written: Permission denied"):
            check_output(tmp_path / "theirs" / "run.json")
        with pytest.raises(OptionError, match=r"theirs/new\.json: cannot be written: Permission denied"):
            check_output(tmp_path / "theirs" / "new.json")
        with pytest.raises(OptionError, match=r"shared/run\.json: cannot be written: Operation not permitted"):
            check_output(tmp_path / "shared" / "run.json")
        check_output(tmp_path / "shared" / "new.json")
    assert names(tmp_path / "shared") == {"run.json"}


def test_the_lock_of_another_user_is_used_unless_it_is_private(open_folder: Path) -> None:
    path = open_folder / "lock"
    theirs = Lock(path)
    assert theirs.take(REFUSE, print) is None
    with without_rights(), pytest.raises(Exception, match="another run of Torchduet is measuring"):
        Lock(path).take(REFUSE, print)
    path.chmod(0o600)
    with without_rights():
        assert "cannot be used: Permission denied" in str(Lock(path).take(REFUSE, print))
    theirs.free()


FILL = """
def fill():
    with open("fill", "wb", buffering=0) as file:
        try:
            while file.write(b"x" * 4096):
                pass
        except OSError:
            pass
"""


def mounted(options: str, code: str) -> str:
    """Run a program in the folder of a file system of its own, ``mount``, which its ``fill()`` fills; its output.

    Skips where none can be made.
    """
    script = f'mount -t tmpfs -o {options} tmpfs "$1" && cd "$1" && exec "$2" -c "$3"'
    folder = Path(os.environ["PYTEST_MOUNT"])
    command = ["unshare", "-m", "sh", "-c", script, "sh", str(folder), sys.executable, FILL + code]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, check=False, env={**os.environ, "PYTHONPATH": str(ROOT)}
        )
    except FileNotFoundError:
        pytest.skip("needs unshare")
    if "unshare" in done.stderr or "mount:" in done.stderr:
        pytest.skip("no file system can be mounted here")
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture
def _mount(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mount").mkdir()
    monkeypatch.setenv("PYTEST_MOUNT", str(tmp_path / "mount"))


@pytest.mark.usefixtures("_mount")
def test_a_full_and_a_read_only_file_system_are_refused() -> None:
    code = """
import os, subprocess
from pathlib import Path
from torchduet.bench.plan.preflight import check_output
from torchduet.bench.files.atomic import write_atomically
Path("old.json").write_text("old")
def said(path):
    try:
        check_output(Path(path))
    except Exception as error:
        return str(error)
fill()
print(said("run.json"))
print(said("old.json"))
subprocess.run(["mount", "-o", "remount,ro", os.getcwd()], check=True)
print(said("run.json"))
print(said("old.json"))
subprocess.run(["mount", "-o", "remount,rw", os.getcwd()], check=True)
os.remove("fill")
print(said("run.json"))
subprocess.run(["mount", "--bind", "old.json", "old.json"], check=True)
print(said("old.json"))
print(sorted(os.listdir()), Path("old.json").read_text())
"""
    full, full_old, read_only, read_only_old, fits, single, left = mounted("size=64k", code).splitlines()
    assert "run.json: cannot be written: No space left on device; name a file in another folder" in full
    assert "old.json: cannot be written: No space left on device" in full_old
    assert "run.json: cannot be written: Read-only file system" in read_only
    assert "old.json: cannot be written: Read-only file system" in read_only_old
    assert fits == "None"
    assert "old.json: cannot be written: it is mounted as a single file, which cannot be replaced" in single
    assert left == "['old.json'] old"


@pytest.mark.usefixtures("_mount")
def test_a_worker_whose_output_a_full_disk_does_not_take_goes_on() -> None:
    code = """
import os, sys
from torchduet.bench.host.child_processes import last_lines, write_output_to
from pathlib import Path
terminal = os.dup(1)
write_output_to("made.log")
print("before")
fill()
print("x" * 100_000)
print("lost", file=sys.stderr)
os.remove("fill")
print("after")
kept = last_lines(Path("made.log"))
write_output_to("none/none.log")
print("nowhere")
os.write(terminal, f"{kept.splitlines()[0]} {kept.splitlines()[-1]}".encode())
"""
    assert mounted("size=64k", code) == "before after"


def at_the_end(run: Path, progress: Progress) -> None:
    """What pytest-benchmark calls at the end of a run, to write its file."""
    config: Any = SimpleNamespace(_benchmarksession=SimpleNamespace(logger=SimpleNamespace(info=lambda *_, **__: None)))
    session: Any = SimpleNamespace(progress=progress, stop_request=SimpleNamespace(immediate=False))
    output._save(config, session, run, {"benchmarks": [1.5]})


def broken(kind: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Make a folder fail from now on; the reason."""
    if kind in ("disk full", "quota"):
        number = errno.ENOSPC if kind == "disk full" else errno.EDQUOT
        synced = os.fsync

        def full(handle: int) -> None:
            if Path(f"/proc/self/fd/{handle}").readlink().is_relative_to(folder):
                raise OSError(number, os.strerror(number))
            synced(handle)

        monkeypatch.setattr(os, "fsync", full)
        return os.strerror(number)
    (folder / "run.json.journal").unlink(missing_ok=True)
    folder.rmdir()
    folder.touch()
    return "Not a directory|File exists"


@pytest.mark.parametrize("kind", ["disk full", "quota", "folder replaced"])
@pytest.mark.parametrize("working", [True, False], ids=["working folder", "temporary folder"])
def test_a_result_that_cannot_be_written_at_the_end_is_written_elsewhere(
    kind: str, working: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("results", "work", "temporary"):
        (tmp_path / name).mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
    run = tmp_path / "results" / "run.json"
    progress = Progress()
    check_output(run)
    progress.journal = journal.Journal.create(journal.path_for(run), {})
    reason = broken(kind, run.parent, monkeypatch)
    monkeypatch.chdir(tmp_path / "work" if working else tmp_path / "results" if kind != "folder replaced" else "/proc")
    (tmp_path / "work" / "run.json").write_text("of another run")
    at_the_end(run, progress)
    (hint,) = progress.hints
    (elsewhere,) = [path for path in tmp_path.rglob("run*.json") if path.read_bytes() == b'{"benchmarks":[1.5]}']
    assert elsewhere.is_relative_to(tmp_path / ("work" if working else "temporary"))
    assert f"{run} cannot be written: " in hint
    assert any(one in hint for one in reason.split("|"))
    assert f"the run is in {elsewhere} instead" in hint
    assert (tmp_path / "work" / "run.json").read_text() == "of another run"
    session: Any = SimpleNamespace(exitstatus=0)
    of_run: Any = SimpleNamespace(
        progress=progress,
        stop_request=SimpleNamespace(received=lambda: False),
        settings=SimpleNamespace(selecting_only=False, check_only=False),
    )
    output.exit_code(session, of_run, SimpleNamespace(code=0))  # type: ignore[arg-type]
    assert session.exitstatus == output.UNWRITTEN == 2


def test_a_report_that_cannot_be_written_at_the_end_is_written_elsewhere_and_the_others_are(
    here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (here / "full").mkdir()
    synced, tried = os.fsync, []

    def full(handle: int) -> None:
        if Path(f"/proc/self/fd/{handle}").readlink().parent.name == "full":
            tried.append(handle)
            if len(tried) > 1:  # the first is the trial
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        synced(handle)

    monkeypatch.setattr(os, "fsync", full)
    monkeypatch.setattr(render, "_page", lambda _: "<!DOCTYPE html>")  # to make one takes seconds
    assert main(["render", "run.json", "-o", "full/it.html", "--markdown", "it.md"]) == 2
    says = capsys.readouterr().err
    assert says.count("\n") == 1
    assert f"full/it.html: cannot be written: {os.strerror(errno.ENOSPC)}" in says
    assert f"it is in {here / 'it.html'} instead" in says
    assert (here / "it.html").read_text().startswith("<!DOCTYPE html>")
    assert (here / "it.md").stat().st_size > 100
    assert names(here / "full") == set()


def test_a_folder_of_traces_that_fails_is_replaced_by_another(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    (tmp_path / "run-traces").touch()
    profiling = Profiling("all", tmp_path / "run-traces", tmp_path)
    _, warnings = profile_all(profiling, [], {}, None, None, print)  # type: ignore[arg-type]
    assert f"traces are in {tmp_path / 'work' / 'run-traces'} instead" in warnings[0]


def test_a_disk_that_fills_while_a_trace_is_written_leaves_no_half_trace(tmp_path: Path) -> None:
    (tmp_path / "new").mkdir()
    (tmp_path / "old").mkdir()
    (tmp_path / "old" / "earlier.json.gz").touch()
    full = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def half(folder: Path) -> None:
        with whole_files(folder):
            folder.mkdir(exist_ok=True)
            (folder / "half.json.gz").touch()
            raise full

    for name in ("new", "old", "none"):
        with pytest.raises(OSError, match="No space left"):
            half(tmp_path / name)
    assert [path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*")] == ["old", "old/earlier.json.gz"]


CRASHED = """
import os, sys
from pathlib import Path
from torchduet.bench.files import atomic
def dies(*_):
    print("writing", flush=True)
    sys.stdin.read()
os.fsync = dies
atomic.write_atomically(b"new" * 100_000, Path(sys.argv[1]))
"""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_kill_while_a_report_is_written_leaves_the_earlier_one_and_is_swept(
    number: signal.Signals, tmp_path: Path
) -> None:
    path = tmp_path / "it.html"
    path.write_text("earlier")
    command = [sys.executable, "-c", CRASHED, str(path)]
    writers = [
        subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(2)
    ]
    for writer in writers:
        assert writer.stdout is not None
        assert writer.stdout.readline() == "writing\n"
    writers[0].send_signal(number)
    writers[0].communicate()
    assert path.read_text() == "earlier"
    assert len(names(tmp_path)) == 3  # the second is still writing
    write_atomically(b"later", path)
    assert len(names(tmp_path)) == 2
    assert path.read_bytes() == b"later"
    writers[1].communicate("")  # goes on, and replaces it
    assert path.read_bytes() == b"new" * 100_000
    assert names(tmp_path) == {"it.html"}


def test_many_writers_of_one_file_leave_one_whole_file(tmp_path: Path) -> None:
    path, failed = tmp_path / "it", list[BaseException]()

    def write(letter: bytes) -> None:
        try:
            for _ in range(30):
                write_atomically(letter * 50_000, path)
                places.try_place(path)
        except BaseException as error:  # noqa: BLE001 - the test's own thread shows it
            failed.append(error)

    writers = [threading.Thread(target=write, args=(letter,)) for letter in (b"a", b"b", b"c")]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert failed == []
    assert len(set(path.read_bytes())) == 1
    assert names(tmp_path) == {"it"}


def test_two_that_resume_one_journal_at_once_do_not_both(tmp_path: Path) -> None:
    path = journal.path_for(tmp_path / "run.json")
    journal.Journal.create(path, {}).close()
    code = (
        "import sys; from pathlib import Path; from torchduet.bench.record.journal import Journal\n"
        "held = Journal.reopen(Path(sys.argv[1])); print('held', flush=True); sys.stdin.read()"
    )
    command = [sys.executable, "-c", code, str(path)]
    other = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert other.stdout is not None
    assert other.stdout.readline() == "held\n"
    with pytest.raises(journal.JournalBusyError, match="is being written by another run: wait for it"):
        journal.Journal.reopen(path)
    other.communicate("")
    journal.Journal.reopen(path)[0].close()


def test_a_resume_that_waited_until_another_had_finished_the_run_measures_nothing(tmp_path: Path) -> None:
    run = tmp_path / "run.json"
    journal.Journal.create(journal.path_for(run), {}).close()
    options = {"resume": True, "benchmark_disable": False}
    benchmarks = SimpleNamespace(save=None, autosave=None, storage=None)
    config: Any = SimpleNamespace(
        stash=pytest.Stash(), getoption=lambda name, _=None: options[name], _benchmarksession=benchmarks
    )
    output.check(config, run)
    journal.path_for(run).unlink()  # as the other run does at its end
    session: Any = SimpleNamespace(
        settings=SimpleNamespace(selecting_only=False, check_only=False), progress=SimpleNamespace(families=[1])
    )
    with pytest.raises(pytest.UsageError, match=r"another process has finished this run meanwhile: see .*run\.json"):
        output.begin(config, session, run)


def test_a_device_that_is_full_has_no_other_place(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "it.csv").symlink_to("/dev/full")
    says = refused(capsys, "export", "run.json", "-o", "it.csv")
    assert says.endswith("it.csv: cannot be written: No space left on device; choose another path with -o\n")
    assert names(here) == {"run.json", "it.csv"}


def test_the_storage_of_pytest_benchmark_is_tried_before_the_run_and_may_fail_at_its_end(tmp_path: Path) -> None:
    """Of ``--benchmark-autosave``."""
    (tmp_path / "full").touch()

    def configured(path: Path) -> Any:
        storage = FileStorage(path, SimpleNamespace(info=print), default_machine_id="it")  # type: ignore[no-untyped-call]
        return SimpleNamespace(_benchmarksession=SimpleNamespace(save=None, autosave="now", storage=storage))

    with pytest.raises(pytest.UsageError, match=r"--benchmark-autosave: .*full/it cannot be written: .*; name another"):
        output._guard_storage(configured(tmp_path / "full"), Progress())
    config, progress = configured(tmp_path / "storage"), Progress()
    output._guard_storage(config, progress)
    storage = config._benchmarksession.storage
    storage.save({"benchmarks": []}, "now")
    assert names(tmp_path / "storage" / "it") == {"0001_now.json"}
    shutil.rmtree(tmp_path / "storage")
    (tmp_path / "storage").touch()
    storage.save({"benchmarks": []}, "now")
    assert progress.unwritten
    assert "--benchmark-autosave: " in progress.hints[0]


@pytest.mark.parametrize(
    "command", [("compare", "run.json", "run.json"), ("render", "run.json"), ("export", "run.json", "-o", "c.csv")]
)
def test_a_working_folder_that_was_removed_is_one_line(
    command: tuple[str, ...], here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = str(here / "run.json")
    (here / "removed").mkdir()
    os.chdir(here / "removed")
    (here / "removed").rmdir()
    try:
        says = refused(capsys, *(run if part == "run.json" else part for part in command))
    finally:
        os.chdir(here)
    assert "No such file or directory" in says


def without_locks(*_: object) -> None:
    raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))


def test_a_file_system_without_locks_is_written_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As NFS without its lock daemon."""
    monkeypatch.setattr("fcntl.flock", without_locks)
    places.try_place(tmp_path / "it")
    write_atomically(b"1", tmp_path / "it")
    assert Lock(tmp_path / "lock").take(REFUSE, print) is None
    path = journal.path_for(tmp_path / "run.json")
    journal.Journal.create(path, {}).close()
    journal.Journal.reopen(path)[0].remove()
    (tmp_path / f"{atomic.PREFIX}it{atomic.SUFFIX}").touch()
    atomic.sweep(tmp_path)  # its writer may be at work
    assert names(tmp_path) == {"it", "lock", f"{atomic.PREFIX}it{atomic.SUFFIX}"}


@pytest.fixture
def no_temporary_folder(monkeypatch: pytest.MonkeyPatch) -> Callable[[], str]:
    def none() -> str:
        raise FileNotFoundError(errno.ENOENT, "No usable temporary directory found in ['/tmp']")

    monkeypatch.setattr("tempfile.gettempdir", none)
    return none


@pytest.mark.usefixtures("no_temporary_folder")
def test_without_a_folder_for_temporary_files_nothing_begins(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(OptionError, match=r"no folder for temporary files can be written to .*: make room"):
        check_temporary()
    with pytest.raises(OSError, match="no folder for temporary files"):
        temporary.RunFolder()
    assert "error: no folder for temporary files" in refused(capsys, "against", "main")


@pytest.mark.parametrize("what", ["a full disk", "a file in place of the folder"])
def test_a_family_whose_worker_gets_no_folder_fails_with_the_reason(
    what: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if what == "a full disk":

        def full(*_: object, **__: object) -> None:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        monkeypatch.setattr("tempfile.mkdtemp", full)
    else:
        (tmp_path / "of-run").touch()
    with pytest.raises(WorkerError, match=r"no temporary folder can be made in .*of-run: .*; make room there"):
        scratch(str(tmp_path / "of-run"))


def test_the_folder_of_a_run_that_another_program_removed_is_made_again(tmp_path: Path) -> None:
    with scratch(str(tmp_path / "removed")) as folder:
        assert Path(folder).is_dir()
        assert (tmp_path / "removed").stat().st_mode & 0o777 == 0o700


def test_a_case_that_fails_as_the_temporary_disk_is_full_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """As the C++ compiler does, in a line of its output that is not the first."""
    plain = RuntimeError("C++ compile error\n\nCommand: g++\nerror writing to x.s: No space left on device")
    assert describe(plain, "mlp") == "it raised RuntimeError: C++ compile error; No space left on device"
    left = shutil.disk_usage("/")._replace(free=4096)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: left)
    assert "C++ compile error; the disk of temporary files is full: make room" in describe(plain, "mlp")


def test_a_server_that_is_silent_ends_the_download(monkeypatch: pytest.MonkeyPatch) -> None:
    import socket
    from urllib.request import urlopen

    from torchduet.suites.datasets import data

    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        monkeypatch.setattr(data, "SILENT_SECONDS", 0.2)
        fetch = partial(urlopen, f"http://127.0.0.1:{silent.getsockname()[1]}/")
        fake = SimpleNamespace(fetch_openml=lambda *_, **__: fetch())  # the import of scikit-learn takes seconds
        monkeypatch.setitem(sys.modules, "sklearn", SimpleNamespace(datasets=fake))
        monkeypatch.setitem(sys.modules, "sklearn.datasets", fake)
        with pytest.raises(data.DataError, match=r"openml:mnist_784: could not be fetched .*timed out"):
            data.check("openml:mnist_784")
    assert socket.getdefaulttimeout() is None


def test_tensorboard_is_reached_from_this_machine_only() -> None:
    text = (ROOT / "noxfile.py").read_text()
    assert '"--host", "localhost"' in text[text.index("def tensorboard") : text.index("def tests")]
    assert "--bind_all" not in text
