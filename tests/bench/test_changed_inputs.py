"""Calls are given the inputs that they are meant to have: put back, made anew, or refused with the reason."""

import itertools
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader

from torchduet import Suite
from torchduet.bench.cases.case import Family, cases_of, group
from torchduet.bench.cases.exchange import CaseResult, Task
from torchduet.bench.inputs.placements import Placements
from torchduet.bench.inputs.restoring import PutBack
from torchduet.bench.inputs.variables import OpaqueContents
from torchduet.bench.timing import first_calls
from torchduet.bench.workers.visit import measure
from torchduet.suites.registry import load

CHANGING = str(Path(__file__).parent / "workloads" / "changing.py")
NUMBERS = [3.0, 1.0, 2.0]


def families(source: str, suite: Suite) -> list[Family]:
    return group(cases_of(source, suite, tier="quick", devices=["cpu"]))


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., list[CaseResult]]:
    """Measures one workload, described as for ``suite.compare``; returns the results of its cases."""

    def run(implementations: dict[str, Any], inputs: Any, **details: Any) -> list[CaseResult]:
        suite = Suite("own")
        workload = suite.compare("w", implementations, inputs=inputs, **({"modes": ("eager",)} | details))
        monkeypatch.setattr(first_calls, "workload_of", lambda _: workload)
        (family,) = families(CHANGING, suite)
        return measure(Task(family, 0.1, 1, str(tmp_path)), lambda *_: None).results

    return run


@pytest.mark.parametrize("family", families(CHANGING, load(CHANGING)[0]), ids=lambda family: family.reference.workload)
def test_every_call_is_given_what_inputs_returned(family: Family, tmp_path: Path) -> None:
    """Each of these fails on inputs that an earlier call has changed."""
    (result,) = measure(Task(family, 0.1, 1, str(tmp_path)), lambda *_: None).results
    assert result.error is None
    assert result.blocks
    assert any("a call changes its input" in note for note in result.notes)


def test_the_other_side_is_given_them_too(run: Callable[..., list[CaseResult]]) -> None:
    def in_order(values: list[float]) -> Tensor:
        assert values == NUMBERS
        return torch.tensor(sorted(values)[0])

    def in_place(values: list[float]) -> Tensor:
        assert values == NUMBERS
        values.sort()
        return torch.tensor(values[0])

    copy, changes = run({"copy": in_order, "in_place": in_place}, lambda _: (list(NUMBERS),))
    assert copy.error is changes.error is None
    assert copy.calls == changes.calls == 1  # each call of either begins with unsorted numbers
    assert not copy.notes
    assert changes.notes == ["a call changes its input values; put back, untimed, before every call of this family"]


def test_a_compiled_call_is_given_them_too(run: Callable[..., list[CaseResult]]) -> None:
    def in_place(x: Tensor) -> Tensor:
        return x.mul_(2).sum()

    eager, compiled = run({"w": in_place}, lambda _: (torch.ones(64),), modes=("eager", "compile"))
    assert eager.error is compiled.error is None
    for result in (eager, compiled):
        assert any("its input x;" in note for note in result.notes)


def endless() -> Iterator[int]:
    yield from itertools.count()


@pytest.mark.parametrize(
    "make",
    [
        lambda: iter([1, 2]),
        lambda: (number for number in range(3)),
        lambda: map(str, [1]),
        lambda: zip([1], [2], strict=True),
        lambda: {"rows": iter([1])},
        lambda: [[enumerate([1])]],
        lambda: iter(DataLoader([1, 2])),
        endless,
    ],
)
def test_an_iterator_is_refused_with_what_to_do(make: Callable[[], Any], run: Callable[..., list[CaseResult]]) -> None:
    (result,) = run({"w": lambda rows: torch.ones(len(rows))}, lambda _: (make(),))
    assert result.error is not None
    assert "rows" in result.error
    assert "is an iterator" in result.error
    assert "fresh=True" in result.error


def test_fresh_inputs_are_made_for_every_call_and_are_the_same_for_all_cases(
    run: Callable[..., list[CaseResult]],
) -> None:
    seen: dict[str, list[float]] = {"a": [], "b": []}

    def total(name: str) -> Callable[[Iterator[Tensor]], Tensor]:
        def call(rows: Iterator[Tensor]) -> Tensor:
            rows = list(rows)
            assert len(rows) == 3, "used up"
            seen[name].append(float(rows[0][0]))
            return torch.stack(rows).sum()

        return call

    results = run(
        {"a": total("a"), "b": total("b")},
        lambda _: (iter(list(torch.randn(3, 4))),),
        fresh=True,
        deterministic=False,
    )
    assert [result.error for result in results] == [None, None]
    assert len(set(seen["a"])) > 10  # other values for each call
    assert len(set(seen["a"]) & set(seen["b"])) > 10


