"""What happens to a command line: nothing that is given is empty, exit codes are true, and no traceback is printed."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.bench.test_left_behind import ROOT
from tests.reports import fuzz_commands
from tests.reports.sample import make_run
from torchduet import commands, outermost
from torchduet.__main__ import main
from torchduet.bench.files import streams
from torchduet.bench.plugin import given
from torchduet.command_line import blank_variable
from torchduet.reports.read import jsonfile, memory_room, run_file

pytest_plugins = ["pytester"]
SMALL = ROOT / "tests" / "bench" / "workloads" / "small.py"
TABLE = "[tool.torchduet.compare.thresholds]\n"


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with one run's file, which is the working folder."""
    (tmp_path / "run.json").write_text(json.dumps(make_run(placements=9, rounds=2)), "utf-8")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def ended(*command: str) -> int:
    """The exit code of a command in this process."""
    try:
        return main(command)
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else 1


def one_line(capsys: pytest.CaptureFixture[str], *command: str, code: int = 2) -> str:
    """What a command says that ends with this exit code: one line, and nothing else."""
    assert ended(*command) == code
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    return err


@pytest.mark.parametrize("blank", ["", " ", "\t\n"])
@pytest.mark.parametrize(
    ("command", "names"),
    [
        (["render", "run.json", "-o"], "-o/--output"),
        (["render"], "RUN"),
        (["compare", "run.json"], "NEW"),
        (["compare", "run.json", "--fail-on"], "--fail-on"),
        (["machines", "run.json", "--prices"], "--prices"),
        (["history", ".", "--machine"], "--machine"),
        (["export", "run.json", "--table"], "--table"),
        (["fleet", "--address"], "--address"),
        (["fleet", "-o"], "-o/--output"),
        (["against"], "REV"),
        (["against", "main", "--budget"], "--budget"),
        (["selfcheck", "levels", "--from"], "--from"),
        (["peers", "table"], "file"),
    ],
)
def test_what_is_given_and_empty_is_refused(
    command: list[str], names: str, blank: str, capsys: pytest.CaptureFixture[str]
) -> None:
    said = one_line(capsys, *command, blank)
    assert said.startswith(f"error: argument {names}: is empty")


def test_every_option_of_a_run_is_refused_if_it_is_empty(pytester: pytest.Pytester) -> None:
    """Those to come as well: what was declared is checked, not a list of names."""
    config = pytester.parseconfig("-p", "torchduet.bench.conftest", str(SMALL))
    group: Any = config.pluginmanager.get_plugin(given.GROUP)
    with_value = [option for option in group.options if option.attrs()["nargs"] != 0]
    assert {"--against-rev", "--against", "--tier", "--suite"} <= {option.names()[-1] for option in with_value}
    for option in with_value:
        before = getattr(config.option, option.dest)
        for blank in ("", "  ", [""], ["a", " "]):  # lists are of options that may be repeated
            setattr(config.option, option.dest, blank)
            with pytest.raises(pytest.UsageError, match=rf"^{option.names()[-1]}: is empty"):
                given.check(config)
        setattr(config.option, option.dest, before)
    given.check(config)


