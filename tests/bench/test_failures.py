"""What is said of an exception in a workload: the line of its author's, not one of PyTorch's."""

from pathlib import Path

import pytest
import torch
from torch.utils.data import DataLoader

from torchduet.bench.timing.failures import describe, lacking
from torchduet.suites.registry import load


def load_nothing() -> None:
    """Raises below ``torch/utils/data/dataloader.py``."""
    list(DataLoader([0, 1], batch_size=2, collate_fn=lambda batch: batch[2]))


def test_torchs_dataloader_is_not_the_suites() -> None:
    with pytest.raises(IndexError) as caught:
        load_nothing()
    assert describe(caught.value, "dataloader") == "it raised IndexError: list index out of range"


def test_the_line_of_a_built_in_suite_is_named() -> None:
    (suite,) = load("matmul")
    function = next(iter(suite.workloads["square"].implementations.values())).function
    with pytest.raises(RuntimeError) as caught:
        function(torch.ones(2, 3), torch.ones(2, 3))
    assert " (products.py:" in describe(caught.value, "matmul")


def test_the_line_of_the_authors_file_is_named_whatever_it_is_called(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "dataloader.py"
    file.write_text(
        "from torch.utils.data import DataLoader\nfrom torchduet import Suite\nsuite = Suite('mine')\n"
        "@suite.workload(inputs=lambda device: ())\n"
        "def broken():\n    'broken'\n    DataLoader([0], num_workers=-1)\n"
    )
    (suite,) = load(str(file))
    function = next(iter(suite.workloads["broken"].implementations.values())).function
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match="num_workers") as caught:
        function()
    assert describe(caught.value, "dataloader.py").endswith(" (dataloader.py:7)")


def test_what_onednn_has_no_kernel_for_is_skipped_with_its_words() -> None:
    words = "could not create a primitive descriptor for the LSTM forward propagation primitive. Run workload with …"
    assert lacking(RuntimeError(words)) == (
        "oneDNN has no kernel for it on this CPU: could not create a primitive descriptor for the LSTM forward "
        "propagation primitive"
    )
    assert lacking(RuntimeError("mat1 and mat2 shapes cannot be multiplied")) is None
    assert lacking(ValueError(words)) is None
