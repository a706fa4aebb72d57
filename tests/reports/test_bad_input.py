"""Whatever a file holds: a run, or one line that says why not; and nothing half-written, whatever the disk does."""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.reports import refusals
from tests.reports.plain_sample import make_plain
from tests.reports.spoiled import documents, spoiled
from torchduet.__main__ import main
from torchduet.bench.record.schema import KEY, MAX_PLACEMENTS
from torchduet.reports.charts.label_fit import one_line
from torchduet.reports.compare.brief import markdown
from torchduet.reports.compare.match import compare
from torchduet.reports.compare.text import terminal
from torchduet.reports.compare.thresholds import Thresholds
from torchduet.reports.html.environment import breakable
from torchduet.reports.markdown import pytest_benchmark
from torchduet.reports.markdown import run as brief
from torchduet.reports.read.pytest_benchmark import PytestBenchmarkRun, load_any
from torchduet.reports.read.run_file import RunFileError, load
from torchduet.reports.tables.csv import as_csv
from torchduet.reports.tables.flat import table_of
from torchduet.reports.tables.flat_columns import COLUMNS
from torchduet.reports.text.escaping import HIDDEN, short, visible

COMMANDS = (["render", "-o", "r.html"], ["claims"], ["export", "-o", "c.csv"], ["export", "-o", "c.parquet"])


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    err = refusals.refused(capsys, *arguments)
    assert err.isprintable() or err[:-1].isprintable()
    return err


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def everything_said_of(path: Path) -> None:
    """All that is made of a run's file, but for pages, which take long."""
    run = load_any(path)
    for name in COLUMNS:
        as_csv(table_of(run, name))
    comparisons = compare(run, [run], Thresholds())
    terminal(comparisons)
    markdown(comparisons)
    if isinstance(run, PytestBenchmarkRun):
        pytest_benchmark.markdown(run)
    else:
        brief.markdown(run)


