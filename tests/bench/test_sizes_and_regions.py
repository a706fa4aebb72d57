"""Several sizes in turn, whose recompilations are those of torch's own log; and blocks that are compiled alone.

Dynamo compiles here for the backend "eager": what it compiles, and when, does not depend on the backend.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from tests.bench.workloads import sizes as workloads
from torchduet.bench.cases.case import Case, Family
from torchduet.bench.cases.exchange import CaseResult, Task
from torchduet.bench.timing.compiling.regions import IN_BLOCK, CompiledRegions, repeated_blocks
from torchduet.bench.timing.compiling.sizes import PROPAGATED, EachSize, forget_dynamic_sizes, size_of
from torchduet.bench.workers.visit import measure

FILE = str(workloads.__file__)
LOGGER = "torch._dynamo.guards.__recompiles"
RECOMPILING = "Recompiling function"


@pytest.fixture(autouse=True)
def quick_compiler(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    torch._dynamo.reset()
    monkeypatch.setattr(torch, "compile", partial(torch.compile, backend="eager"))
    for name in ("TORCHINDUCTOR_CACHE_DIR", "TRITON_CACHE_DIR"):
        monkeypatch.setenv(name, str(tmp_path / name))
    yield
    torch._dynamo.reset()


@pytest.fixture
def logged() -> Iterator[list[str]]:
    """What torch logs of recompilations, as with TORCH_LOGS=recompiles."""
    messages: list[str] = []

    class Keeping(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            messages.append(record.getMessage())

    handler = Keeping()
    torch._logging.set_logs(recompiles=True)
    logging.getLogger(LOGGER).addHandler(handler)
    yield messages
    logging.getLogger(LOGGER).removeHandler(handler)
    torch._logging.set_logs()


def run(tmp_path: Path, workload: str, *modes: str) -> list[CaseResult]:
    cases = tuple(Case(FILE, "sizes", workload, "", (), workload, True, "cpu", mode, "fp32") for mode in modes)
    return measure(Task(Family(cases, cases), 0.2, 1, str(tmp_path)), lambda *_: None).results


def recompilations(result: CaseResult) -> int:
    assert result.error is None
    assert result.compile is not None
    return result.compile["sizes"]["recompilations"]


@pytest.mark.parametrize("mode", ["compile", "compile-dynamic", "compile-static", "compile-model"])
@pytest.mark.parametrize("workload", ["few", "many"])
def test_the_recompilations_are_those_of_torchs_own_log(
    tmp_path: Path, workload: str, mode: str, logged: list[str]
) -> None:
    (result,) = run(tmp_path, workload, mode)
    assert recompilations(result) == sum(RECOMPILING in message for message in logged)
    assert result.blocks, "a timed part that compiles anything fails"


def test_each_size_says_what_its_first_call_took_and_compiled(tmp_path: Path) -> None:
    eager, automatic, dynamic, static = run(tmp_path, "few", "eager", "compile", "compile-dynamic", "compile-static")
    assert eager.compile is None
    assert [recompilations(result) for result in (automatic, dynamic, static)] == [2, 1, 3]  # 4, 6, 7 rows, and 1
    assert automatic.compile is not None
    record = automatic.compile["sizes"]
    assert [size["size"] for size in record["sizes"]] == ["4×8", "6×8", "7×8", "1×8"]
    assert [size["compilations"] for size in record["sizes"]] == [1, 1, 0, 1]
    assert "size mismatch" in record["sizes"][1]["reason"]
    assert all(size["seconds"] > 0 for size in record["sizes"])
    assert not any("eager" in size for size in record["sizes"])
    assert "limit" not in record
    assert automatic.first_call is not None
    assert sum(size["seconds"] for size in record["sizes"]) <= automatic.first_call["seconds"]


def test_sizes_beyond_the_recompile_limit_run_eagerly_and_the_record_says_so(tmp_path: Path) -> None:
    (result,) = run(tmp_path, "many", "compile-static")
    assert result.compile is not None
    record, limit = result.compile["sizes"], torch._dynamo.config.recompile_limit
    assert record["limit"] == limit
    assert [size.get("eager", False) for size in record["sizes"]] == [False] * limit + [True] * (12 - limit)
    (note,) = [note for note in result.notes if "eagerly" in note]
    assert f"{12 - limit} of its 12 sizes run eagerly" in note
    assert f"after compiling one function {limit} times" in note
    assert f"{limit + 2}×8" in note


def test_a_function_is_called_with_each_item() -> None:
    each = EachSize(lambda a, x, b: a + x + b, 1)
    assert each(100, [1, 2], 10) == [111, 112]
    with each.watched(lambda: None) as records:
        each(100, [torch.ones(2), torch.ones(3, 4)], 10)
    assert [record["size"] for record in records] == ["2", "3×4"]
    assert size_of({"a": torch.ones(2), "b": torch.tensor(1)}) == "2, a number"
    assert size_of("text") == "str"


def test_tensors_forget_what_another_case_has_marked_as_dynamic() -> None:
    inputs = ([torch.ones(2)], torch.ones(3))
    setattr(inputs[0][0], PROPAGATED, {0})
    forget_dynamic_sizes(inputs)
    assert not hasattr(inputs[0][0], PROPAGATED)


def test_the_repeated_blocks_of_a_module() -> None:
    net, _ = workloads.stack(torch.device("cpu"))
    assert repeated_blocks(net) == [*net[1]]
    assert repeated_blocks(nn.Sequential(nn.Linear(1, 1), nn.ReLU(), nn.Linear(1, 1))) == []
    layers = nn.TransformerEncoder(nn.TransformerEncoderLayer(8, 1, 8, batch_first=True), 2, enable_nested_tensor=False)
    assert repeated_blocks(layers) == [*layers.layers]
    assert repeated_blocks(nn.ModuleList([net, layers])) == [*net[1], *layers.layers]
    shared = workloads.Block()
    assert repeated_blocks(nn.Sequential(shared, shared, workloads.Block()))[0] is shared


def test_one_block_is_compiled_and_the_others_run_its_code() -> None:
    net, x = workloads.stack(torch.device("cpu"))
    stand_in = CompiledRegions(net)
    assert stand_in.blocks == 5
    with torch.no_grad():
        expected = net(x)
        torch._dynamo.utils.clear_compilation_metrics()
        torch.testing.assert_close(stand_in(x), expected)
        compiled = [one.compile_id for one in torch._dynamo.utils.get_compilation_metrics()]
        assert len(compiled) == 1
        other, _ = workloads.stack(torch.device("cpu"))
        torch.testing.assert_close(stand_in.of(other)(x), other(x))
    assert len(torch._dynamo.utils.get_compilation_metrics()) == 1
    assert not any(IN_BLOCK in vars(block) for block in (*net.modules(), *other.modules()))
    assert stand_in.training is net.training


def test_a_block_that_raises_leaves_the_module_as_it_was() -> None:
    net, _ = workloads.stack(torch.device("cpu"))
    with pytest.raises(Exception, match=r"size|shape"):
        CompiledRegions(net)(torch.ones(4, 9))
    assert not any(IN_BLOCK in vars(block) for block in net.modules())


def test_regions_are_checked_and_timed_beside_the_whole(tmp_path: Path) -> None:
    results = run(tmp_path, "blocks", "eager", "compile-model", "compile-regions")
    assert [(result.error, result.skip) for result in results] == [(None, None)] * 3
    whole, regions = (result.compile for result in results[1:])
    assert whole is not None
    assert regions is not None
    assert (whole["graphs"], regions["graphs"]) == (1, 1)
    assert results[2].blocks


def test_a_module_without_repeated_blocks_is_skipped_with_the_reason(tmp_path: Path) -> None:
    eager, regions = run(tmp_path, "single", "eager", "compile-regions")
    assert eager.error is None
    assert str(regions.skip).startswith("its modules have no repeated block: mode compile-regions compiles")


def test_a_mode_of_a_function_without_modules_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "suite.py"
    file.write_text(
        "import torch\nfrom torchduet import Suite\nsuite = Suite('s')\n"
        "@suite.workload(inputs=lambda device: (torch.ones(2),), modes=['eager', 'compile-regions'])\n"
        "def w(x):\n    return x + 1\n"
    )
    cases = tuple(
        Case(str(file), "s", "w", "", (), "w", True, "cpu", mode, "fp32") for mode in ("eager", "compile-regions")
    )
    results: list[Any] = measure(Task(Family(cases, cases), 0.1, 1, str(tmp_path)), lambda *_: None).results
    assert "mode compile-regions needs an nn.Module among the inputs" in str(results[1].error)
