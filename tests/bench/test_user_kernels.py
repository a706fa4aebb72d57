"""The example of one's own Triton and CUDA kernels: measured on a GPU; without one, skipped with the reason."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from torchduet.bench.record.schema import KEY

ROOT = Path(__file__).parents[2]
EXAMPLE = "docs/examples/user_kernels.py"
HAS_TRITON = importlib.util.find_spec("triton") is not None


def started(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "pytest", "bench/", "--suite", EXAMPLE, "-rs", *arguments],
        cwd=ROOT,
        env=os.environ | {"COLUMNS": "300"} | environment,
        capture_output=True,
        text=True,
        timeout=500,
        check=False,
    )


def test_without_a_gpu_the_kernels_are_skipped_with_the_reason_and_the_others_are_checked() -> None:
    done = started("--device", "cpu", "--mode", "eager", "--benchmark-disable")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "2 cases skipped: checked, not timed" in done.stdout
    needs = (
        "the Triton kernel needs a GPU; --device cuda" if HAS_TRITON else "the Triton kernel needs Triton: pip install"
    )
    assert needs in done.stdout
    assert "1 case skipped: the CUDA kernel needs a CUDA GPU; --device cuda" in done.stdout
    assert "FAILED" not in done.stdout


@pytest.mark.skipif(not HAS_TRITON, reason="needs Triton")
def test_the_triton_kernel_computes_the_same_in_tritons_interpreter() -> None:
    done = started("--device", "cpu", "--mode", "eager", "--benchmark-disable", TRITON_INTERPRET="1")
    assert "3 cases skipped: checked, not timed" in done.stdout, done.stdout + done.stderr


@pytest.mark.cuda
@pytest.mark.skipif(not (torch.cuda.is_available() and HAS_TRITON), reason="needs a CUDA GPU and Triton")
def test_on_a_gpu_both_kernels_are_checked_and_measured_against_eager_and_compiled(tmp_path: Path) -> None:
    path = tmp_path / "run.json"
    done = started("--device", "cuda", "--budget", "60s", "--benchmark-json", str(path))
    assert done.returncode == 0, done.stdout + done.stderr
    records = [each["extra_info"][KEY] for each in json.loads(path.read_text())["benchmarks"]]
    by_variant = {(record["case"]["implementation"], record["case"]["mode"]): record for record in records}
    assert set(by_variant) == {
        *(("by_hand", mode) for mode in ("eager", "compile")),
        *(("torch", mode) for mode in ("eager", "compile")),
        *((kernel, "eager") for kernel in ("triton", "cuda")),
    }
    for kernel in ("triton", "cuda"):
        record = by_variant[kernel, "eager"]
        assert record["case"]["size"] == {"rows": 8192, "n": 4096}
        assert record["check"]["relative_error"] <= record["check"]["tolerance"]
        assert record["speedups"][0]["against"] == by_variant["by_hand", "eager"]["case"]["id"]
