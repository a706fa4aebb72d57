"""Encoders: attentions share their parameters, layouts hold every token once, and costs are what PyTorch counts."""

from __future__ import annotations

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from torchduet.suites.registry import load
from torchduet.suites.transformers import collating, encoders, finetuning, finetuning_head, tokenizers
from torchduet.suites.transformers import encoder_batches as batches
from torchduet.suites.workload import MODES, Workload

for _family in ("bert", "distilbert"):  # their imports change the filters of warnings, so they are no test's
    pytest.importorskip(f"transformers.models.{_family}.modeling_{_family}")


CPU = torch.device("cpu")
PARTS = (encoders, collating, finetuning, finetuning_head, tokenizers)
WORKLOADS = [pytest.param(w, id=name) for theme in PARTS for name, w in theme.suite.workloads.items()]
SEQUENCES = [torch.tensor(tokens) for tokens in ([11, 12, 13], [14], [15, 16, 17, 18, 19], [20, 21])]


def parameters(model: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in model.parameters())


def test_real_sizes_are_those_of_the_published_models() -> None:
    with torch.device("meta"):
        assert parameters(encoders.encoder("distilbert")) == 66_362_880
        assert parameters(encoders.encoder("bert-base")) == 108_891_648  # 110 million with its pooler


def test_both_attentions_have_the_same_tensors_and_differ_in_their_configuration_alone() -> None:
    by_hand, fused, _ = encoders.models_and_tokens(CPU, "small", 2, 8)
    assert all(a is b for a, b in zip(by_hand.parameters(), fused.parameters(), strict=True))
    assert [model.config._attn_implementation for model in (by_hand, fused)] == ["eager", "sdpa"]


def test_every_layout_holds_every_token_once_in_order() -> None:
    expected = torch.cat(SEQUENCES)
    for layout in (
        batches.padded(SEQUENCES, 5),
        batches.padded(SEQUENCES, 8),
        batches.bucketed(SEQUENCES, batches.buckets_of(SEQUENCES)),
        batches.packed(SEQUENCES),
    ):
        ids = torch.cat([batch.input_ids.flatten() for batch in layout.batches])
        assert torch.equal(ids[layout.indices], expected)
        if layout.batches[0].attention_mask.ndim == 2:
            seen = torch.cat([batch.attention_mask.flatten() for batch in layout.batches])
            assert int(seen.sum()) == len(expected) == int(seen[layout.indices].sum())


def test_packed_sequences_see_themselves_only_and_begin_at_position_zero() -> None:
    (row,) = batches.packed(SEQUENCES).batches
    assert row.position_ids is not None
    assert row.position_ids.tolist() == [[0, 1, 2, 0, 0, 1, 2, 3, 4, 0, 1]]
    assert row.attention_mask[0, 0].sum(dim=1).tolist() == [3, 3, 3, 1, 5, 5, 5, 5, 5, 2, 2]


@pytest.mark.parametrize("name", ["longest", "power_of_two", "max_length", "bucketed", "packed"])
def test_a_token_gets_what_its_sequence_alone_gives_it(name: str) -> None:
    torch.manual_seed(0)
    model, *layouts = encoders.model_and_layouts(CPU, "small", 6, 64)
    model = model.double()
    longest = layouts[0]
    (batch,) = longest.batches
    alone = [
        encoders.encode(model, batches.Batch(row[:length][None], seen[:length][None]))[0]
        for row, seen in zip(batch.input_ids, batch.attention_mask, strict=True)
        for length in [int(seen.sum())]
    ]
    inputs = (model, *layouts)
    result = encoders.of_tokens(inputs, encoders.PADDING[name](*inputs))
    torch.testing.assert_close(result, torch.cat(alone))


@pytest.mark.parametrize(("batch", "max_length"), [(16, 128), (64, 128), (16, 512), (64, 512)])
def test_the_three_paddings_are_three_lengths_at_every_size(batch: int, max_length: int) -> None:
    lengths = batches.lengths_of(batch, max_length)
    longest = max(lengths)
    assert len(lengths) == batch
    assert longest < batches.power_of_two(longest) < max_length
    assert len(batches.buckets_of([torch.zeros(length) for length in lengths])) >= 3


def test_costs_are_what_pytorch_counts() -> None:
    workload = load("transformers")[0].workloads["encode"]
    inputs = workload.inputs(CPU, model="small", batch=2, length=16)
    with FlopCounterMode(display=False) as counter:
        encoders.encode_by(0)(*inputs)
    assert encoders.encode_cost("small", 2, 16).flops == counter.get_total_flops()


def test_padding_is_not_counted_among_the_tokens() -> None:
    model, longest, *_ = encoders.model_and_layouts(CPU, "small", 16, 128)
    del model
    cost = encoders.padding_cost("small", 16, 128)
    assert cost.samples == len(longest.indices) < longest.batches[0].input_ids.numel()


@pytest.mark.parametrize("workload", WORKLOADS)
def test_the_throughput_is_in_tokens_at_every_size(workload: Workload) -> None:
    assert workload.cost is not None
    for size in (*workload.sizes("full"), *workload.sizes("full", "cuda")):
        cost = workload.cost(**size)
        assert cost.unit == "tokens"
        assert cost.samples


@pytest.mark.parametrize("workload", WORKLOADS)
def test_an_implementation_is_not_named_like_a_mode(workload: Workload) -> None:
    assert not workload.implementations.keys() & set(MODES)
