"""Every kernel has its kind: names as Kineto writes them, of PyTorch, cuBLAS, cuDNN, NCCL, Triton and ROCm.

``kernel_names.tsv`` has a kind and a name per line. Most names are from public traces of torch.profiler (the tests of
HolisticTraceAnalysis), the others from public profiles and issues. Long ones are cut after 300 characters.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from torchduet.reports.profile.kernels import KINDS, OTHER_KERNELS, RULES, function_name, kernel_kind, short_name

LINES = (Path(__file__).parent / "kernel_names.tsv").read_text("utf-8").splitlines()
KIND_OF = {name: kind for kind, name in (line.split("\t") for line in LINES)}


@pytest.mark.parametrize("kind", KINDS)
def test_every_name_has_its_kind(kind: str) -> None:
    names = [name for name, expected in KIND_OF.items() if expected == kind]
    assert names
    assert {name: kernel_kind(name) for name in names} == dict.fromkeys(names, kind)


def test_every_pattern_is_needed_by_a_real_name() -> None:
    """A pattern that no name of its kind has is a guess."""
    unused = []
    for rule in RULES:
        names = [name for name, kind in KIND_OF.items() if kind == rule.kind]
        unused += [
            pattern
            for pattern in rule.function
            if not any(re.search(pattern, function_name(name), re.I) for name in names)
        ]
        unused += [pattern for pattern in rule.whole if not any(re.search(pattern, name, re.I) for name in names)]
    assert not unused


def test_few_names_have_no_kind() -> None:
    assert sum(kind == OTHER_KERNELS for kind in KIND_OF.values()) < len(KIND_OF) / 20


@pytest.mark.parametrize(
    ("name", "function"),
    [
        (
            "void at::native::(anonymous namespace)::cunn_SoftMaxForward<4, float>(float*)",
            "at::native::cunn_SoftMaxForward",
        ),
        ("std::enable_if<!(false), void>::type internal::gemvx::kernel<int, int>(int)", "internal::gemvx::kernel"),
        ("ampere_sgemm_128x64_tn", "ampere_sgemm_128x64_tn"),
        ("Memcpy HtoD (Pageable -> Device)", "Memcpy HtoD (Pageable -> Device)"),
        ("_ZN5aiter30fused_mx_quant_moe_sort_kernelIDF16bE", "aiter::fused_mx_quant_moe_sort_kernel"),
        ("_Z19LSTM_elementWise_fpIfffL18cudnnRNNBiasMode_t2EEviiii", "LSTM_elementWise_fp"),
        ("_Z", "_Z"),
        ("", ""),
    ],
)
def test_a_function_is_found_in_a_name(name: str, function: str) -> None:
    assert function_name(name) == function


def test_a_name_is_shown_without_what_all_names_have() -> None:
    name = "void at::native::vectorized_elementwise_kernel<4, at::native::CUDAFunctor_add<float>, char* >(int, float*)"
    assert short_name(name) == "vectorized_elementwise_kernel<4, CUDAFunctor_add<float>, char*>"
    assert len(short_name("a" * 500)) < 100
    assert short_name("Memset (Device)") == "Memset (Device)"
