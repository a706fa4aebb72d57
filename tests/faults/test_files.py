"""What is no file in place of a file is refused in one line that names it, at once, whoever reads it."""

from __future__ import annotations

import os
import stat
import threading
from pathlib import Path
from typing import Any

import pytest

from tests.faults.unusual import NO_FILES, put
from tests.reports.refusals import refused
from torchduet.__main__ import main
from torchduet.bench.files import regular
from torchduet.bench.host import temporary
from torchduet.bench.host.run_lock import REFUSE, Lock
from torchduet.bench.record import journal
from torchduet.bench.run.machine_figures import DUET_CHECK
from torchduet.bench.run.machine_prior import machine_prior
from torchduet.bench.selfcheck.finished_runs import RunError
from torchduet.bench.selfcheck.finished_runs import read as read_run
from torchduet.reports.compare.thresholds import globs_of
from torchduet.reports.profile.trace import TraceError
from torchduet.reports.profile.trace import read as read_trace
from torchduet.reports.read.pyproject import PyprojectError
from torchduet.suites.datasets import data
from torchduet.suites.registry import load
from torchduet.suites.workload import SuiteError

pytestmark = pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no pipes with names")

COMMANDS = (
    ("render", "it.json", "-o", "r.html"),
    ("export", "it.json", "-o", "c.csv"),
    ("claims", "it.json"),
    ("compare", "it.json", "run.json"),
    ("compare", "run.json", "it.json"),
)