def test_what_is_observed_of_a_call_with_fresh_inputs_is_observed_with_these(
    run: Callable[..., list[CaseResult]],
) -> None:
    def doubled(inputs: tuple[Tensor], result: Tensor) -> Tensor:
        assert torch.equal(2 * inputs[0], result), "the result of other inputs"
        return result

    (result,) = run({"w": lambda x: 2 * x}, lambda _: (torch.randn(4),), fresh=True, observe=doubled)
    assert result.error is None


def test_fresh_inputs_are_not_compiled_again(run: Callable[..., list[CaseResult]]) -> None:
    def forward(model: nn.Module, x: Tensor) -> Tensor:
        return model(x)

    results = run(
        {"w": forward},
        lambda _: (nn.Linear(4, 2), torch.randn(3, 4)),
        modes=("eager", "compile-model", "compile"),
        fresh=True,
    )
    assert [result.error for result in results] == [None, None, None]


def test_training_changes_its_parameters_and_is_timed_as_before(run: Callable[..., list[CaseResult]]) -> None:
    def step(model: nn.Module, optimizer: torch.optim.Optimizer, x: Tensor) -> Tensor:
        optimizer.zero_grad()
        loss: Tensor = model(x).square().mean()
        loss.backward()
        optimizer.step()
        return loss.detach()

    def inputs(_: torch.device) -> tuple[Any, ...]:
        model = nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4))
        optimizer = torch.optim.Adam(model.parameters())
        return model, optimizer, torch.randn(8, 4)

    (result,) = run({"step": step}, inputs, deterministic=False)
    assert result.error is None
    assert not result.notes


def test_a_schedule_of_learning_rates_starts_again_at_every_placement() -> None:
    model = nn.Linear(2, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=1.0)
    schedule = torch.optim.lr_scheduler.StepLR(optimizer, 1)
    placements = Placements((model, optimizer, schedule), random.Random(0))
    for _ in range(3):
        optimizer.step()
        schedule.step()
    placements.fresh()
    assert optimizer.param_groups[0]["lr"] == 1.0
    assert schedule.last_epoch == 0


class Rotary(nn.Module):
    """Computes its table once, as rotary embeddings do, and a lazy layer."""

    def __init__(self) -> None:
        super().__init__()
        self.table: Tensor | None = None
        self.tables: dict[int, Tensor] = {}
        self.made = 0
        self.linear = nn.LazyLinear(2)

    def forward(self, x: Tensor) -> Tensor:
        if self.table is None:
            self.table = torch.arange(x.shape[-1], dtype=x.dtype)
            self.made = 1
        if x.shape[-1] not in self.tables:
            self.tables[x.shape[-1]] = torch.ones(x.shape[-1], dtype=x.dtype)
        return self.linear(x * self.table * self.tables[x.shape[-1]])


def test_what_is_computed_once_stays(run: Callable[..., list[CaseResult]]) -> None:
    models = []

    def inputs(_: torch.device) -> tuple[Any, ...]:
        models.append(Rotary())
        return models[-1], torch.randn(3, 4)

    (result,) = run({"w": lambda model, x: model(x)}, inputs, deterministic=False)
    assert result.error is None
    assert not result.notes
    assert models[-1].table is not None
    assert models[-1].table.tolist() == [0, 1, 2, 3]  # moved with its values


def test_an_output_buffer_is_scratch(run: Callable[..., list[CaseResult]]) -> None:
    def into(a: Tensor, out: Tensor) -> Tensor:
        return torch.add(a, 1, out=out)

    (restored,) = run({"w": into}, lambda _: (torch.ones(8), torch.zeros(8)))
    (scratch,) = run({"w": into}, lambda _: (torch.ones(8), torch.zeros(8)), scratch=("out",))
    assert restored.calls == 1
    assert scratch.calls > 1
    assert restored.notes
    assert not scratch.notes


@pytest.mark.parametrize("keyword", ["mutates", "scratch"])
def test_an_unknown_argument_is_named(keyword: str, run: Callable[..., list[CaseResult]]) -> None:
    (result,) = run({"w": lambda x, y: x + y}, lambda _: (torch.ones(1), torch.ones(1)), **{keyword: ("z",)})
    assert result.error == f"{keyword}= names 'z', which is no argument; the arguments are x, y"


