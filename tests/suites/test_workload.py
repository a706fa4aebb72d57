"""The workload type and the registry: what an author can write, and what they are told."""

from pathlib import Path

import pytest

from torchduet import Axis, Suite, SuiteError
from torchduet.suites.registry import load


def test_tiers_are_cumulative() -> None:
    axis = Axis(quick=[256, 16], default=[64], full=[4096])
    assert axis.up_to("quick") == (16, 256)
    assert axis.up_to("full") == (16, 64, 256, 4096)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({}, "no values"),
        ({"quick": [1], "full": [1]}, "listed twice"),
        ({"quick": "abc"}, "takes a list"),
        ({"quick": [None]}, "takes a list"),
    ],
)
def test_an_axis_that_cannot_be_used_says_why(values: dict, message: str) -> None:  # type: ignore[type-arg]
    with pytest.raises(SuiteError, match=message):
        Axis(**values)


def test_a_workload_that_cannot_be_used_says_which_and_why() -> None:
    suite = Suite("mine")
    suite.workload(abs, inputs=lambda device: (device,))
    with pytest.raises(SuiteError, match="suite 'mine', workload 'abs': the name is used twice"):
        suite.workload(abs, inputs=lambda device: (device,))
    with pytest.raises(SuiteError, match="modes has jit; known are eager"):
        suite.workload(max, inputs=lambda device: (device,), modes=["jit"])
    with pytest.raises(SuiteError, match="implementations must be"):
        suite.compare("none", {}, inputs=lambda device: (device,))


def write(folder: Path, text: str) -> str:
    path = folder / "my suite.py"
    path.write_text(text)
    return str(path)


def test_a_file_is_run_once_and_may_have_spaces_in_its_name(tmp_path: Path) -> None:
    path = write(tmp_path, "from torchduet import Suite\nsuite = Suite('mine')\n")
    assert load(path)[0] is load(path)[0]
    assert load(path)[0].name == "mine"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("def broken(:\n", r"my suite\.py:1: SyntaxError"),
        ("\n\nimport no_such_module\n", r"my suite\.py:3: ModuleNotFoundError: No module named 'no_such_module'"),
        ("x = 1\n", "no Suite in it; start it with: suite = Suite"),
        ("from torchduet import Suite\na, b = Suite('x'), Suite('x')\n", "two suites are named 'x'"),
    ],
)
def test_a_file_that_cannot_be_used_says_where_and_why(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(SuiteError, match=message):
        load(write(tmp_path, text))


def test_a_source_that_is_not_there_says_so(tmp_path: Path) -> None:
    with pytest.raises(SuiteError, match="does not exist"):
        load(str(tmp_path / "none.py"))
    with pytest.raises(SuiteError, match="is a folder"):
        load(str(tmp_path) + "/")
    with pytest.raises(SuiteError, match="no such suite; the built-in ones are tensor_ops, matmul, einsum, autograd"):
        load("nosuch")


def test_importing_suites_needs_no_torch() -> None:
    import subprocess
    import sys

    code = "import sys, torchduet.suites, torchduet.suites.registry; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_cost_that_cannot_be_computed_is_refused_before_anything_is_measured() -> None:
    with pytest.raises(SuiteError, match=r"workload 'w': cost= raised TypeError for \{'n': 5\}"):
        Suite("s").compare("w", {"w": abs}, inputs=lambda _, n: (n,), axes={"n": [5]}, cost=lambda batch: batch)
    with pytest.raises(SuiteError, match="cost= returned int"):
        Suite("s").compare("w", {"w": abs}, inputs=lambda _, n: (n,), axes={"n": [5]}, cost=lambda n: n)


def test_values_that_read_alike_are_refused() -> None:
    with pytest.raises(SuiteError, match="listed twice"):
        Axis(["1", 1])


def test_a_module_of_ones_own_is_trained_and_served() -> None:
    import torch

    def module() -> torch.nn.Module:
        return torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.BatchNorm1d(4), torch.nn.Dropout(0.5))

    def batch_of(batch: int) -> tuple[torch.Tensor, torch.Tensor]:
        return torch.randn(batch, 3), torch.randint(4, (batch,))

    suite = Suite("own")
    suite.model("net", module, batch_of, loss=torch.nn.functional.cross_entropy, batch=[8], deterministic=False)
    assert set(suite.workloads) == {"net_train", "net_infer"}
    train, infer = (suite.workloads[f"net_{name}"].inputs(torch.device("cpu"), batch=8) for name in ("train", "infer"))
    assert train[0].training
    assert not infer[0].training
    assert isinstance(train[1], torch.optim.AdamW)
    assert suite.workloads["net_train"].modes.up_to("quick") == ("eager", "compile-model", "compile")
