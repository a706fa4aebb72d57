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


STATE = """
import sys
from pathlib import Path
import torch
from torchduet.bench.library import shipped
shipped.read(Path(sys.argv[1]))
print(torch.is_grad_enabled(), torch.get_default_dtype(), torch.are_deterministic_algorithms_enabled())
"""


def test_switches_are_as_in_the_program(tmp_path: Path) -> None:
    torch.use_deterministic_algorithms(True)
    torch.set_default_dtype(torch.float64)
    try:
        with torch.no_grad():
            shipped.write(described(lambda x: x, torch.ones(2)), tmp_path / "f.pt")
    finally:
        torch.use_deterministic_algorithms(False)
        torch.set_default_dtype(torch.float32)
    command = [sys.executable, "-c", STATE, str(tmp_path / "f.pt")]
    run = subprocess.run(command, capture_output=True, text=True, check=False, cwd="/")
    assert run.stdout.split() == ["False", "torch.float64", "True"], run.stderr


def test_a_function_of_a_module_has_what_the_program_has_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "my_layers"
    package.mkdir()
    (package / "__init__.py").write_text(
        "import torch\nW = torch.tensor([4.0])\nPLUS = 0\ndef by(x):\n    return x * W\n"
        "def scale(x):\n    return by(x) + PLUS\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    import my_layers  # type: ignore[import-not-found]

    monkeypatch.setattr(my_layers, "PLUS", 3)
    monkeypatch.setattr(my_layers, "by", lambda x: x * my_layers.W * 2)
    shipped.write(described(my_layers.scale, torch.ones(1)), tmp_path / "f.pt")
    assert read_elsewhere(tmp_path / "f.pt").endswith("[11.0]")


def test_a_function_of_an_installed_package_goes_by_import(tmp_path: Path) -> None:
    of = described(torch.nn.functional.relu, torch.ones(2))
    shipped.write(of, tmp_path / "f.pt")
    assert read_elsewhere(tmp_path / "f.pt") == "() [1.0, 1.0]"
    assert (tmp_path / "f.pt").stat().st_size < 10_000


def test_installed_modules_that_fresh_processes_import() -> None:
    import pandas

    assert "pandas" in shipped.modules_of(described(lambda x: pandas.DataFrame({"x": x}), [1]))
    assert shipped.modules_of(described(lambda x: torch.relu(x), torch.ones(1))) == frozenset()


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