def sometimes() -> tuple[dict[str, int], Callable[[list[float]], Tensor]]:
    """A function that sorts its input from the sixth call on."""
    count = {"calls": 0}

    def call(values: list[float]) -> Tensor:
        count["calls"] += 1
        if count["calls"] > 5:
            values.sort()
        return torch.tensor(min(values))

    return count, call


def test_a_later_change_is_said(run: Callable[..., list[CaseResult]]) -> None:
    (result,) = run({"w": sometimes()[1]}, lambda _: (list(NUMBERS),))
    assert "repeated calls do different work: its input values had changed" in result.notes[0]
    assert "mutates=" in result.notes[0]


def test_what_the_author_names_is_put_back(run: Callable[..., list[CaseResult]]) -> None:
    (result,) = run({"w": sometimes()[1]}, lambda _: (list(NUMBERS),), mutates=("values",))
    assert result.notes == ["a call changes its input values; put back, untimed, before every call of this family"]


def test_what_costs_too_much_to_put_back_is_said(
    run: Callable[..., list[CaseResult]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(PutBack, "decide", lambda self, _: setattr(self, "active", False))
    (result,) = run({"w": lambda x: x.add_(1)}, lambda _: (torch.zeros(4),))
    assert result.error is None
    assert "repeated calls do different work: a call changes its input x" in result.notes[0]


def test_putting_back_must_not_take_much_longer_than_the_call() -> None:
    put_back = PutBack(Placements((), random.Random(0)))
    put_back.active, put_back.seconds = True, 1.0
    assert put_back.decide(0.5)
    assert not put_back.decide(0.1)


def test_drawing_random_numbers_is_no_change(run: Callable[..., list[CaseResult]]) -> None:
    def draw(generator: torch.Generator, numbers: random.Random, array: np.random.Generator) -> Tensor:
        return torch.randint(99, (3,), generator=generator) + numbers.random() + array.random()

    (result,) = run(
        {"w": draw},
        lambda _: (torch.Generator().manual_seed(0), random.Random(0), np.random.default_rng(0)),
    )
    assert result.error is None  # each check began with the same numbers
    assert not result.notes


def test_a_change_outside_the_inputs_is_said(run: Callable[..., list[CaseResult]]) -> None:
    data, cache = list(NUMBERS), dict[str, float]()

    def helper() -> float:
        return data[0]

    def in_place(x: Tensor) -> Tensor:
        data.sort()
        cache["once"] = 1.0
        return x + helper() - data[0]

    def reads(x: Tensor) -> Tensor:
        return x + len(data) - len(data)

    changes, honest = run({"in_place": in_place, "reads": reads}, lambda _: (torch.ones(3),))
    assert changes.notes == [
        "repeated calls may do different work: a call changes data, which is no input and is not put back; "
        "return it from inputs="
    ]
    assert not honest.notes


def test_a_move_to_shared_memory_is_no_change() -> None:
    """Handing a tensor to a worker process does that."""
    x = torch.randn(8)
    placements = Placements((x,), random.Random(0))
    x.share_memory_()
    assert not placements.changes()
    x[0] += 1
    assert placements.changes().tensors


def test_a_tensor_that_a_module_derives_in_each_call_is_no_change(run: Callable[..., list[CaseResult]]) -> None:
    (result,) = run(
        {"w": lambda model, x: model.eval()(x)},
        lambda _: (nn.utils.weight_norm(nn.Linear(4, 2)), torch.randn(3, 4)),
    )
    assert result.error is None
    assert not result.notes


def test_a_schedule_that_ends_is_put_back_before_every_call(run: Callable[..., list[CaseResult]]) -> None:
    def step(model: nn.Module, optimizer: torch.optim.Optimizer, schedule: Any, x: Tensor) -> Tensor:
        assert schedule.last_epoch == 0
        loss: Tensor = model(x).square().mean()
        loss.backward()
        optimizer.step()
        schedule.step()
        return loss.detach()

    def inputs(_: torch.device) -> tuple[Any, ...]:
        model = nn.Linear(4, 4)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        return model, optimizer, torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.1, total_steps=3), torch.randn(8, 4)

    (result,) = run({"step": step}, inputs)
    assert result.error is None
    assert result.notes == ["a call changes its input schedule; put back, untimed, before every call of this family"]


def test_a_table_that_a_call_changes_is_said(run: Callable[..., list[CaseResult]]) -> None:
    def in_place(table: pd.DataFrame) -> Tensor:
        table.sort_values("a", inplace=True)
        return torch.tensor(table["a"].to_numpy()[0])

    def copied(table: pd.DataFrame) -> Tensor:
        return torch.tensor(table.sort_values("a")["a"].to_numpy()[0])

    honest, changes = run({"copied": copied, "in_place": in_place}, lambda _: (pd.DataFrame({"a": NUMBERS}),))
    assert not honest.notes
    assert "a call changes its input table, and the contents of a DataFrame cannot be put back" in changes.notes[0]
    assert "fresh=True" in changes.notes[0]


def table_with_tensor() -> pd.DataFrame:
    """An object of an installed package that holds a tensor."""
    table = pd.DataFrame({"a": NUMBERS})
    table.attrs["weights"] = torch.ones(3)
    return table


def test_a_tensor_within_a_table_is_put_back_and_its_values_are_not_pickled(
    run: Callable[..., list[CaseResult]], monkeypatch: pytest.MonkeyPatch
) -> None:
    def in_place(table: pd.DataFrame) -> Tensor:
        return table.attrs["weights"].mul_(2).sum()

    (result,) = run({"in_place": in_place}, lambda _: (table_with_tensor(),))
    assert result.error is None  # each check began with the same values
    assert result.notes == ["a call changes its input table; put back, untimed, before every call of this family"]

    def refuse(*_: Any) -> Any:
        raise AssertionError("pickled")

    monkeypatch.setattr(Tensor, "__reduce_ex__", refuse)
    assert OpaqueContents.of(table_with_tensor()) is not None


def test_a_tensor_that_replaces_one_within_a_table_is_a_change_if_its_values_differ(
    run: Callable[..., list[CaseResult]],
) -> None:
    def same_values(table: pd.DataFrame) -> Tensor:
        table.attrs["weights"] = table.attrs["weights"].clone()
        return table.attrs["weights"].sum()

    def other_values(table: pd.DataFrame) -> Tensor:
        weights = table.attrs["weights"]
        table.attrs["weights"] = weights + 1
        return torch.full((), 3.0)

    same, other = run({"same": same_values, "other": other_values}, lambda _: (table_with_tensor(),))
    assert not same.notes
    assert "a call changes its input table, and the contents of a DataFrame cannot be put back" in other.notes[0]


def test_what_a_table_holds_twice_is_told_from_two_of_the_same_values() -> None:
    table = table_with_tensor()
    table.attrs["again"] = table.attrs["weights"]
    shared = OpaqueContents.of(table)
    assert shared is not None
    assert shared.equals(OpaqueContents.of(table))
    table.attrs["again"] = torch.ones(3)
    assert not shared.equals(OpaqueContents.of(table))


def test_a_parameter_within_a_table_is_compared_though_training_changes_it() -> None:
    table = table_with_tensor()
    table.attrs["weights"] = nn.Parameter(torch.ones(3))
    before = OpaqueContents.of(table)
    assert before is not None
    with torch.no_grad():
        table.attrs["weights"] += 1
    assert not before.equals(OpaqueContents.of(table))


def test_a_table_whose_contents_do_not_matter_is_not_watched(run: Callable[..., list[CaseResult]]) -> None:
    def in_place(table: pd.DataFrame) -> Tensor:
        table.sort_values("a", inplace=True)
        return torch.tensor(table["a"].to_numpy()[0])

    (changes,) = run({"in_place": in_place}, lambda _: (pd.DataFrame({"a": NUMBERS}),), scratch=("table",))
    assert not changes.notes


def test_an_optimiser_that_evaluates_several_times_is_copied_whole(run: Callable[..., list[CaseResult]]) -> None:
    def step(model: nn.Module, optimizer: torch.optim.LBFGS, x: Tensor) -> Tensor:
        def closure() -> Tensor:
            optimizer.zero_grad()
            loss: Tensor = model(x).square().mean()
            loss.backward()
            return loss

        return optimizer.step(closure).detach()

    def inputs(_: torch.device) -> tuple[Any, ...]:
        model = nn.Linear(4, 4)
        return model, torch.optim.LBFGS(model.parameters()), torch.randn(8, 4)

    (result,) = run({"step": step}, inputs)
    assert result.error is None


def test_what_is_kept_leaves_the_first_settings_of_an_optimiser() -> None:
    """A table that was filled in the first step must not make that step's rate of learning the original one."""
    model = Rotary()
    model(torch.randn(3, 4))
    model.table = None
    optimizer = torch.optim.SGD(model.parameters(), lr=1.0)
    schedule = torch.optim.lr_scheduler.StepLR(optimizer, 1)
    placements = Placements((model, optimizer, schedule), random.Random(0))
    model(torch.randn(3, 4)).sum().backward()
    optimizer.step()
    schedule.step()
    placements.keep(placements.changes())
    placements.restore()
    assert optimizer.param_groups[0]["lr"] == 1.0
