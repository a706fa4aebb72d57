"""Where no process group can be formed, the cases that need one are skipped with the reason; others are measured."""

from pathlib import Path

import pytest
import torch.distributed as dist

from tests.bench.measured import checked
from torchduet.bench.ranks.group import why_none

FILE = """
import torch.distributed as dist

def reduced(x):
    y = x.clone()
    dist.all_reduce(y)
    return y

suite.compare(
    "reduced",
    {"alone": Implementation(lambda x: x.sum(0), alone=True), "in ranks": reduced},
    inputs=lambda device, ranks: (torch.ones(ranks, 4, device=device),),
    shard=lambda x, rank: (x[rank],),
    ranks=[1, 2],
    **EAGER,
)
"""


def test_without_torch_distributed_or_a_backend_the_reason_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    assert why_none("cpu") == ""
    assert why_none("xyz") == "torch.distributed has no backend for xyz that is known here"
    monkeypatch.setattr(dist, "is_backend_available", lambda backend: backend == "gloo")
    assert why_none("cuda:0") == "this PyTorch was built without nccl, the backend of torch.distributed for cuda"
    monkeypatch.setattr(dist, "is_backend_available", lambda backend: backend == "nccl")
    assert why_none("cpu") == "this PyTorch was built without gloo, the backend of torch.distributed for cpu"
    monkeypatch.setattr(dist, "is_gloo_available", lambda: False)
    assert why_none("cuda:0").startswith("this PyTorch was built without gloo, by which ranks wait for each other")
    monkeypatch.setattr(dist, "is_available", lambda: False)
    assert why_none("cuda:0") == "this PyTorch was built without torch.distributed (USE_DISTRIBUTED=0)"


def test_cases_without_a_group_are_measured_all_the_same(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(dist, "is_available", lambda: False)
    results = checked(tmp_path, FILE)
    skips = {name: result.skip for name, result in results.items()}
    reason = "this PyTorch was built without torch.distributed (USE_DISTRIBUTED=0)"
    assert [skip for name, skip in skips.items() if "in ranks" in name] == [reason] * 2
    (alone,) = [result for name, result in results.items() if "alone" in name]
    assert (alone.skip, alone.error) == (None, None)
    assert alone.check is not None
