"""``torchduet compare DUET``: the result of its own two sides; a duet is compared with no other run."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.reports import refusals
from tests.reports.rendered import a_part
from tests.reports.test_duet import make_duet
from torchduet.__main__ import main
from torchduet.bench.record.schema import KEY
from torchduet.bench.record.units import MAX_ROWS
from torchduet.reports.html.run_page import render
from torchduet.reports.markdown.run import markdown
from torchduet.reports.read.run_file import load

MIB = 2**20


def against(document: Any) -> list[Any]:
    """The results of a duet's cases: the first is slower in B, the second faster."""
    return [one["extra_info"][KEY]["against"] for one in document["benchmarks"]]


def with_peaks(document: Any, *peaks: int, base: int = MIB) -> Any:
    """Side B's peaks of the first cases; those of the others are as in side A."""
    for place, side in enumerate(against(document)):
        side["base_peak_bytes"] = base
        side["peak_bytes"] = peaks[place] if place < len(peaks) else base
    return document


def only_slower(document: Any) -> Any:
    document["benchmarks"] = document["benchmarks"][:1]
    return document


def blind(document: Any) -> Any:
    for side in against(document):
        side.update(verdict="unclear", low=None, high=None)
    return document


def one_is_a_control(document: Any) -> Any:
    against(document)[0]["control"] = True
    return document


