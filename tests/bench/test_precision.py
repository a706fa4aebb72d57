"""Precision is entered and left without a trace, through one interface."""

import pytest
import torch

from torchduet.bench.timing import device_registry
from torchduet.bench.timing.precision import autocast_factory, matmul_precision


def settings() -> list[str]:
    cudnn = torch.backends.cudnn
    return [torch.backends.cuda.matmul.fp32_precision, cudnn.conv.fp32_precision, cudnn.rnn.fp32_precision]


@pytest.mark.parametrize(("precision", "setting"), [("fp32", "ieee"), ("tf32", "tf32"), ("bf16", "ieee")])
def test_the_setting_holds_inside_and_is_restored_outside(precision: str, setting: str) -> None:
    before = settings()
    with matmul_precision(precision):
        assert settings() == [setting] * 3
        with matmul_precision("tf32"):
            assert settings() == ["tf32"] * 3
        assert settings() == [setting] * 3
    assert settings() == before


def test_it_is_restored_after_an_error() -> None:
    before = settings()

    def fail() -> None:
        with matmul_precision("tf32"):
            raise RuntimeError("boom")

    with pytest.raises(RuntimeError, match="boom"):
        fail()
    assert settings() == before


def test_the_older_view_that_the_compiler_reads_stays_in_step() -> None:
    # torch raises where the two views differ (pytorch/pytorch#166387).
    with matmul_precision("tf32"):
        assert torch.get_float32_matmul_precision() == "high"
    with matmul_precision("fp32"):
        assert torch.get_float32_matmul_precision() == "highest"


def test_autocast_is_bf16_only_where_asked_for() -> None:
    a = torch.randn(4, 4)
    with autocast_factory("bf16", "cpu")():
        assert (a @ a).dtype == torch.bfloat16
    for precision in ("fp32", "tf32"):
        with autocast_factory(precision, "cpu")():
            assert (a @ a).dtype == torch.float32


def test_every_kind_of_device_has_the_precisions_that_the_machine_does_not_exclude() -> None:
    precisions = {kind: device.precisions for kind, device in device_registry.BUILT_IN.items()}
    accelerator = ("fp32", "bf16", "fp16")
    assert precisions == {
        "cpu": ("fp32", "bf16"),
        "cuda": ("fp32", "tf32", "bf16", "fp16"),
        "xpu": accelerator,
        "mps": accelerator,
    }
