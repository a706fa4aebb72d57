"""A shell of IPython in the tests' own process, and kernels of the tests' interpreter."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.notebook.executed import kernel_of_this_interpreter


@pytest.fixture
def shell() -> Iterator[Any]:
    """IPython with ``%load_ext torchduet``."""
    pytest.importorskip("IPython", reason="IPython is not installed: pip install ipython")
    from IPython.core.interactiveshell import InteractiveShell
    from traitlets.config import Config

    config = Config()
    config.HistoryManager.enabled = False
    shell = InteractiveShell.instance(config=config)
    shell.run_cell("import torch\n%load_ext torchduet\nx = torch.randn(64, 64)\nn = 2")
    yield shell
    InteractiveShell.clear_instance()


@pytest.fixture(scope="session")
def _kernel_of_this_interpreter(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """The kernel ``python3`` runs this interpreter, wherever Jupyter would look."""
    pytest.importorskip("ipykernel", reason="ipykernel is not installed: pip install ipykernel")
    path = tmp_path_factory.mktemp("jupyter")
    with pytest.MonkeyPatch.context() as patch:
        for name, value in kernel_of_this_interpreter(path).items():
            patch.setenv(name, value)
        yield


@pytest.fixture
def client(_kernel_of_this_interpreter: None, tmp_path: Path) -> Iterator[Any]:
    """A kernel that runs in an empty folder, and what speaks to it."""
    jupyter = pytest.importorskip("jupyter_client", reason="jupyter_client is not installed: pip install nbclient")
    manager = jupyter.KernelManager(kernel_name="python3")
    manager.start_kernel(cwd=str(tmp_path))
    client = manager.client()
    client.start_channels()
    client.wait_for_ready(timeout=60)
    client.manager = manager
    yield client
    client.stop_channels()
    manager.shutdown_kernel(now=True)
