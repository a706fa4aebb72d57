"""Fine-tuning steps do what transformers' Trainer does, and a frozen encoder changes nothing for the head."""

from __future__ import annotations

import copy
import importlib
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from torchduet.bench.timing.callables import assemble
from torchduet.bench.timing.meter import Context
from torchduet.suites.transformers import collating, finetuning, finetuning_head
from torchduet.suites.workload import Workload

# Their imports change the filters of warnings, so they are no test's.
pytest.importorskip("transformers.models.distilbert.modeling_distilbert")
try:
    WITHOUT_TRAINER = not all(map(importlib.import_module, ("accelerate", "transformers.trainer")))
except ImportError:
    WITHOUT_TRAINER = True
needs_trainer = pytest.mark.skipif(WITHOUT_TRAINER, reason="the Trainer of transformers needs accelerate")

CPU = torch.device("cpu")
STEP, HEAD = finetuning.suite.workloads["fine_tune"], finetuning_head.suite.workloads["fine_tune_head"]
STEPS, BATCH = 3, 4


def sentences() -> list[dict[str, Any]]:
    """Twelve sentences of different lengths, as lists of numbers."""
    torch.manual_seed(1)
    listed, _ = collating.features(CPU, STEPS * BATCH, 64)
    return [*listed]


def classifier() -> Any:
    torch.manual_seed(0)
    return finetuning.classifier("small").double()


def call(workload: Workload, name: str, inputs: Sequence[Any], precision: str = "fp32") -> Any:
    """The result of an implementation."""
    return assemble(workload.implementations[name].function, precision, "cpu", Context())(*inputs)


@lru_cache(maxsize=1)
def stepped() -> dict[str, torch.Tensor]:
    """Parameters after three steps of the workload."""
    model, listed = classifier(), sentences()
    optimizer = finetuning.optimizer_of(model)
    collator = collating.features(CPU, BATCH, 64)[1]
    for start in range(0, len(listed), BATCH):
        batch = collating.by_collator(listed[start : start + BATCH], collator)
        call(STEP, "sdpa", (model, model, optimizer, batch, batch))
    return dict(model.named_parameters())


def trained(folder: Path, **changed: Any) -> dict[str, torch.Tensor]:
    """Parameters after the same three batches in the Trainer of transformers, with its own AdamW."""
    from transformers import Trainer, TrainingArguments

    class InOrder(Trainer):  # type: ignore[misc]
        def _get_train_sampler(self, *_: Any) -> Any:
            return torch.utils.data.SequentialSampler(self.train_dataset)

    settings = {
        "learning_rate": finetuning.LEARNING_RATE,
        "weight_decay": finetuning.WEIGHT_DECAY,
        "optim": "adamw_torch",
        "lr_scheduler_type": "constant",
        "max_grad_norm": 0.0,
        "per_device_train_batch_size": BATCH,
        "num_train_epochs": 1,
        "use_cpu": True,
        "report_to": [],
        "save_strategy": "no",
        "disable_tqdm": True,
    }
    model = classifier()
    arguments = TrainingArguments(output_dir=str(folder), **{**settings, **changed})
    trainer = InOrder(model, arguments, train_dataset=sentences(), data_collator=collating.features(CPU, BATCH, 64)[1])
    trainer.train()
    assert trainer.state.global_step == STEPS
    return dict(model.named_parameters())


def largest_difference(ours: dict[str, torch.Tensor], theirs: dict[str, torch.Tensor]) -> float:
    assert ours.keys() == theirs.keys()
    return max(float((ours[name] - theirs[name]).detach().abs().max()) for name in ours)


@needs_trainer
def test_three_steps_give_the_parameters_that_the_trainer_of_transformers_gives(tmp_path: Path) -> None:
    ours, before = stepped(), dict(classifier().named_parameters())
    assert largest_difference(ours, before) > finetuning.LEARNING_RATE
    assert largest_difference(ours, trained(tmp_path)) < 1e-12


