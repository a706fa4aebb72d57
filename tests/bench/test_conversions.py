"""A case's inputs under its settings: laid out as it asks, the family's own untouched, and moved like these."""

from __future__ import annotations

import json
import random
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn

from tests.bench.test_run import pytest_bench
from torchduet.bench.cases.case import Case
from torchduet.bench.inputs.placements import Placements
from torchduet.bench.record.schema import KEY
from torchduet.bench.timing.conversions import CONVERSIONS, converted
from torchduet.reports.findings.advice import answers
from torchduet.reports.read.run_file import from_json
from torchduet.reports.tables.frames import frames
from torchduet.suites.workload import SuiteError

PLAIN = Case("s", "s", "w", "", (), "w", True, "cpu", "eager", "fp32")
TURNED = replace(PLAIN, other_settings=(("memory_format", "channels_last"),))
LAST = torch.channels_last
SUITE = """
import torch
from torch import nn
from torchduet import Suite

suite = Suite("pictures")


def inputs(device):
    return nn.Conv2d(3, 4, 3).to(device), torch.randn(2, 3, 16, 16, device=device)


@suite.workload(inputs=inputs, modes=["eager", "compile-model"],
                knobs={"memory_format": ["contiguous", "channels_last"]})
def convolved(model, x):
    with torch.no_grad():
        return model(x)

"""


def parts() -> tuple[nn.Module, torch.optim.Optimizer, torch.Tensor, torch.Tensor]:
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten(), nn.Linear(4 * 6 * 6, 2))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    x = torch.randn(2, 3, 8, 8)
    model(x).sum().backward()
    optimizer.step()
    return model, optimizer, x, torch.randint(2, (2,))


def in_format(tensor: torch.Tensor, memory_format: torch.memory_format) -> bool:
    return tensor.is_contiguous(memory_format=memory_format)


def test_weights_inputs_and_moments_are_laid_out_in_a_copy() -> None:
    own = parts()
    model, optimizer, x, y = converted(own, TURNED)
    weight = model[0].weight
    for tensor in (x, weight, optimizer.state[weight]["momentum_buffer"]):
        assert in_format(tensor, LAST)
        assert not in_format(tensor, torch.contiguous_format)
    assert torch.equal(model[2].weight, own[0][2].weight)  # type: ignore[index]
    assert torch.equal(y, own[3])
    assert torch.equal(x, own[2])
    for tensor in (own[2], own[0][0].weight):  # type: ignore[index]
        assert in_format(tensor, torch.contiguous_format)
    assert optimizer.param_groups[0]["params"][0] is weight


def test_inputs_that_no_setting_changes_are_the_familys_own() -> None:
    own = parts()
    assert all(one is other for one, other in zip(converted(own, PLAIN), own, strict=True))


def test_fresh_memory_keeps_the_layout_and_the_values() -> None:
    own = parts()
    laid_out = converted(own, TURNED)
    placements = Placements(own, random.Random(0))
    placements.add(laid_out)
    before = laid_out[2].data_ptr()
    laid_out[2].add_(1)
    placements.fresh()
    assert laid_out[2].data_ptr() != before
    assert in_format(laid_out[2], LAST)
    assert in_format(laid_out[0][0].weight, LAST)
    assert torch.equal(laid_out[2], own[2])


def test_inputs_without_four_dimensions_are_refused() -> None:
    with pytest.raises(SuiteError, match="none of its inputs has four dimensions"):
        converted((torch.ones(3), nn.Linear(2, 2)), TURNED)


def test_every_knob_without_a_rule_of_its_own_is_applied() -> None:
    from torchduet.bench.cases.knobs import RULES
    from torchduet.bench.record.knobs import BY_NAME

    assert set(CONVERSIONS) == BY_NAME.keys() - set(RULES)


def test_it_is_measured_eager_and_compiled_from_the_option_to_the_answer(tmp_path: Path) -> None:
    (tmp_path / "pictures.py").write_text(SUITE)
    run = tmp_path / "run.json"
    options = ("--budget", "20s", "--threads", "1", "--when-busy", "go", "--memory-format", "contiguous,channels_last")
    done = pytest_bench("--suite", str(tmp_path / "pictures.py"), *options, "--benchmark-json", str(run))
    document = json.loads(run.read_text())
    records = {one["extra_info"][KEY]["case"]["id"]: one for one in document["benchmarks"]}
    ids = [
        f"pictures.convolved cpu {mode} fp32{end}"
        for mode in ("eager", "compile-model")
        for end in ("", " channels_last")
    ]
    assert set(records) == set(ids), done.stdout + done.stderr
    assert "memory_format" not in records[ids[0]]["params"]
    assert records[ids[1]]["params"]["memory_format"] == "channels_last"
    assert document[KEY]["options"]["memory_format"] == "contiguous,channels_last"
    knobs = [one["knob"] for one in records[ids[3]]["extra_info"][KEY]["speedups"]]
    assert knobs == ["reference", "mode", "memory_format"]
    found = answers(frames(from_json(document)).comparisons)
    assert "`channels_last`" in [answer.title for answer in found]
