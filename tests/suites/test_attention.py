"""Attention by backend: what runs here, why the others do not, and that none of it breaks the graph."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from torchduet.suites.attention import formulas, kernels, suite
from torchduet.suites.workload import Implementation, Unavailable

CPU = torch.device("cpu")
BOTH = ("backends", "causal_backends")


def inputs(length: int = 32) -> tuple[Tensor, ...]:
    return formulas.queries_keys_values(CPU, length)


def implementation(workload: str, name: str) -> Implementation:
    return suite.workloads[workload].implementations[name]


def made(workload: str, name: str, given: tuple[Tensor, ...]) -> Callable[..., Tensor]:
    one = implementation(workload, name)
    made_by: Any = one.function(*given) if one.setup else one.function
    return made_by  # type: ignore[no-any-return]


@pytest.mark.parametrize("workload", BOTH)
def test_flash_and_math_run_on_the_cpu_in_every_precision(workload: str) -> None:
    given = inputs()
    causal = workload == "causal_backends"
    for name in ("flash", "math"):
        attend = made(workload, name, given)
        torch.testing.assert_close(attend(*given), F.scaled_dot_product_attention(*given, is_causal=causal))
        with torch.autocast("cpu", torch.bfloat16):
            assert attend(*given).dtype is torch.bfloat16


@pytest.mark.parametrize(("name", "takes"), [("efficient", "CUDA or ROCm GPU"), ("cudnn", "cuDNN 9")])
def test_a_backend_of_gpus_says_what_it_would_take(name: str, takes: str) -> None:
    with pytest.raises(Unavailable) as raised:
        made("backends", name, inputs())
    words = str(raised.value)
    assert words.startswith(f"PyTorch has no {name} attention on the CPU in float32 (")
    assert takes in words
    assert "\n" not in words


def refused(_name: str, q: Tensor, dtype: torch.dtype, _causal: bool) -> str | None:
    """As on a GPU: flash attention has no float32."""
    del q
    return None if dtype in (torch.bfloat16, torch.float16) else f"flash takes no {dtype}"


@pytest.mark.parametrize("compiled", [False, True])
def test_a_backend_without_fp32_runs_under_autocast_and_is_unavailable_without(
    compiled: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kernels, "refusal", refused)
    given = inputs()
    attend = made("backends", "flash", given)
    if compiled:
        torch._dynamo.reset()
        attend = torch.compile(attend, backend="eager")
    with torch.autocast("cpu", torch.bfloat16):
        assert attend(*given).dtype is torch.bfloat16
    with pytest.raises(Unavailable, match=r"flash takes no torch\.float32"):
        attend(*given)


def test_the_reason_is_pytorchs_own_warning_on_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """What PyTorch 2.11 to 2.13 say of flash attention in float32, from a fake of a GPU without it."""

    def attention(*_: Any, **__: Any) -> Tensor:
        warnings.warn("Flash attention kernel not used because: (Triggered internally at sdp.cpp:1)", stacklevel=1)
        warnings.warn(
            "Expected query, key and value to all be of dtype: {Half, BFloat16}. Got Query dtype: float, Key dtype: "
            "float, and Value dtype: float instead. (Triggered internally at sdp.cpp:2)",
            stacklevel=1,
        )
        raise RuntimeError("No available kernel. Aborting execution.")

    monkeypatch.setattr(F, "scaled_dot_product_attention", attention)
    why = kernels.refusal("flash", inputs()[0], torch.float32, False)
    assert why is not None
    assert "(Expected query, key and value to all be of dtype: {Half, BFloat16})" in why
    assert why.endswith("compute capability 8.0")


@pytest.mark.parametrize("workload", BOTH)
def test_nothing_breaks_the_graph(workload: str) -> None:
    given = inputs()
    for name in ("sdpa", "flash", "math"):
        torch._dynamo.reset()
        attend = made(workload, name, given)
        found = torch._dynamo.explain(attend)(*given)
        assert (found.graph_count, found.graph_break_count) == (1, 0), name


@pytest.mark.parametrize("workload", BOTH)
def test_flex_attention_traces_as_one_graph_and_agrees(workload: str) -> None:
    torch._dynamo.reset()
    given = inputs(128)
    attend = torch.compile(made(workload, "flex", given), backend="aot_eager", fullgraph=True)
    expected = F.scaled_dot_product_attention(*given, is_causal=workload == "causal_backends")
    torch.testing.assert_close(attend(*given), expected, rtol=1e-4, atol=1e-5)
    assert implementation(workload, "flex").modes == ("compile", "max-autotune")


@pytest.mark.parametrize("name", ["by_hand", "math"])
def test_scores_that_do_not_fit_are_not_attempted(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    long = tuple(part.expand(1, 8, 16_384, 64) for part in formulas.queries_keys_values(CPU, 1))
    monkeypatch.setattr(kernels, "available_on", lambda _: 2**30)
    with pytest.raises(Unavailable, match=r"needs 16 GiB for the scores of 16,384 queries .* of which 1 GiB are free"):
        made("causal_backends", name, long)
    made("causal_backends", "flash", long)  # holds no scores


def test_the_longest_has_16k_in_full_and_quick_is_as_it_was() -> None:
    for workload in BOTH:
        for device in ("cpu", "cuda"):
            assert {"length": 16_384} in list(suite.workloads[workload].sizes("full", device))
        assert list(suite.workloads[workload].sizes("quick")) == []
