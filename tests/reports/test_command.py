"""``torchduet``: one line for every error, whole files only, and nothing heavier than it needs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.reports.refusals import refused
from torchduet.__main__ import main

ROOT = Path(__file__).parents[2]


def left_in(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_render_writes_the_file_and_says_where(run_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output = run_file.parent / "r.html"
    assert main(["render", str(run_file), "-o", str(output)]) == 0
    assert capsys.readouterr().out == f"{output}\n"
    assert output.read_text("utf-8").startswith("<!DOCTYPE html>")
    assert left_in(run_file.parent) == {"run.json", "r.html"}


def test_an_unusable_run_leaves_an_older_report_as_it_was(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "r.html").write_text("older")
    (tmp_path / "run.json").write_text("{")
    refused(capsys, "render", str(tmp_path / "run.json"), "-o", str(tmp_path / "r.html"))
    assert (tmp_path / "r.html").read_text() == "older"


@pytest.mark.parametrize(("output", "says"), [(".", "is a directory"), ("none/r.html", "there is no folder")])
def test_a_place_that_cannot_be_written_is_refused(
    output: str, says: str, run_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert says in refused(capsys, "render", str(run_file), "-o", str(run_file.parent / output))
    assert left_in(run_file.parent) == {"run.json"}


def test_a_failed_write_leaves_nothing_behind(
    run_file: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    assert "No space left" in refused(capsys, "render", str(run_file), "-o", str(run_file.parent / "r.html"))
    assert left_in(run_file.parent) == {"run.json"}


def test_a_name_too_long_is_refused(run_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "cannot be written" in refused(capsys, "render", str(run_file), "-o", str(run_file.parent / ("x" * 300)))
    assert left_in(run_file.parent) == {"run.json"}


def test_a_device_is_written_to_and_stays_one(run_file: Path) -> None:
    pipe = run_file.parent / "pipe"
    os.mkfifo(pipe)
    copy = run_file.parent / "copy.html"
    with copy.open("wb") as file:
        reader = subprocess.Popen(["cat", str(pipe)], stdout=file)
        assert main(["render", str(run_file), "-o", str(pipe)]) == 0
        assert reader.wait(timeout=20) == 0
    assert copy.read_bytes().startswith(b"<!DOCTYPE html>")
    assert pipe.is_fifo()


def test_a_link_is_followed(run_file: Path) -> None:
    link = run_file.parent / "latest.html"
    link.symlink_to("r.html")
    assert main(["render", str(run_file), "-o", str(link)]) == 0
    assert link.is_symlink()
    assert (run_file.parent / "r.html").stat().st_size > 10_000


@pytest.mark.parametrize("spelling", ["run.json", "./sub/../run.json", "link.json", "hard.json"])
def test_a_run_is_never_written_over(
    spelling: str, run_file: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = run_file.parent
    (folder / "sub").mkdir()
    (folder / "link.json").symlink_to("run.json")
    (folder / "hard.json").hardlink_to(run_file)
    before = run_file.read_bytes()
    monkeypatch.chdir(folder)
    assert "is the run's own file" in refused(capsys, "render", str(run_file), "-o", spelling)
    assert "is the run's own file" in refused(capsys, "render", spelling, "-o", "run.json")
    assert run_file.read_bytes() == before


def test_a_page_and_its_brief_never_replace_each_other(run_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    one = str(run_file.parent / "r.html")
    assert "both -o and --markdown" in refused(capsys, "render", str(run_file), "-o", one, "--markdown", one)
    assert left_in(run_file.parent) == {"run.json"}


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys, runpy; sys.argv = ['torchduet', '--help']\n"
        "try: runpy.run_module('torchduet', run_name='__main__')\n"
        "except SystemExit as end: assert end.code == 0\n"
        "print(sorted({'pandas', 'matplotlib', 'torch', 'numpy', 'jinja2'} & set(sys.modules)))"
    )
    out = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert out.splitlines()[-1] == "[]"


def test_rendering_never_imports_torch_nor_the_engine(run_file: Path) -> None:
    code = (
        "import sys; from torchduet.__main__ import main; import torchduet.commands\n"
        "before = set(sys.modules)\n"  # the command line has every command's options
        f"assert main(['render', {str(run_file)!r}, '-o', {str(run_file.with_suffix('.html'))!r}]) == 0\n"
        "foreign = ('torch.', 'torchduet.bench.', 'torchduet.suites.', 'pytest')\n"
        "print(*(name for name in {*sys.modules} - before if name.startswith(foreign)))"
    )
    out = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    foreign = out.stdout.splitlines()[-1].split()
    allowed = ("torchduet.bench.files", "torchduet.bench.record", "torchduet.bench.noise", "torchduet.suites")
    assert "torchduet.bench.record.speedups" in foreign
    assert [name for name in foreign if not name.startswith(allowed)] == []
    assert out.stderr == ""


def test_a_reader_that_goes_away_is_no_error(run_file: Path) -> None:
    read, write = os.pipe()
    os.close(read)
    arguments = [sys.executable, "-m", "torchduet", "render", str(run_file), "-o", str(run_file.with_suffix(".html"))]
    done = subprocess.run(arguments, cwd=ROOT, stdout=write, stderr=subprocess.PIPE, check=False)
    os.close(write)
    assert (done.returncode, done.stderr) == (0, b"")


def test_names_beyond_the_charts_font_raise_no_warning(run_file: Path) -> None:
    run_file.write_text(json.dumps(json.loads(run_file.read_text("utf-8").replace("square", "平方🦆\\n"))))
    arguments = [sys.executable, "-m", "torchduet", "render", str(run_file), "-o", str(run_file.with_suffix(".html"))]
    done = subprocess.run(arguments, cwd=ROOT, capture_output=True, check=True)
    assert done.stderr == b""
