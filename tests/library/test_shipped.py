"""Functions and inputs that a fresh process reads from a file."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from torchduet.bench.library import shipped
from torchduet.bench.library.described import Described
from torchduet.bench.library.functions import Function

READS = """
import sys
from pathlib import Path
import torch
from torchduet.bench.library import shipped
described = shipped.read(Path(sys.argv[1]))
workload = described.suite().workloads["f"]
inputs = workload.inputs(torch.device("cpu"))
arguments, captured = workload.split(inputs)
print(workload.captured, workload.implementations["f"].bind(captured)(*arguments).tolist())
"""
SCALE = torch.tensor([10.0])


def described(function: Callable[..., Any], *inputs: Any) -> Described:
    return Described("f", {"f": Function(function)}, inputs, None, {}, ("eager",), ("fp32",), ("cpu",))


def read_elsewhere(path: Path) -> str:
    """What a process prints that has no test's folder in its path."""
    run = subprocess.run([sys.executable, "-c", READS, str(path)], capture_output=True, text=True, check=False, cwd="/")
    assert run.returncode == 0, run.stderr
    return run.stdout.strip()


def test_a_function_of_a_test_goes_by_its_code(tmp_path: Path) -> None:
    shipped.write(described(lambda x: x * SCALE, torch.ones(2)), tmp_path / "f.pt")
    assert read_elsewhere(tmp_path / "f.pt") == "('SCALE',) [10.0, 10.0]"


def test_a_function_of_a_package_goes_by_import(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "my_layers"
    package.mkdir()
    (package / "__init__.py").write_text("import torch\nW = torch.tensor([4.0])\ndef scale(x):\n    return x * W\n")
    monkeypatch.syspath_prepend(tmp_path)
    import my_layers  # type: ignore[import-not-found]

    shipped.write(described(my_layers.scale, torch.ones(1)), tmp_path / "f.pt")
    assert b"my_layers" in (tmp_path / "f.pt").read_bytes()
    assert read_elsewhere(tmp_path / "f.pt") == "('W',) [4.0]"


def test_what_inputs_and_closures_share_is_shared_there(tmp_path: Path) -> None:
    x = torch.zeros(2)

    def written(y: torch.Tensor) -> torch.Tensor:
        y.add_(1)
        return x + 0

    shipped.write(described(written, x[:]), tmp_path / "f.pt")
    assert read_elsewhere(tmp_path / "f.pt") == "('x',) [1.0, 1.0]"


def test_what_cannot_be_pickled(tmp_path: Path) -> None:
    lock = threading.Lock()

    def locked(x: torch.Tensor) -> torch.Tensor:
        with lock:
            return x

    with pytest.raises(shipped.NotShippedError, match=r"cannot pickle '_thread\.lock' object"):
        shipped.write(described(locked, torch.ones(1)), tmp_path / "f.pt")
    assert not (tmp_path / "f.pt").exists()


def test_inputs_that_are_too_large(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shipped, "MAX_BYTES", 1 << 20)
    large = torch.empty(1 << 20)
    with pytest.raises(shipped.NotShippedError, match="the inputs have 4 MiB, of at most 1; give a function"):
        shipped.write(described(lambda x: x, large, large[1:]), tmp_path / "f.pt")
