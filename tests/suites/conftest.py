"""Whatever a workload does, it leaves the process as it found it."""

import contextlib
import importlib
import multiprocessing
import os
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path
from time import monotonic, sleep

import pytest
import torch

from torchduet.suites.registry import libraries, names

SHARED_MEMORY = Path("/dev/shm")
# Inductor sets the second one when it first loads code: the flex attention of transformers compiles itself.
OF_TOOLS = ("PYTEST_CURRENT_TEST", "_TORCHINDUCTOR_PYOBJECT_TENSOR_DATA_PTR")


def state() -> dict[str, object]:
    """Everything global that a workload could have changed and that would change what is timed next."""
    return {
        "default dtype": torch.get_default_dtype(),
        "default device": str(torch.get_default_device()),
        "threads": torch.get_num_threads(),
        "gradients": torch.is_grad_enabled(),
        "inference mode": torch.is_inference_mode_enabled(),
        "autocast": (torch.is_autocast_enabled("cpu"), torch.is_autocast_enabled("cuda")),
        "autocast dtype": torch.get_autocast_dtype("cpu"),
        "deterministic": torch.are_deterministic_algorithms_enabled(),
        "fp32 in matrix products": torch.backends.cuda.matmul.fp32_precision,
        "environment": {k: v for k, v in os.environ.items() if k not in OF_TOOLS},
        "working directory": str(Path.cwd()),
        "temporary directory": tempfile.tempdir,
        "warning filters": len(warnings.filters),
        "child processes": sorted(child.pid or 0 for child in multiprocessing.active_children()),
    }


def left_in_shared_memory() -> set[str]:
    """Blocks of this process, and of those that have ended: other tests run beside this one, in processes of theirs."""
    makers = {entry.name: int(entry.name.split("_")[1]) for entry in SHARED_MEMORY.glob("torch_*_*")}
    return {name for name, maker in makers.items() if maker == os.getpid() or not Path(f"/proc/{maker}").exists()}


@pytest.fixture(scope="session", autouse=True)
def _used_before() -> None:
    """What libraries change when they are first used they change once per process: an optimiser's first step imports
    the compiler, which sets an environment variable, and so does scikit-learn."""
    parameter = torch.zeros(1, requires_grad=True)
    parameter.grad = torch.zeros(1)
    torch.optim.Adam([parameter]).step()
    for name in ("torch.utils.tensorboard", "sklearn.datasets", *libraries(names())):
        with contextlib.suppress(ImportError):
            importlib.import_module(name)


@pytest.fixture(autouse=True)
def nothing_global_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Temporary files go to the test's own folder, as they go to the family's own in a run."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    before, blocks = state(), left_in_shared_memory()
    yield
    after = state()
    until = monotonic() + 5.0  # another test may still use a block whose maker has ended
    while not left_in_shared_memory() <= blocks and monotonic() < until:
        sleep(0.05)
    assert left_in_shared_memory() <= blocks
    assert {name: (before[name], after[name]) for name in before if before[name] != after[name]} == {}