@needs_trainer
@pytest.mark.parametrize("changed", [{"weight_decay": 0.0}, {"learning_rate": 4.9e-5}])
def test_the_comparison_with_the_trainer_sees_another_setting(tmp_path: Path, changed: dict[str, float]) -> None:
    assert largest_difference(stepped(), trained(tmp_path, **changed)) > 1e-10


def test_a_frozen_encoder_gets_no_gradients_and_the_head_trains_as_with_them() -> None:
    torch.manual_seed(0)
    inputs = finetuning_head.head_inputs(CPU, "small", 4, 32)
    whole, frozen = inputs[0], inputs[3]
    before = [parameter.clone() for parameter in whole.distilbert.parameters()]
    loss, _ = states = call(HEAD, "frozen", inputs)
    expected = finetuning_head.head_state(inputs, states)
    assert all(parameter.grad is None for parameter in frozen.distilbert.parameters())
    unused = finetuning_head.head_state(inputs, call(HEAD, "only_in_optimizer", inputs))
    assert all(parameter.grad is not None for parameter in whole.distilbert.parameters())
    for model in (whole, frozen):
        assert all(torch.equal(*pair) for pair in zip(model.distilbert.parameters(), before, strict=True))
    torch.testing.assert_close(unused, expected)
    assert float(loss) > 0


def test_costs_are_what_pytorch_counts() -> None:
    torch.manual_seed(0)
    batch, max_length = 1, 64  # one sentence has no padding
    inputs = finetuning.step_inputs(CPU, "small", batch, max_length)
    with FlopCounterMode(display=False) as counter:
        call(STEP, "eager_attention", inputs)
    assert finetuning.step_cost("small", batch, max_length).flops == counter.get_total_flops()
    inputs = finetuning_head.head_inputs(CPU, "small", batch, max_length)
    with FlopCounterMode(display=False) as counter:
        call(HEAD, "frozen", inputs)
    stated = finetuning_head.head_cost("small", batch, max_length).flops
    assert stated is not None
    assert stated == pytest.approx(counter.get_total_flops(), rel=0.1)  # fused attention may be counted or not


def test_the_loss_falls_over_repeated_steps() -> None:
    torch.manual_seed(0)
    inputs = finetuning.step_inputs(CPU, "small", 4, 32)
    first = float(call(STEP, "sdpa", inputs))
    for _ in range(5):
        last = float(call(STEP, "sdpa", inputs))
    assert last < first


@pytest.mark.parametrize("workload", [STEP, HEAD])
def test_in_fp16_a_step_scales_its_loss_and_not_its_gradients(workload: Workload) -> None:
    assert "fp16" in workload.precisions.of("cuda").up_to("full")
    assert workload.observe is not None
    torch.manual_seed(0)
    inputs = workload.inputs(CPU, model="small", batch=4, max_length=32)
    name = next(iter(workload.implementations))
    results = []
    for precision in ("fp32", "fp16"):
        copies = copy.deepcopy(inputs)  # the step changes the parameters
        results.append(workload.observe(copies, call(workload, name, copies, precision)))
    expected, actual = results
    for value, result in expected.items():
        torch.testing.assert_close(actual[value].norm(), result.norm(), rtol=0.01, atol=0, msg=value)
    assert actual["loss"] != expected["loss"]  # it was computed in fp16


def test_both_collators_give_the_same_batch_with_padding_after_each_sentence() -> None:
    torch.manual_seed(0)
    listed, collator = collating.features(CPU, 8, 128)
    ours, theirs = collating.by_pad_sequence(listed, collator), collating.by_collator(listed, collator)
    assert ours.keys() == theirs.keys() == {"input_ids", "attention_mask", "labels"}
    for name, value in ours.items():
        assert torch.equal(value, theirs[name])
    lengths = torch.tensor([len(feature["input_ids"]) for feature in listed])
    assert torch.equal(theirs["attention_mask"].sum(dim=1), lengths)
    assert theirs["input_ids"].shape[1] == lengths.max()