@settings(max_examples=15, deadline=None)  # nox -s fuzz tries 10,000
@given(st.integers(0, 2**32))
def test_a_spoiled_file_is_a_run_or_refused_in_one_line(seed: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "run.json"
        path.write_bytes(spoiled(seed))
        try:
            load_any(path)
        except RunFileError as error:
            said = str(error)
        else:
            everything_said_of(path)
            said = f"{path}: "
        assert said.startswith(f"{path}: ")
        assert "\n" not in said


def test_spoiling_leaves_some_files_good_and_some_not(tmp_path: Path) -> None:
    """Else the test above would test little."""
    good = 0
    for seed in range(60):
        path = tmp_path / "run.json"
        path.write_bytes(spoiled(seed))
        with contextlib.suppress(RunFileError):
            good += not load_any(path).unreadable
    assert 10 < good < 50


@pytest.mark.parametrize("place", range(6))
def test_every_kind_of_run_that_is_spoiled_was_good_before(place: int, tmp_path: Path) -> None:
    path = tmp_path / "run.json"
    path.write_text(json.dumps(documents()[place]))
    everything_said_of(path)


@pytest.mark.parametrize("command", COMMANDS, ids=lambda one: " ".join(one))
@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "is empty"),
        (b"\x00\x01\x02\xff" * 100, "not UTF-8"),
        (b"\x00" * 100, "is not JSON"),
        (b"\x1f\x8b\x08", "not UTF-8"),
        (b'{"benchmarks": [{', "broken or truncated"),
        (b'{"benchmarks": []}', "holds no benchmark"),
        (b'{"benchmarks": null}', 'no "benchmarks" list'),
        (b'{"benchmarks": [1, 2]}', "benchmark"),
        (b'{"benchmarks": [' + b"[" * 5000 + b"]" * 5000 + b"]}", "nested too deeply"),
    ],
)
def test_no_command_takes_what_is_no_run(
    content: bytes, says: str, command: list[str], here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (here / "run.json").write_bytes(content)
    assert says in refused(capsys, command[0], "run.json", *command[1:])
    assert [path.name for path in here.iterdir()] == ["run.json"]


@pytest.mark.parametrize("name", ["evil\x1b[2J\n.json", "\u202ejson.exe"])
def test_a_files_name_cannot_steer_the_terminal(name: str, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / name).write_text("{")
    assert HIDDEN.search(refused(capsys, "render", name)) is None
    assert HIDDEN.search(refused(capsys, "compare", name, name)) is None
    assert HIDDEN.search(refused(capsys, "export", name)) is None


@pytest.mark.parametrize("command", COMMANDS, ids=lambda one: " ".join(one))
def test_a_directory_is_no_run(command: list[str], here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "folder").mkdir()
    assert "is a directory" in refused(capsys, command[0], "folder", *command[1:])


def test_more_placements_than_any_run_has_are_refused_before_they_are_compared(document: Any, here: Path) -> None:
    timing = document["benchmarks"][3]["extra_info"][KEY]["timing"]
    timing["blocks"] = [[1e-3]] * (MAX_PLACEMENTS + 1)
    (here / "run.json").write_text(json.dumps(document))
    (unreadable,) = load("run.json").unreadable
    assert f"timing.blocks: expected at most {MAX_PLACEMENTS} placements" in unreadable["reason"]


def test_a_placement_of_many_blocks_is_read_and_exported(document: Any, here: Path) -> None:
    timing = document["benchmarks"][3]["extra_info"][KEY]["timing"]
    timing["blocks"] = [[1e-3 + 1e-9 * place for place in range(200_000)] for _ in range(2)]
    (here / "run.json").write_text(json.dumps(document))
    assert main(["export", "run.json", "--table", "samples", "-o", "s.parquet"]) == 0


def test_a_benchmark_of_very_many_rounds_is_judged_by_its_batches(here: Path) -> None:
    document = make_plain(functions=("test_a",))
    document["benchmarks"][0]["stats"]["data"] = [1e-6 + 1e-12 * (place % 7) for place in range(500_000)]
    for day, name in enumerate(("a.json", "b.json"), 1):
        (here / name).write_text(json.dumps(document | {"datetime": f"2026-03-0{day}T09:30:00+00:00"}))
    assert main(["compare", "a.json", "b.json", "-o", "c.html"]) == 0
    assert main(["render", "a.json", "-o", "r.html"]) == 0
    assert (here / "r.html").stat().st_size < 200_000


@pytest.mark.parametrize(
    "parameter", ["UNSERIALIZABLE[<object object at 0x7f0a4e0c7600>]", {"a": [1, {"b": None}]}, 3.5]
)
def test_parameters_of_any_kind_are_shown_and_exported(parameter: object, here: Path) -> None:
    document = make_plain()
    document["benchmarks"][2]["params"] = {"p": parameter}
    document["benchmarks"][2]["extra_info"] = {"note": parameter}
    (here / "run.json").write_text(json.dumps(document))
    everything_said_of(here / "run.json")
    assert main(["render", "run.json"]) == 0


@pytest.mark.parametrize(
    ("output", "says"),
    [("run.json/r.html", "there is no folder run.json"), ("/proc/r.html", "cannot be written"), ("", "is a directory")],
)
def test_a_folder_that_takes_nothing_is_refused(
    output: str, says: str, run_file: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(run_file.parent)
    assert says in refused(capsys, "render", "run.json", "-o", output or ".")
    assert [path.name for path in run_file.parent.iterdir()] == ["run.json"]


def test_a_read_only_folder_is_refused(
    run_file: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def read_only(**_: object) -> None:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(tempfile, "mkstemp", read_only)
    for command, name in (("render", "r.html"), ("export", "c.csv"), ("export", "c.parquet")):
        says = refused(capsys, command, str(run_file), "-o", str(run_file.parent / name))
        assert "cannot be written: Read-only file system" in says
    assert [path.name for path in run_file.parent.iterdir()] == ["run.json"]


def test_a_disk_that_fills_half_way_leaves_nothing(
    run_file: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.fdopen

    def nearly_full(handle: int, *arguments: Any) -> Any:
        file = real(handle, *arguments)

        class Full:
            def __enter__(self) -> Full:
                return self

            def __exit__(self, *_: object) -> None:
                file.close()

            def write(self, data: bytes) -> None:
                file.write(data[:1000])
                file.flush()
                raise OSError(28, "No space left on device")

        return Full()

    monkeypatch.setattr(os, "fdopen", nearly_full)
    output = run_file.parent / "r.html"
    output.write_text("older")
    assert "No space left" in refused(capsys, "render", str(run_file), "-o", str(output))
    assert output.read_text() == "older"
    assert {path.name for path in run_file.parent.iterdir()} == {"run.json", "r.html"}


@given(st.text(max_size=40))
def test_what_is_not_seen_is_shown_as_an_escape(text: str) -> None:
    assert HIDDEN.search(visible(text)) is None
    assert HIDDEN.search(one_line(text)) is None
    assert not {*"\n\r\t"} & {*visible(text, spaces=False)}


def test_escapes_name_the_character() -> None:
    assert visible("a\x1b[2J\u202eb\nc") == "a\\x1b[2J\\u202eb\nc"
    assert visible("a\nb", spaces=False) == "a\\nb"
    assert visible("مرحبا 平方 é🦆") == "مرحبا 平方 é🦆"


def test_a_name_of_thousands_of_letters_keeps_both_ends_and_all_of_it_in_its_title() -> None:
    name = "a" * 2500 + "b" * 2500
    assert short(name) == "a" * 150 + "…" + "b" * 150
    shown = breakable(name)
    assert shown.startswith("<bdi title=")
    assert name in shown
    assert breakable("add_one") == "<bdi>add_<wbr>one</bdi>"
    assert breakable('"><b>') == "<bdi>&#34;&gt;&lt;b&gt;</bdi>"
