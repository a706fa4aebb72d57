"""Each way of logging writes something; what is timed is not only a training step."""

from pathlib import Path

import pytest
import torch

import torchduet.suites.logging as workloads
from torchduet.suites.workload import Unavailable

CPU = torch.device("cpu")
WORKLOAD = workloads.suite.workloads["train_784_100_10"]


@pytest.mark.parametrize("name", [name for name in WORKLOAD.implementations if name != "none"])
def test_it_writes(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    writers = []
    new = workloads.new_writer

    def kept():  # type: ignore[no-untyped-def]
        writers.append(new())
        return writers[-1]

    monkeypatch.setattr(workloads, "new_writer", kept)
    inputs = WORKLOAD.inputs(CPU, batch=20)
    try:
        step = WORKLOAD.implementations[name].function(*inputs)
    except Unavailable as reason:
        pytest.skip(str(reason))
    (writer,) = writers
    writer.flush()
    before = sum(path.stat().st_size for path in tmp_path.rglob("*") if path.is_file())
    step(*inputs)
    writer.close()
    after = sum(path.stat().st_size for path in tmp_path.rglob("*") if path.is_file())
    assert after > before
