"""``torchduet history``: what is written, what is printed, and what is refused."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("ruptures", reason="needs pip install 'torchduet[history]'")

from tests.reports import refusals
from tests.reports.made_history import make_history
from tests.reports.remeasured import remeasured
from tests.reports.test_duet import make_duet
from torchduet.__main__ import main
from torchduet.bench.record.schema import KEY
from torchduet.reports.history import dependencies
from torchduet.reports.history.index import NAME
from torchduet.reports.html import helper_process
from torchduet.suites.extras import install

ROOT = Path(__file__).parents[2]
SQUARE = "matmul.square[n=512] cpu eager fp32"
HOSTILE = "<img src=x onerror=alert(1)>|\u202e\x1b[2J'\"&"


@pytest.fixture
def folder(shared_document: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder in which a case takes a fifth longer with the run that brought a new PyTorch."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (tmp_path / "runs").mkdir()
    make_history(
        tmp_path / "runs",
        shared_document,
        25,
        slower=lambda run: {SQUARE: 1.2} if run >= 12 else {},
        facts=lambda run: {"torch": "2.9.1" if run < 12 else "2.10.0"},
    )
    return tmp_path / "runs"


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    return refusals.refused(capsys, "history", *arguments)


@pytest.mark.usefixtures("folder")
def test_the_page_answers_first_and_stands_alone() -> None:
    assert main(["history", "runs"]) == 0
    page = Path("history.html").read_text("utf-8")
    assert page.startswith("<!DOCTYPE html>")
    assert "<h1>matmul.square[n=512] eager fp32 became 1.2" in page
    assert page.index("times as slow with 000000c</h1>") < page.index('id="cases"') < page.index('id="machine"')
    assert page.index("New: PyTorch 2.9.1 → 2.10.0.") < page.index('id="cases"')
    assert "http://" not in page.replace("http://www.w3.org", "")
    assert "https://" not in page
    row = page[page.index('<table class="cases"') :]
    assert re.search(
        r'data-verdict="slower">\s*<th scope="row"><a href="#machine-1-case-1"><bdi>' + re.escape(SQUARE) + "<", row
    )
    assert row.count('<svg class="spark"') > 56
    assert page.index('class="series large"') < page.index('id="answers"')
    assert page.count('<details class="series-of"') >= 56
    assert "3 log n times the long-run variance" in page
    assert "False alarms</th>" in page


def test_a_short_history_says_how_many_runs_there_are_and_how_many_it_needs(
    shared_document: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "few").mkdir()
    make_history(tmp_path / "few", shared_document, 5)
    assert main(["history", "few"]) == 0
    page = Path("history.html").read_text("utf-8")
    assert "<h1>No change is seen in 5 runs; small ones are found from 10 runs on</h1>" in page
    assert "in the last 20 runs" not in page


def test_a_history_of_fewer_runs_than_are_recent_names_their_number(
    shared_document: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "some").mkdir()
    make_history(tmp_path / "some", shared_document, 12)
    assert main(["history", "some"]) == 0
    page = Path("history.html").read_text("utf-8")
    assert "<h1>No case became slower or faster in 12 runs</h1>" in page


@pytest.mark.usefixtures("folder")
def test_the_terminal_says_what_changed_with_which_run(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["history", "runs", "-o", "h.html"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert re.fullmatch(
        r"Example CPU @ 2.40 GHz · 2 cores · 1 thread \[[0-9a-f]{8}\]: matmul\.square\[n=512\] eager fp32 became "
        r"1\.(19|20|21|2)\d* times as slow with 000000c",
        lines[0],
    )
    place = lines.index(
        "  1 slower, 3 speed-ups changed with 0012.json (17 January 2026, 03:00 UTC, commit 000000c00000)"
    )
    assert lines[place + 1] == "  New: PyTorch 2.9.1 → 2.10.0"
    assert re.match(
        rf"    {re.escape(SQUARE)} +time +\+(19|20|21) %  \+\d+ % to \+\d+ %; 13 runs since", lines[place + 2]
    )
    assert lines[-1] == "h.html"


def test_files_that_are_no_runs_are_named_beside_the_good_ones(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "broken.json").write_text("{")
    (folder / "package.json").write_text("{}")
    (folder / "copy.json").write_bytes((folder / "0003.json").read_bytes())
    assert main(["history", "runs"]) == 0
    out = capsys.readouterr().out
    assert "  broken.json: is broken or truncated JSON" in out
    assert "  copy.json: holds the same as 0003.json" in out
    assert "  package.json: has no" in out
    page = Path("history.html").read_text("utf-8")
    assert all(name in page for name in ("broken.json", "copy.json", "package.json", "Cannot be used (1)"))


def test_a_duet_is_no_point_of_the_history(
    folder: Path, shared_document: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["history", "runs"]) == 0
    before = capsys.readouterr().out
    for name, document in (
        ("duet", make_duet(shared_document)),
        ("slow", make_duet(remeasured(shared_document, 77, machine=10.0))),
    ):
        document[KEY]["started"] = "2026-02-02T03:00:00+00:00"
        (folder / f"{name}.json").write_text(json.dumps(document))
    for _ in range(2):  # read from the file, and from the index
        assert main(["history", "runs"]) == 0
        out = capsys.readouterr().out
        assert out.startswith(before.removesuffix("history.html\n").rstrip())
        assert "Duets (2)\n  duet.json: holds two sides, and its times are those of one side" in out
    page = Path("history.html").read_text("utf-8")
    assert "Duets (2)" in page
    assert "slow.json" in page
    assert "is the run's own file" in refused(capsys, "runs", "-o", "runs/duet.json")


def test_a_folder_of_duets_alone_has_no_history(
    shared_document: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "duet.json").write_text(json.dumps(make_duet(shared_document)))
    says = refused(capsys, str(tmp_path))
    assert "none of its 1 JSON files is a run of one side; duet.json: holds two sides" in says


def test_a_machine_is_chosen_by_its_key_or_a_part_of_its_name(
    folder: Path, shared_document: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    make_history(folder, shared_document, 3, begin=25, facts=lambda _: {"cpu": "Another CPU"})
    assert main(["history", "runs"]) == 0
    out = capsys.readouterr().out
    keys = re.findall(r"^(.*) · 2 cores · 1 thread \[([0-9a-f]{8})\]", out, re.MULTILINE)
    assert [name for name, _ in keys] == ["Another CPU", "Example CPU @ 2.40 GHz"]
    page = Path("history.html").read_text("utf-8")
    assert page.count('<table class="cases"') == 2
    assert f"--machine {keys[0][1]}" in page
    for wanted in (keys[1][1], "example cpu"):
        assert main(["history", "runs", "--machine", wanted]) == 0
        assert "Another CPU" not in capsys.readouterr().out
        assert Path("history.html").read_text("utf-8").count('<table class="cases"') == 1
    says = refused(capsys, "runs", "--machine", "Cray")
    assert "no run in runs is of this machine; choose one of " in says
    assert keys[0][1] in says


def test_what_cannot_be_used_is_refused_in_one_line(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder.parent / "empty").mkdir()
    assert "empty: holds no JSON file" in refused(capsys, "empty")
    assert "none: no such folder" in refused(capsys, "none")
    assert "is the run's own file" in refused(capsys, "runs", "-o", "runs/0003.json")
    (folder / "bad.json").write_text("{")
    assert "is the run's own file" in refused(capsys, "runs", "-o", "runs/bad.json")
    assert "there is no folder" in refused(capsys, "runs", "-o", "nowhere/h.html")
    assert json.loads((folder / "0003.json").read_text())[KEY]
    assert not Path("history.html").exists()


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize("share", ["0", "120%", "much"])
def test_a_threshold_that_is_none_is_refused(share: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main(["history", "runs", f"--threshold={share}"])
    assert end.value.code == 2
    assert "argument --threshold: expected" in capsys.readouterr().err


@pytest.mark.usefixtures("folder")
def test_a_threshold_above_a_change_hides_it(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["history", "runs", "--threshold", "30%"]) == 0
    assert "No case became slower or faster" in capsys.readouterr().out


@pytest.mark.usefixtures("folder")
def test_a_missing_package_is_named_with_what_to_install(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(dependencies, "PACKAGES", ("msgspec", "no_such_package"))
    says = refused(capsys, "runs")
    assert f"needs no_such_package, which is not installed; {install('history')}" in says


def test_the_extra_of_the_project_is_what_is_asked_for() -> None:
    import tomllib

    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    assert sorted(re.split("[>=]", one)[0] for one in extras["history"]) == sorted(dependencies.PACKAGES)


def test_names_cannot_steer_the_terminal_nor_the_page(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    hostile = json.dumps(HOSTILE)[1:-1]
    for path in sorted(folder.glob("*.json")):
        text = path.read_text().replace("square", hostile).replace("Example CPU", hostile).replace("2.10.0", hostile)
        path.write_text(text)
    assert main(["history", "runs"]) == 0
    out = capsys.readouterr().out
    assert "times as slow with" in out
    assert "\x1b" not in out
    assert "\u202e" not in out
    page = Path("history.html").read_text("utf-8")
    assert "<img" not in page
    assert "&lt;img" in page


@pytest.mark.usefixtures("folder")
def test_charts_of_a_second_process_are_those_drawn_here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(helper_process, "cores", lambda: 2)
    pages = []
    for least in (1, 10**9):
        monkeypatch.setattr(helper_process, "LARGE", least)
        assert main(["history", "runs"]) == 0
        pages.append(Path("history.html").read_text("utf-8"))
    assert pages[0] == pages[1]


@pytest.mark.usefixtures("folder")
def test_a_history_imports_no_torch_and_help_nothing_heavy() -> None:
    code = (
        f"import sys; sys.path.insert(0, {str(ROOT)!r}); from torchduet.__main__ import main\n"
        "assert not {'torch', 'pandas', 'matplotlib', 'pyarrow', 'ruptures', 'scipy'} & set(sys.modules)\n"
        "assert main(['history', 'runs']) == 0\n"
        "print('torch' in sys.modules)"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert out.splitlines()[-1] == "False"


def test_a_page_of_another_run_rests_on_the_index_alone(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["history", "runs"]) == 0
    first = capsys.readouterr().out
    assert (folder / NAME).is_file()
    page = Path("history.html").read_text("utf-8")
    assert main(["history", "runs"]) == 0
    assert capsys.readouterr().out == first
    assert Path("history.html").read_text("utf-8") == page
