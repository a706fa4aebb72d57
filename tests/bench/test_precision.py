"""Precision is entered and left without a trace, through one interface."""

from collections.abc import Callable

import pytest
import torch

from torchduet.bench.state.fp32_precision import Fp32Precision
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


@pytest.mark.parametrize("precision", ["fp32", "tf32", "bf16"])
def test_code_that_uses_an_older_interface_works_within_a_case(precision: str) -> None:
    """It raised: convolutions were strict, and the older switch still allowed TF32."""
    allowed = precision == "tf32"
    with matmul_precision(precision):
        assert torch.backends.cudnn.allow_tf32 is allowed
        assert torch.backends.cuda.matmul.allow_tf32 is allowed
        with torch.backends.cudnn.flags(enabled=True):
            pass
        torch.export.export(torch.nn.Linear(2, 2), (torch.ones(1, 2),))
        torch.backends.cudnn.allow_tf32 = not allowed


def _legacy_off() -> None:
    torch.backends.cudnn.allow_tf32 = False


def _generic() -> None:
    torch.backends.fp32_precision = "ieee"


def _contradicting() -> None:
    torch.backends.cudnn.conv.fp32_precision = "ieee"
    torch.backends.cuda.matmul.fp32_precision = "tf32"


def _of_a_backend() -> None:
    torch.backends.cudnn.fp32_precision = "tf32"
    torch.backends.cudnn.rnn.fp32_precision = "none"


def _medium() -> None:
    torch.set_float32_matmul_precision("medium")


@pytest.mark.parametrize(
    "setting", [lambda: None, _legacy_off, _generic, _contradicting, _of_a_backend, _medium], ids=range(6)
)
def test_what_was_set_before_is_found_again(setting: Callable[[], None]) -> None:
    untouched = Fp32Precision.now()
    try:
        setting()
        before = Fp32Precision.now()
        assert Fp32Precision.now() == before  # reading changes nothing
        with matmul_precision("tf32"), matmul_precision("fp32"):
            pass
        assert Fp32Precision.now() == before
        assert (before == untouched) is (setting.__name__ == "<lambda>")
    finally:
        untouched.put_back()
    assert Fp32Precision.now() == untouched
    assert (untouched.differing(before) == "") is (before == untouched)


def test_a_place_that_was_not_set_still_follows_the_wider_one_afterwards() -> None:
    untouched = Fp32Precision.now()
    try:
        torch.backends.fp32_precision = "ieee"
        with matmul_precision("tf32"):
            pass
        torch.backends.fp32_precision = "tf32"
        assert torch.backends.cuda.matmul.fp32_precision == "tf32"
    finally:
        untouched.put_back()


def test_switches_of_the_older_interfaces_are_known_although_their_getters_raise() -> None:
    untouched = Fp32Precision.now()
    try:
        for products in ("highest", "high", "medium"):
            for cudnn in (True, False):
                torch.set_float32_matmul_precision(products)
                torch.backends.cudnn.allow_tf32 = cudnn
                torch.backends.cudnn.conv.fp32_precision = "ieee" if cudnn else "tf32"
                torch.backends.cuda.matmul.fp32_precision = "tf32" if products == "highest" else "ieee"
                found = Fp32Precision.now()
                assert (found.products, found.cudnn) == (products, cudnn)
    finally:
        untouched.put_back()


def test_autocast_is_bf16_only_where_asked_for() -> None:
    a = torch.randn(4, 4)
    with autocast_factory("bf16", "cpu")():
        assert (a @ a).dtype == torch.bfloat16
    for precision in ("fp32", "tf32"):
        with autocast_factory(precision, "cpu")():
            assert (a @ a).dtype == torch.float32


def test_every_kind_of_device_has_the_precisions_that_the_machine_does_not_exclude() -> None:
    precisions = {kind: device.precisions for kind, device in device_registry.BUILT_IN.items()}
    pure = ("bf16-pure", "fp16-pure")
    accelerator = ("fp32", "bf16", "fp16", *pure)
    assert precisions == {
        "cpu": ("fp32", "bf16", *pure),
        "cuda": ("fp32", "tf32", "bf16", "fp16", *pure),
        "xpu": accelerator,
        "mps": accelerator,
    }
