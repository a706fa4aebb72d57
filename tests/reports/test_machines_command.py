"""``torchduet machines``: what it prints and writes, and what it refuses in one line."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest

from tests.reports import refusals
from tests.reports.on_machines import EPYC, H200, XEON, on
from tests.reports.plain_sample import make_plain
from tests.reports.sample import make_run
from tests.reports.test_duet import make_duet
from tests.reports.with_gpu import make_gpu_run
from torchduet.__main__ import main
from torchduet.reports.machines.brief import MAX_LINES, markdown
from torchduet.reports.machines.comparison import comparison
from torchduet.reports.read.run_file import from_json

PRICES = '[tool.torchduet.prices]\ncurrency = "EUR"\n"H200" = 3.5\n"EPYC" = 0.2\n'


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Runs of three machines, and prices of two."""
    both = make_gpu_run()
    documents = {
        "epyc": on(make_run(), cpu=EPYC),
        "xeon": on(make_run(), cpu=XEON, factor=1.3),
        "h200": on(both, cpu=EPYC, gpu=H200, gpus=1),
        "a100": on(both, cpu=EPYC, gpu="NVIDIA A100-SXM4-80GB", gpus=1, factor=1.6),
    }
    for name, document in documents.items():
        (tmp_path / f"{name}.json").write_text(json.dumps(document), "utf-8")
    (tmp_path / "pyproject.toml").write_text("")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    return refusals.refused(capsys, "machines", *arguments)


@pytest.mark.usefixtures("folder")
def test_the_answer_is_the_first_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["machines", "xeon.json", "epyc.json"]) == 0
    out = capsys.readouterr().out
    assert out.startswith(f"{EPYC} is the fastest in 56 of 56 cases\n")
    assert "  Fastest: In these cases AMD EPYC 7763 is 1.30× as fast as Intel Xeon.\n" in out
    assert "! Two machines are compared as two runs, not in alternation" in out


def test_the_page_and_the_summary_are_written(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["machines", "epyc.json", "xeon.json", "h200.json", "-o", "m.html", "--markdown", "m.md"]) == 0
    assert "<h1>AMD EPYC 7763 is the fastest in" in (folder / "m.html").read_text("utf-8")
    assert (folder / "m.md").read_text("utf-8").startswith("### AMD EPYC 7763 is the fastest in")
    assert capsys.readouterr().err == ""


@pytest.mark.usefixtures("folder")
def test_markdown_to_stdout_takes_the_place_of_the_text(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["machines", "epyc.json", "xeon.json", "--markdown", "-"]) == 0
    out = capsys.readouterr().out
    assert out.startswith("### ")
    assert out.count("is the fastest in") == 1


@pytest.mark.usefixtures("folder")
def test_ratios_are_held_against_the_base_that_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["machines", "epyc.json", "xeon.json", "--base", "xeon"]) == 0
    assert "× as fast as Intel Xeon" in capsys.readouterr().out
    assert "no run is of this machine; choose one of" in refused(capsys, "epyc.json", "xeon.json", "--base", "M4")


def test_prices_come_from_the_nearest_pyproject(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "pyproject.toml").write_text(PRICES)
    assert main(["machines", "h200.json", "epyc.json"]) == 0
    out, err = capsys.readouterr()
    assert "3.50 EUR" in out
    assert "0.20 EUR" in out
    assert err == ""
    assert main(["machines", "h200.json", "epyc.json", "--prices", "-"]) == 0
    assert "EUR" not in capsys.readouterr().out


def test_a_price_of_no_machine_is_a_note(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "own").mkdir()
    (folder / "own" / "prices.toml").write_text(PRICES)
    assert main(["machines", "h200.json", "xeon.json", "--prices", "own/prices.toml"]) == 0
    assert capsys.readouterr().err.splitlines() == [
        "note: prices.toml: no machine matches EPYC",
        "note: no price is known of Intel Xeon",
    ]


def test_bad_prices_are_refused_before_anything_is_written(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "pyproject.toml").write_text('[tool.torchduet.prices]\n"H200" = "a lot"\n')
    says = refused(capsys, "epyc.json", "xeon.json", "-o", "m.html")
    assert f'{folder / "pyproject.toml"}: tool.torchduet.prices."H200": expected the price of an hour' in says
    assert not (folder / "m.html").exists()
    (folder / "none.toml").write_text("")
    assert "none.toml: has no price in [tool.torchduet.prices]" in refused(capsys, "epyc.json", "--prices", "none.toml")
    assert "no.toml: cannot be read" in refused(capsys, "epyc.json", "--prices", "no.toml")


def test_files_that_are_no_runs_of_machines_are_refused(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "duet.json").write_text(json.dumps(make_duet(make_run(placements=9, rounds=2))))
    (folder / "plain.json").write_text(json.dumps(make_plain(rounds=24)))
    (folder / "copy.json").write_bytes((folder / "epyc.json").read_bytes())
    assert "duet.json: is a duet" in refused(capsys, "epyc.json", "duet.json")
    assert "plain.json: was written by pytest-benchmark" in refused(capsys, "epyc.json", "plain.json")
    assert "copy.json: is the same run as epyc.json" in refused(capsys, "epyc.json", "copy.json")
    assert "none.json" in refused(capsys, "epyc.json", "none.json")
    assert "is the run's own file" in refused(capsys, "epyc.json", "-o", "epyc.json")


@pytest.mark.usefixtures("folder")
def test_one_machine_is_shown_alone(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["machines", "h200.json"]) == 0
    assert capsys.readouterr().out.startswith("One machine, NVIDIA H200: nothing to choose between\n")


def test_a_summary_has_at_most_sixty_lines_however_many_machines() -> None:
    documents = [on(make_run(seed=seed), cpu=f"CPU {seed}", factor=math.exp(seed / 9)) for seed in range(6)]
    for number in (1, 2, 6):
        text = markdown(comparison([from_json(one) for one in documents[:number]]))
        assert text.count("\n") <= MAX_LINES
        assert "Two machines are compared" in text or number == 1
    many = [on(make_gpu_run(), cpu=f"CPU {seed}", factor=math.exp(seed / 9)) for seed in range(90)]
    text = markdown(comparison([from_json(one) for one in many]))
    assert text.count("\n") <= MAX_LINES
    assert "more: the page lists all" in text
