"""The layer is as right and as fast as the one that it was derived from."""

import pytest
import torch
from layers import Norm

pytestmark = pytest.mark.duet(budget="3s", threads=1)


def first_version(norm: Norm, x: torch.Tensor) -> torch.Tensor:
    """The layer as it was at first; a function of this module."""
    return x * x.pow(2).mean(-1, keepdim=True).add(1e-6).rsqrt() * norm.weight


def call(norm: Norm, x: torch.Tensor) -> torch.Tensor:
    return norm(x)


def test_norm_is_not_slower_than_at_first(duet) -> None:
    found = duet({"now": call, "first": first_version}, Norm(256), torch.randn(64, 256))
    found.assert_not_slower("now", by="20%")


@pytest.mark.parametrize("rows", [8, 64])
def test_norm_computes_what_torch_computes(rows: int) -> None:
    x = torch.randn(rows, 256)
    torch.testing.assert_close(Norm(256)(x), torch.nn.functional.rms_norm(x, (256,), eps=1e-6))
