"""docs/from-torch-benchmark.md: its programs run, and they differ as it says."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[2] / "docs" / "from-torch-benchmark.md"
PROGRAMS = re.findall(r"```python\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)


def test_one_line_is_the_change() -> None:
    before, after = (program.splitlines() for program in PROGRAMS[:2])
    changed = [(old, new) for old, new in zip(before, after, strict=True) if old != new]
    assert changed == [("import torch.utils.benchmark as benchmark", "import torchduet as benchmark")]


@pytest.mark.parametrize("program", PROGRAMS, ids=["torch.utils.benchmark", "Timer", "compare"])
def test_the_programs_run(program: str, tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text(program)
    done = subprocess.run(
        [sys.executable, "program.py"], cwd=tmp_path, capture_output=True, text=True, check=False, timeout=200
    )
    assert done.returncode == 0, done.stderr
    for name in ("mul_sum", "bmm"):
        assert name in done.stdout
    if "torchduet" in program:
        assert "99 % intervals over" in done.stdout