@pytest.fixture
def write(
    shared_document: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[[Callable[[Any], Any]], Path]:
    """Writes a duet, changed by a function, as the file that is compared; beside it is a run of one side."""
    (tmp_path / "run.json").write_text(json.dumps(shared_document), "utf-8")
    (tmp_path / "pyproject.toml").write_text("")
    monkeypatch.chdir(tmp_path)

    def written(change: Callable[[Any], Any]) -> Path:
        path = Path("duet.json")
        path.write_text(json.dumps(change(make_duet(a_part(shared_document)))), "utf-8")
        return path

    return written


Write = Callable[[Callable[[Any], Any]], Path]


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    return refusals.refused(capsys, "compare", *arguments)


def test_its_own_result_is_printed(write: Write, capsys: pytest.CaptureFixture[str]) -> None:
    run = load(write(lambda document: with_peaks(document, 3 * MIB, MIB, MIB // 2)))
    assert main(["compare", "duet.json"]) == 0
    out, err = capsys.readouterr()
    first, second, third = (record["case"]["id"] for record in run.records[:3])
    lines = out.splitlines()
    assert lines[0].startswith(
        f"duet.json: With torch 2.13.0, 1 of {len(run.records)} cases is slower and 1 faster than"
    )
    assert [line.split("  ")[0] for line in lines[3:5]] == [first, second]
    assert lines[3].endswith("slower")
    assert any("pairs of fresh processes" in line for line in lines)
    assert f"{first} needs more memory, 3.00 MiB at its peak instead of 1.00 MiB" in lines
    assert f"{third} needs less memory, 512 KiB at its peak instead of 1.00 MiB" in lines
    assert err == ""


def test_every_case_is_listed_on_request(
    write: Write, shared_document: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    document = make_duet(shared_document)
    assert len(document["benchmarks"]) > MAX_ROWS
    write(lambda _: document)
    for arguments, rows in (([], MAX_ROWS), (["--verbose"], len(document["benchmarks"]))):
        assert main(["compare", "duet.json", *arguments]) == 0
        out = capsys.readouterr().out
        assert sum(f"\n{one['param']} " in out for one in document["benchmarks"]) == rows


def test_memory_that_has_not_changed_is_not_mentioned(write: Write, capsys: pytest.CaptureFixture[str]) -> None:
    write(with_peaks)
    assert main(["compare", "duet.json"]) == 0
    assert "memory" not in capsys.readouterr().out


def test_names_cannot_steer_the_terminal(write: Write, capsys: pytest.CaptureFixture[str]) -> None:
    path = write(lambda document: document)
    path.write_text(path.read_text().replace("torch 2.13.0", "\\u001b[2J").replace("tensor_ops", "t\\u001b[2J"))
    assert main(["compare", "duet.json"]) == 0
    assert "\x1b" not in capsys.readouterr().out


def test_the_page_and_markdown_are_those_of_the_run(write: Write, capsys: pytest.CaptureFixture[str]) -> None:
    run = load(write(lambda document: document))
    assert main(["compare", "duet.json", "-o", "duet.html", "--markdown", "duet.md"]) == 0
    assert capsys.readouterr().out.startswith("duet.json: With torch 2.13.0, ")
    assert Path("duet.html").read_text("utf-8") == render(run)
    assert Path("duet.md").read_text("utf-8") == markdown(run)
    for arguments in (["--format", "markdown"], ["--markdown", "-"]):
        assert main(["compare", "duet.json", *arguments]) == 0
        assert capsys.readouterr().out == markdown(run)
    before = Path("duet.json").read_bytes()
    assert "is the run's own file" in refused(capsys, "duet.json", "-o", "duet.json")
    assert Path("duet.json").read_bytes() == before


@pytest.mark.parametrize(
    ("change", "fail_on", "code", "says"),
    [
        (with_peaks, "slower", 1, "1 is slower"),
        (with_peaks, "unclear", 1, "are unclear"),
        (with_peaks, "memory", 0, ""),
        (with_peaks, "all-slower", 0, ""),
        (lambda document: with_peaks(document, 3 * MIB), "memory", 1, "1 needs more memory"),
        (lambda document: with_peaks(document, 3 * MIB), "slower,memory", 1, "1 is slower and 1 needs more memory"),
        (lambda document: with_peaks(document, 3 * MIB), "all-slower,memory", 1, "1 needs more memory"),
        (only_slower, "all-slower", 1, "of 1 case, 1 is slower"),
        (one_is_a_control, "slower", 3, "1 control, which the change cannot reach, took longer"),
        (blind, "slower", 3, "no verdict is possible on any case"),
        (blind, "all-slower", 3, "no verdict is possible on any case"),
        (only_slower, "memory", 3, "the peak memory of no case is known"),
        (only_slower, "memory,slower", 1, "of 1 case, 1 is slower"),
    ],
)
def test_the_exit_code_is_by_the_verdicts_on_its_two_sides(
    write: Write, capsys: pytest.CaptureFixture[str], change: Callable[[Any], Any], fail_on: str, code: int, says: str
) -> None:
    write(change)
    assert main(["compare", "duet.json", "--fail-on", fail_on]) == code
    err = capsys.readouterr().err
    assert says in err
    assert all(line.startswith("note: ") for line in err.splitlines())
    assert bool(err) == bool(code)


@pytest.mark.parametrize(("verdict", "code"), [("slower", 0), ("faster", 1)])
def test_a_knob_fails_where_the_side_that_has_it_is_slower(
    write: Write, capsys: pytest.CaptureFixture[str], verdict: str, code: int
) -> None:
    """The verdicts of the file are those of the side without it."""

    def of_knob(document: Any) -> Any:
        duet = document[KEY]["against"]
        duet["base"] |= {key: duet["against"].get(key) for key in ("python", "torch", "rev")} | {"env": {"X": "1"}}
        duet["against"]["env"] = {}
        for benchmark in document["benchmarks"]:
            benchmark["extra_info"][KEY]["against"]["verdict"] = verdict
        return document

    write(of_knob)
    assert main(["compare", "duet.json", "--fail-on", "slower"]) == code
    assert ("slower with X=1" in capsys.readouterr().err) == bool(code)


def test_the_threshold_of_a_duet_is_set_when_it_is_measured(write: Write, capsys: pytest.CaptureFixture[str]) -> None:
    write(lambda document: document)
    says = refused(capsys, "duet.json", "--threshold", "5%")
    assert "--threshold: duet.json is a duet" in says
    assert "measure it again with that --threshold" in says


def test_one_run_of_one_side_needs_a_second(write: Write, capsys: pytest.CaptureFixture[str]) -> None:
    write(lambda document: document)
    assert "run.json: is a run of one side; name a second run to compare it with" in refused(capsys, "run.json")


@pytest.mark.parametrize("files", [["run.json", "duet.json"], ["duet.json", "run.json"], ["duet.json", "duet.json"]])
def test_a_duet_is_compared_with_no_other_run(
    write: Write, capsys: pytest.CaptureFixture[str], files: list[str]
) -> None:
    write(lambda document: document)
    says = refused(capsys, *files)
    assert "duet.json: is a duet, which holds its own two sides" in says
    assert "`torchduet compare duet.json` shows their result" in says
