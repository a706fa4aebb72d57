"""The README is short, its examples run as they stand there, and its figures are those of the pages behind them."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
OPTIONS = (ROOT / "docs" / "options.md").read_text(encoding="utf-8")
MODEL = re.search(r"```python\n(# my_model\.py\n.*?)```", README, re.S)
THREE_LINES = re.search(r"```python\n(import torch, torchduet\n.*?)```", README, re.S)
MAX_WORDS = 1_200
MAX_SPOKEN = 5 * 170  # words without those of code blocks and addresses
MAX_PICTURE = 100_000  # bytes


def test_it_can_be_read_aloud_in_five_minutes() -> None:
    assert len(README.split()) <= MAX_WORDS
    spoken = re.sub(r"```.*?```|<[^>]+>|(?<=\])\([^)]*\)", "", README, flags=re.S)
    assert len(re.findall(r"[\w.×-]*\w[\w.×-]*", spoken)) <= MAX_SPOKEN


def test_the_model_is_that_of_the_page_on_suite_files() -> None:
    assert MODEL is not None
    assert MODEL[1] in (ROOT / "docs" / "suite-files.md").read_text("utf-8")


def test_the_model_is_measured_as_the_readme_says(tmp_path: Path) -> None:
    assert MODEL is not None
    (tmp_path / "my_model.py").write_text(MODEL[1])
    run = tmp_path / "run.json"
    done = subprocess.run(
        [
            *(sys.executable, "-m", "torchduet", "run", "--suite", "my_model.py"),
            *("--budget", "90s", "--threads", "1", "--benchmark-json", str(run)),
        ],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    params = [benchmark["params"] for benchmark in json.loads(run.read_text())["benchmarks"]]
    assert {"eager", "compile-model", "compile"} == {one["mode"] for one in params}
    assert {"fp32", "bf16"} <= {one["precision"] for one in params}


def test_the_three_lines_answer(tmp_path: Path) -> None:
    assert THREE_LINES is not None
    (tmp_path / "three_lines.py").write_text(THREE_LINES[1])
    done = subprocess.run(
        [sys.executable, "three_lines.py"], cwd=tmp_path, capture_output=True, text=True, timeout=200, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert {"power", "product"} <= {*done.stdout.split()}


def test_its_figures_are_those_of_the_pages_behind_them() -> None:
    trust, method = (" ".join((ROOT / "docs" / name).read_text("utf-8").split()) for name in ("trust.md", "method.md"))
    words = " ".join(README.split())
    assert "0 of 261 identical copies were, while 224 of 261 slow-downs by 3 % were found" in words
    assert "| 0 of 261 | 224 of 261 |" in trust
    assert "beside a busy core 3 of 261 were" in words
    assert "| 3 of 261 | 179 of 261 |" in trust
    assert (
        "medians called 5 to 6 of 8 identical functions different, Torchduet none, and it found 3 % in 8 of 8" in words
    )
    assert "| Torchduet | 0 and 0 of 8 | 8 and 8 of 8 |" in trust
    assert "| pytest-benchmark's medians | 6 and 5 |" in trust
    assert (
        "Five runs of the same code gave 340 pairs of intervals: none was disjoint, and 1 beside a busy core" in words
    )
    assert "**0 of 340**" in method
    assert "**1 of 340**" in method
    faults = (ROOT / "docs" / "reliability.md").read_text("utf-8")
    assert sum(map(int, re.findall(r"^## .*: (\d+) faults$", faults, re.M))) > 200


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_picture_is_there_in_both_schemes_and_small(scheme: str) -> None:
    name = f"docs/images/report-{scheme}.png"
    assert re.search(rf'<(img|source)[^>]* src(set)?="{name}"', README)
    assert (ROOT / name).stat().st_size <= MAX_PICTURE
    with Image.open(ROOT / name) as picture:
        corner = picture.convert("L").getpixel((2, 2))
    assert (corner < 100) == (scheme == "dark")


def test_the_commands_that_ci_takes_from_it_are_there() -> None:
    """``.ci/run`` finds the second one by this."""
    commands = re.findall(r"^python3 -m venv \S+ && .*$", README, re.M)
    assert [command.partition("nox -s ")[2] for command in commands] == ["bench", "lint tests"]


def test_every_option_is_in_the_table() -> None:
    shown = subprocess.run(
        [sys.executable, "-m", "pytest", "bench/", "--help"], cwd=ROOT, capture_output=True, text=True, check=False
    ).stdout
    ours = re.search(r"\ntorchduet:\n(.*?)\n\n", shown, re.S)
    assert ours is not None
    options = re.findall(r"^  (--[a-z-]+)", ours.group(1), re.M)
    assert len(options) == 39
    for option in options:
        assert re.search(rf"^\| `{option}[ `]", OPTIONS, re.M), option