@pytest.mark.parametrize("kind", NO_FILES)
@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_a_report_of_what_is_no_file_is_refused(
    command: tuple[str, ...], kind: str, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    put(kind, here / "it.json")
    before = {path.name for path in here.iterdir()}
    assert f"it.json: is {NO_FILES[kind]}, not a file" in refused(capsys, *command)
    assert {path.name for path in here.iterdir()} == before


def test_a_pipe_of_a_shell_is_refused(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """``torchduet compare <(…) run.json``."""
    reading, writing = os.pipe()
    try:
        says = refused(capsys, "compare", f"/dev/fd/{reading}", str(here / "run.json"))
    finally:
        os.close(reading)
        os.close(writing)
    assert f"/dev/fd/{reading}: is a pipe, not a file; write what it gives to a file, and name that" in says


def test_standard_input_from_a_file_is_read(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with (here / "run.json").open("rb") as file:
        assert main(["claims", f"/dev/fd/{file.fileno()}"]) == 0
    assert capsys.readouterr().out


@pytest.mark.parametrize("kind", ["pipe", "folder", "link loop", "dangling link"])
def test_a_history_leaves_it_out(kind: str, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("ruptures", reason="needs pip install 'torchduet[history]'")
    from torchduet.reports.history.collect import collect
    from torchduet.reports.history.index import NAME

    put(kind, here / "it.json")
    (here / "again").symlink_to(here)  # followed, it would have no end
    found = collect(here)
    assert found.runs["path"].to_pylist() == ["run.json"]
    assert found.bad == ((("it.json", BAD_PIPE),) if kind == "pipe" else ())
    assert collect(here).bad == found.bad  # from the index, too
    (here / NAME).unlink()
    put("pipe", here / NAME)
    assert collect(here).bad == found.bad
    assert (here / NAME).is_fifo()  # it was not replaced
    assert capsys.readouterr().err == ""


BAD_PIPE = "is a pipe, not a file; write what it gives to a file, and name that"


@pytest.mark.parametrize("kind", NO_FILES)
def test_a_journal_that_is_none_is_refused(kind: str, tmp_path: Path) -> None:
    path = journal.path_for(tmp_path / "run.json")
    put(kind, path)
    with pytest.raises(journal.JournalError, match=rf"run\.json\.journal cannot be opened: it is {NO_FILES[kind]}"):
        journal.Journal.reopen(path)
    with pytest.raises(journal.JournalError, match=rf"is {NO_FILES[kind]}, not a file: remove it, or name another"):
        journal.set_aside(path)
    assert not stat.S_ISREG(path.stat().st_mode)  # it is still there


@pytest.mark.parametrize(
    ("kind", "words"), [("folder", "a folder"), ("link loop", "a link"), ("dangling link", "a link")]
)
def test_a_folder_or_a_link_to_nothing_in_place_of_a_journal_is_refused(kind: str, words: str, tmp_path: Path) -> None:
    path = journal.path_for(tmp_path / "run.json")
    put(kind, path)
    with pytest.raises(journal.JournalError, match=rf"is {words}, not a file: remove it, or name another"):
        journal.set_aside(path)
    with pytest.raises(journal.JournalError, match=r"run\.json\.journal cannot be opened: .*; remove it, or name"):
        journal.Journal.reopen(path)
    assert os.path.lexists(path)


def test_a_journal_that_another_resume_has_finished_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = journal.path_for(tmp_path / "run.json")
    first = journal.Journal.create(path, {})
    opened = regular.descriptor

    def then_finished(*arguments: Any) -> int:
        handle = opened(*arguments)
        first.remove()  # between the opening of the second and its lock
        return handle

    monkeypatch.setattr(regular, "descriptor", then_finished)
    with pytest.raises(journal.JournalBusyError, match="was removed just now, by the run that it belonged to"):
        journal.Journal.reopen(path)


@pytest.mark.parametrize("kind", [*NO_FILES, "folder", "link loop", "dangling link"])
def test_a_lock_that_is_no_file_is_not_waited_for(kind: str, tmp_path: Path) -> None:
    put(kind, tmp_path / "lock")
    warning = Lock(tmp_path / "lock").take(REFUSE, print)
    assert warning is not None
    assert f"other runs are not detected, as the lock's file {tmp_path / 'lock'} cannot be used" in warning


def test_the_mark_of_a_folder_of_a_run_that_is_a_pipe_is_not_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setattr(temporary, "YOUNG_SECONDS", -1.0)
    (tmp_path / "torchduet-it").mkdir()
    put("pipe", tmp_path / "torchduet-it" / temporary.ALIVE)
    temporary.sweep()
    assert (tmp_path / "torchduet-it").exists()


@pytest.mark.parametrize("kind", [*NO_FILES, "folder"])
def test_every_other_reader_refuses_it(kind: str, tmp_path: Path) -> None:
    it = tmp_path / "it"
    put(kind, it)
    with pytest.raises(TraceError, match="is no regular file"):
        read_trace(it)
    with pytest.raises(PyprojectError, match=r"it: cannot be read: .*(not a file|Is a directory)"):
        globs_of(it)
    with pytest.raises(RunError, match=r"it: cannot be read: (it is .*, not a file|Is a directory)"):
        read_run(it)
    with pytest.raises(data.DataError, match=r"--data .*it: (is a pipe, a socket or a device|no train-images)"):
        data.check(str(it))
    (tmp_path / "suite.py").symlink_to(it)
    with pytest.raises(SuiteError, match=r"is (no file|a folder); name a Python file"):
        load(str(tmp_path / "suite.py"))
    for name in ("duet_check.json", "machine_priors.json"):
        put(kind, tmp_path / name)
    with pytest.raises(ValueError, match=r"duet_check\.json: .*(not a file|Is a directory).*; remove it"):
        DUET_CHECK.last({}, 1, tmp_path)
    with pytest.raises(ValueError, match=r"machine_priors\.json: .*(not a file|Is a directory).*; remove it"):
        machine_prior("speedups", {}, 1, tmp_path)


def test_a_file_that_becomes_a_pipe_while_it_is_opened_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "it"
    path.write_text("{}")
    opened = os.open

    def replaced(*arguments: Any) -> int:
        path.unlink()
        os.mkfifo(path)
        return opened(*arguments)

    monkeypatch.setattr(os, "open", replaced)
    with pytest.raises(regular.NotAFileError, match="it is a pipe, not a file"):
        regular.read_bytes(path)


def test_a_run_that_is_replaced_and_grows_while_it_is_read_is_one_of_both(
    here: Path, run_text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """A reader sees the file that it has opened: the earlier or the later one, never parts of both."""
    over = threading.Event()

    def replace_it() -> None:
        while not over.is_set():
            (here / "next.json").write_text(run_text)
            (here / "next.json").replace(here / "run.json")

    replacing = threading.Thread(target=replace_it)
    replacing.start()
    try:
        assert [main(["claims", "run.json"]) for _ in range(5)] == [0] * 5
    finally:
        over.set()
        replacing.join()
    (here / "run.json").write_text(run_text[: len(run_text) // 2])  # a copy that is not yet complete
    capsys.readouterr()
    assert "is broken or truncated JSON" in refused(capsys, "claims", "run.json")


@pytest.mark.parametrize(
    "name",
    ["-o.json", "--help.json", "two\nlines.json", "x" * 250 + ".json", os.fsdecode(b"\xff\xfe.json"), " .json"],
    ids=["dash", "dashes", "newline", "255 bytes", "no UTF-8", "space"],
)
def test_any_name_of_a_file_can_be_read_and_written(
    name: str, here: Path, run_text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (here / name).write_text(run_text)
    assert main(["export", f"./{name}", "-o", f"./{name[:-5]}.csv"]) == 0
    assert (here / f"{name[:-5]}.csv").stat().st_size > 1000
    assert "Traceback" not in capsys.readouterr().err
    (here / name).write_text("{")
    assert "is broken or truncated JSON" in refused(capsys, "export", f"./{name}", "-o", "c.csv")


def test_a_file_that_may_not_be_read_is_refused(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "run.json").chmod(0)
    if os.geteuid() == 0:
        pytest.skip("root reads every file")
    assert "run.json: cannot be read: Permission denied" in refused(capsys, "claims", "run.json")


def test_the_users_cache_folder_of_a_user_without_a_home(monkeypatch: pytest.MonkeyPatch) -> None:
    from torchduet.bench.host.cache_folder import cache_folder

    def none() -> Path:
        raise RuntimeError("Could not determine home directory.")

    for name in ("XDG_CACHE_HOME", "HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(Path, "home", none)
    assert cache_folder().is_relative_to(Path.cwd().anchor)
