"""The README's examples run as they stand there."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
EXAMPLES = {re.search(r"# (\w+\.py)", code).group(1): code for code in re.findall(r"```python\n(.*?)```", README, re.S)}  # type: ignore[union-attr]


def test_there_is_an_operator_and_a_model_to_copy() -> None:
    assert set(EXAMPLES) == {"my_suite.py", "my_model.py"}


@pytest.mark.parametrize("name", sorted(EXAMPLES))
def test_an_example_is_measured_as_the_readme_says(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(EXAMPLES[name])
    run = tmp_path / "run.json"
    done = subprocess.run(
        [
            *(sys.executable, "-m", "pytest", "bench/", "--suite", str(tmp_path / name)),
            *("--budget", "15s", "--threads", "1", "--benchmark-json", str(run)),
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    benchmarks = json.loads(run.read_text())["benchmarks"]
    assert {"eager"} < {benchmark["params"]["mode"] for benchmark in benchmarks}


def test_every_option_is_in_the_readmes_table() -> None:
    shown = subprocess.run(
        [sys.executable, "-m", "pytest", "bench/", "--help"], cwd=ROOT, capture_output=True, text=True, check=False
    ).stdout
    ours = re.search(r"\ntorchduet:\n(.*?)\n\n", shown, re.S)
    assert ours is not None
    options = re.findall(r"^  (--[a-z-]+)", ours.group(1), re.M)
    assert len(options) == 39
    for option in options:
        assert re.search(rf"`{option}[ `]", README)
