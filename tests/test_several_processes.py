"""The page ``docs/several-processes.md``: its example runs, and its tables name what there is."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import pytest

from torchduet.__main__ import main
from torchduet.bench.record.schema import KEY
from torchduet.suites.workload import Cost, Implementation, Workload

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "several-processes.md").read_text("utf-8")
(EXAMPLE,) = re.findall(r"```python\n(# my_ranks\.py\n.*?)```", PAGE, re.S)
KEYWORDS = re.findall(r"^\| `(.+?)`(?:, `(.+?)`)? \|", PAGE, re.M)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run of the page's example."""
    folder = tmp_path_factory.mktemp("ranks")
    (folder / "my_ranks.py").write_text(EXAMPLE, "utf-8")
    done = subprocess.run(
        [
            *(sys.executable, "-m", "pytest", "bench/", "--suite", str(folder / "my_ranks.py")),
            *("--ranks", "1,2", "--budget", "15s", "--threads", "1", "--benchmark-json", str(folder / "run.json")),
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if "2 ranks need 2 cores" in done.stdout:
        pytest.skip("needs two cores")
    assert done.returncode == 0, done.stdout + done.stderr
    return folder / "run.json"


def test_the_example_has_every_case_that_the_page_describes(run: Path) -> None:
    records = [one["extra_info"][KEY] for one in json.loads(run.read_text())["benchmarks"]]
    cases = {
        (record["case"]["workload"], record["case"]["implementation"], record["case"]["ranks"]) for record in records
    }
    assert cases == {
        ("gradient", "one_process", 1),
        *(("gradient", way, ranks) for way in ("local", "all_reduce") for ranks in (1, 2)),
        ("growing_gradient", "one_process", 1),
        *(("growing_gradient", "all_reduce", ranks) for ranks in (1, 2)),
    }
    assert all(record["check"]["what"] == "values" for record in records)


def test_its_report_has_what_the_page_explains(run: Path, tmp_path: Path) -> None:
    page, summary = tmp_path / "page.html", tmp_path / "page.md"
    assert main(["render", str(run), "-o", str(page), "--markdown", str(summary)]) == 0
    html = page.read_text("utf-8")
    section = html[html.index('<section id="processes"') :]
    for words in ("Efficiency over ranks", "Exposed communication", "Rank by rank", "weak scaling", "strong scaling"):
        assert words in section
    assert "The control, which times each case in segments of its own" in section
    assert "### Several processes" in summary.read_text("utf-8")


def test_every_keyword_of_the_table_exists() -> None:
    known = {field.name for type_ in (Workload, Implementation, Cost) for field in fields(type_)}
    shown = {word for pair in KEYWORDS for text in pair for word in re.findall(r"(\w+)=", text)}
    assert {"ranks", "shard", "joint", "alone", "part", "inputs", "cost", "samples", "message", "bus"} < shown
    assert shown <= known


def test_the_readme_links_the_page() -> None:
    assert "(docs/several-processes.md)" in (ROOT / "README.md").read_text("utf-8")
