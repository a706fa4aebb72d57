"""Decode steps leave their caches as they were, agree, wait for nothing, and cost what the models' sizes say."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from torchduet.suites.transformers import caches, decoders
from torchduet.suites.transformers.decoder_models import DECODERS, with_attention

pytest.importorskip("transformers.models.gpt2.modeling_gpt2")  # sets warning filters when it is imported
pytest.importorskip("transformers.models.llama.modeling_llama")
CPU = torch.device("cpu")
SMALL = ("small-gpt2", "small-llama")
CONTEXT = 24


@pytest.fixture(params=SMALL)
def inputs(request: pytest.FixtureRequest) -> tuple[Any, ...]:
    torch.manual_seed(0)
    return decoders.decode_inputs(CPU, request.param, CONTEXT, 2, "float32")


def test_a_step_leaves_the_dynamic_cache_with_the_same_tensors(inputs: tuple[Any, ...]) -> None:
    before = caches.held(inputs[1])
    values = [(keys.clone(), rows.clone()) for keys, rows in before]
    decoders.decode_dynamic(*inputs)
    after = caches.held(inputs[1])
    assert all(a is b for x, y in zip(before, after, strict=True) for a, b in zip(x, y, strict=True))
    torch.testing.assert_close(after, values, rtol=0, atol=0)


def test_steps_against_a_static_cache_write_the_same_place(inputs: tuple[Any, ...]) -> None:
    first = decoders.decode_static(*inputs)
    keys = [layer.keys.clone() for layer in inputs[2].layers]
    second = decoders.decode_static(*inputs)
    assert [int(layer.cumulative_length) for layer in inputs[2].layers] == [CONTEXT] * len(keys)
    torch.testing.assert_close([layer.keys for layer in inputs[2].layers], keys, rtol=0, atol=0)
    torch.testing.assert_close(second, first, rtol=0, atol=0)


def test_a_step_is_the_whole_text_computed_without_a_cache(inputs: tuple[Any, ...]) -> None:
    torch.manual_seed(0)
    model = inputs[0]
    dynamic, static = caches.filled(model, text := torch.randint(1024, (2, CONTEXT)), inputs[-1])
    with torch.no_grad():
        expected = model(torch.cat((text, inputs[3]), dim=1)).logits[:, -1:]
    torch.testing.assert_close(caches.step(model, dynamic, inputs[3], inputs[-1]), expected, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(caches.static_step(model, static, inputs[3], inputs[-1]), expected, rtol=1e-4, atol=1e-4)


class Reads(TorchDispatchMode):
    """Counts the numbers that are read from tensors: on a GPU each waits for the device."""

    count = 0

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.count += function is torch.ops.aten._local_scalar_dense.default
        return function(*args, **(kwargs or {}))


def test_a_step_reads_nothing_back_from_the_device(inputs: tuple[Any, ...]) -> None:
    with Reads() as reads:
        decoders.decode_dynamic(*inputs)
        decoders.decode_static(*inputs)
    assert reads.count == 0
    with Reads() as reads:
        inputs[2].layers[0].cumulative_length.item()
    assert reads.count == 1


@pytest.mark.parametrize("name", SMALL)
def test_the_formula_counts_the_weights_of_the_matrices(name: str) -> None:
    decoder = DECODERS[name]
    model = decoder.make(CPU)
    embeddings = {id(module.weight) for module in model.modules() if isinstance(module, torch.nn.Embedding)}
    matrices = [weight for weight in model.parameters() if weight.ndim == 2 and id(weight) not in embeddings]
    assert decoder.parameters == sum(weight.numel() for weight in matrices)


def test_a_second_implementation_of_attention_has_the_same_parameters() -> None:
    model = DECODERS["small-llama"].make(CPU)
    eager = with_attention(model, "eager")
    assert all(a is b for a, b in zip(model.parameters(), eager.parameters(), strict=True))
    assert (model.config._attn_implementation, eager.config._attn_implementation) == ("sdpa", "eager")


def test_a_prefill_fills_a_new_cache_in_each_call() -> None:
    torch.manual_seed(0)
    inputs = decoders.prefill_inputs(CPU, "small-llama", 16, 2, "float32")
    (first, cache), (second, other) = decoders.prefill_sdpa(*inputs), decoders.prefill_eager(*inputs)
    assert cache is not other
    assert cache.get_seq_length() == other.get_seq_length() == 16
    torch.testing.assert_close(first, second, rtol=1e-4, atol=1e-4)


def test_the_suite_is_loaded_without_transformers() -> None:
    code = "import sys, torchduet.suites.transformers; sys.exit('transformers' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