def test_a_run_with_an_empty_value_ends_with_4_and_one_line() -> None:
    command = [sys.executable, "-m", "torchduet", "run", "--against-rev", "", "--suite", str(SMALL)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (4, "")
    assert done.stderr.strip() == "ERROR: --against-rev: is empty; give a value, or leave it out"


def test_an_empty_variable_of_ours_is_refused_and_of_others_is_none() -> None:
    assert "TORCHDUET_LOCK" in str(blank_variable({"TORCHDUET_LOCK": " "}))
    assert blank_variable({"TORCHDUET_LOCK": "/tmp/x", "TORCHDUET_AGAINST": "", "XDG_CACHE_HOME": ""}) is None


@pytest.mark.parametrize("digits", ["9" * 401, "9" * 5001, "1" * 60_000 + "x", "0." + "1" * 60_000, " " * 60_000 + "x"])
def test_a_threshold_of_any_length_is_refused_in_one_line(
    digits: str, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "--threshold" in one_line(capsys, "compare", "run.json", "run.json", "--threshold", digits)
    assert len(one_line(capsys, "history", ".", "--threshold", digits)) < 1000
    (here / "pyproject.toml").write_text(f'{TABLE}"*" = "{digits}"\n')
    assert "pyproject.toml" in one_line(capsys, "compare", "run.json", "run.json")


@pytest.mark.parametrize(
    "content",
    [
        TABLE + '"*" = ' + "9" * 401,
        TABLE + '"*" = ' + "9" * 5001,
        TABLE + '"*" = 1e400',
        TABLE + '"*" = ' + "[" * 20_000,
        TABLE + '" " = 0.05',
        TABLE + '"*" = ""',
        "a = '\udcff'",
        "a = '\x00'",
        "# " + "x" * 2**20,
    ],
    ids=["401 digits", "5001 digits", "1e400", "nested", "blank glob", "empty", "no UTF-8", "NUL", "long"],
)
def test_settings_that_cannot_be_read_are_refused_in_one_line(
    content: str, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (here / "pyproject.toml").write_text(content, "utf-8", "surrogateescape")
    assert "pyproject.toml: " in one_line(capsys, "compare", "run.json", "run.json")


def test_a_fault_of_ours_ends_with_70_and_its_traceback_is_in_a_private_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setattr(commands, "run", lambda _: 1 // 0)
    for number in (1, 2):
        said = one_line(capsys, "render", "x", code=70)
        assert said.startswith("error: a fault of ours (ZeroDivisionError: ")
        reports = sorted(tmp_path.iterdir())
        assert len(reports) == number
        assert any(str(report) in said for report in reports)
    for report in reports:
        assert "Traceback" in report.read_text()
        assert report.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize(
    ("error", "code", "words"),
    [
        (KeyboardInterrupt(), 130, "interrupted"),
        (MemoryError(), 2, "not enough memory"),
        (OSError(28, "No space left on device", "/tmp/x"), 2, "/tmp/x: No space left on device"),
        (ModuleNotFoundError("no", name="pandas"), 2, "pandas is not installed"),
        (RecursionError(), 70, "please report"),
        (OverflowError("int too large"), 70, "please report"),
        (AttributeError("write"), 70, "please report"),
    ],
)
def test_no_error_at_all_ends_with_1(
    error: BaseException,
    code: int,
    words: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def fails() -> int:
        raise error

    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    assert outermost.guarded(fails) == code
    assert words in capsys.readouterr().err


@pytest.mark.usefixtures("here")
def test_a_file_too_large_for_the_memory_there_is_is_refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(jsonfile, "SMALL", 0)
    monkeypatch.setattr(jsonfile, "available", lambda: 2**20)
    said = one_line(capsys, "claims", "run.json")
    assert said.startswith("error: run.json: takes about ")
    assert "this process may use 1 MiB more" in said

    def out_of_memory(_: object) -> Any:
        raise MemoryError

    monkeypatch.setattr(jsonfile, "available", lambda: None)
    monkeypatch.setattr(run_file, "decode_typed", out_of_memory)
    assert one_line(capsys, "claims", "run.json").startswith("error: run.json: needs more memory than there is")


def test_the_memory_that_may_be_used_is_the_least_of_all_limits(tmp_path: Path) -> None:
    (tmp_path / "self").mkdir()
    (tmp_path / "self" / "cgroup").write_text("0::/a/b\n")
    (tmp_path / "meminfo").write_text("MemTotal: 9000 kB\nMemAvailable: 8000 kB\n")
    place = tmp_path / "group" / "a" / "b"
    place.mkdir(parents=True)
    assert memory_room.available(tmp_path / "group", tmp_path) == 8000 * 1024
    for folder, limit in ((place, "max"), (place.parent, "5000000")):
        (folder / "memory.max").write_text(f"{limit}\n")
        (folder / "memory.current").write_text("4000000\n")
        (folder / "memory.stat").write_text("anon 1\ninactive_file 500000\n")
    assert memory_room.available(tmp_path / "group", tmp_path) == 1_500_000


def command(here: Path, shell: str) -> subprocess.CompletedProcess[str]:
    """A command in a shell, which redirects its streams; ``$T`` is ``torchduet``."""
    environment = {**os.environ, "T": f"{sys.executable} -m torchduet", "PYTHONPATH": str(ROOT)}
    return subprocess.run(["bash", "-c", shell], cwd=here, env=environment, capture_output=True, text=True, check=False)


def test_a_standard_output_that_is_full_ends_with_2_and_one_line(here: Path) -> None:
    for arguments in ("export run.json", "export --columns", "--help"):
        done = command(here, f"$T {arguments} > /dev/full")
        assert done.returncode == 2
        assert done.stderr.startswith("error: standard output")
        assert done.stderr.count("\n") == 1


def test_closed_streams_cost_what_is_printed_there_alone(here: Path) -> None:
    assert command(here, "$T export run.json -o a.csv >&- 2>&- <&-").returncode == 0
    assert command(here, "$T export run.json > b.csv 2>/dev/full").returncode == 0
    assert (here / "a.csv").read_bytes() == (here / "b.csv").read_bytes()
    done = command(here, "$T export run.json >&-")
    assert (done.returncode, done.stderr) == (2, "error: standard output cannot be written: it is closed\n")
    done = command(here, "$T export none.json 2>&-")
    assert (done.returncode, done.stdout) == (2, "")


def test_a_reader_that_ends_changes_no_exit_code() -> None:
    read, write = os.pipe()
    os.close(read)
    code = (
        "import sys; from torchduet.outermost import guarded\n"
        "def command():\n    print('x' * 100_000)\n    return 3\n"
        "sys.exit(guarded(command))"
    )
    done = subprocess.run([sys.executable, "-c", code], stdout=write, stderr=subprocess.PIPE, check=False)
    os.close(write)
    assert (done.returncode, done.stderr) == (3, b"")


def test_a_run_is_measured_and_written_whatever_becomes_of_its_output(tmp_path: Path) -> None:
    run = tmp_path / "run.json"
    options = f"--suite {SMALL} --budget 1s --threads 1 --device cpu --when-busy go --benchmark-json {run}"
    done = command(tmp_path, f"$T run {options} > /dev/full <&-")
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("standard output is lost from here on (No space left on device); the run continues") == 1
    assert "Traceback" not in done.stderr
    assert json.loads(run.read_text("utf-8"))["benchmarks"]
    assert not run.with_name("run.json.journal").exists()


@contextlib.contextmanager
def full() -> Iterator[Any]:
    """A stream whose device is full; what is buffered at its end is lost, too."""
    stream = open("/dev/full", "w", encoding="utf-8")  # noqa: SIM115, PTH123
    try:
        yield stream
    finally:
        with contextlib.suppress(OSError):
            stream.close()


def test_a_stream_that_is_full_is_named_once(capsys: pytest.CaptureFixture[str]) -> None:
    with full() as stream:
        lenient = streams.forgiving(stream, "standard output")
        for _ in range(3):
            assert lenient.write("a line\n") == 7
        assert isinstance(lenient.lost, OSError)
    assert capsys.readouterr().err.count("standard output is lost from here on (No space left on device)") == 1
    with full() as stream, pytest.raises(OSError, match="No space left"):
        streams.Forgiving(stream, strict=True).write("a line\n")


ODD = (
    {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "COLUMNS": "1", "TZ": "Nowhere/Bad"},
    {"LC_ALL": "xx_YY.none", "COLUMNS": "0", "TZ": ":::", "PYTHONWARNINGS": "error", "PYTHONOPTIMIZE": "2"},
)


def test_odd_surroundings_change_nothing(here: Path) -> None:
    tables = []
    for odd in ({}, *ODD):
        variables = " ".join(f"{name}={value}" for name, value in odd.items())
        done = command(here, f"env {variables} $T render run.json --markdown -")
        assert (done.returncode, done.stderr) == (0, "")
        tables.append(done.stdout.encode("ascii", "backslashreplace"))
    ascii_only = tables[0].decode("ascii")
    assert tables[0].count(b"\n") == tables[1].count(b"\n") == tables[2].count(b"\n")
    assert ascii_only.startswith("#") or ascii_only.strip()


def test_mutated_files_and_command_lines_have_true_exit_codes(tmp_path: Path) -> None:
    """A slice of ``nox -s fuzz``."""
    found = [fuzz_commands.tried(seed, tmp_path) for seed in range(60)]
    assert [said for what, said in found if what == "fault"] == []
    assert {"exit 0", "exit 2", "refused", "read"} <= {what for what, _ in found}
