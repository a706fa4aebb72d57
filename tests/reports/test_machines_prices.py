"""Prices of machines: how they are read and matched, what a call costs, and what a joule does."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.reports.on_machines import EPYC, WORK, XEON, epyc, h200, xeon
from torchduet.reports.machines.columns import columns
from torchduet.reports.machines.comparison import comparison
from torchduet.reports.machines.prices import Prices, per_million, prices_of
from torchduet.reports.machines.sentences import answers
from torchduet.reports.machines.tables import tables
from torchduet.reports.read.pyproject import PyprojectError


def written(folder: Path, text: str) -> Path:
    path = folder / "pyproject.toml"
    path.write_text(text, "utf-8")
    return path


def test_prices_are_numbers_by_name_and_a_currency(tmp_path: Path) -> None:
    path = written(tmp_path, '[tool.torchduet.prices]\n"NVIDIA H200" = 3.5\n0a1b2c3d = 1\ncurrency = "EUR"\n')
    assert prices_of(path) == Prices({"NVIDIA H200": 3.5, "0a1b2c3d": 1.0}, "EUR", str(path))
    assert prices_of(written(tmp_path, "[tool.other]\n")) == Prices(file=str(path))


@pytest.mark.parametrize(
    ("line", "key", "got"),
    [
        ('"A100" = -1', '"A100"', "-1"),
        ('"A100" = 0', '"A100"', "0"),
        ('"A100" = nan', '"A100"', "nan"),
        ('"A100" = inf', '"A100"', "inf"),
        ('"A100" = 1e300', '"A100"', "a number beyond 1e+100"),
        ('"A100" = true', '"A100"', "true"),
        ('"A100" = "3.50 EUR"', '"A100"', "'3.50 EUR'"),
        ('"A100" = [1]', '"A100"', "a list of 1"),
        ("A100.hour = 1", '"A100"', "a table"),
        (f'"A100" = {"9" * 400}', '"A100"', "a number beyond 64 bits"),
        ('"" = 1', '""', "is empty"),
        ("currency = 3", "currency", "got 3"),
        (f'currency = "{"€" * 30}"', "currency", "expected a short text"),
    ],
)
def test_a_bad_price_is_one_line_with_file_and_key(line: str, key: str, got: str, tmp_path: Path) -> None:
    path = written(tmp_path, f"[tool.torchduet.prices]\n{line}\n")
    with pytest.raises(PyprojectError) as error:
        prices_of(path)
    assert str(error.value).startswith(f"{path}: tool.torchduet.prices.{key}: ")
    assert got in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("text", ["[tool]\ntorchduet = 3", "[tool.torchduet]\nprices = 3", "[tool", "\x00"])
def test_a_file_without_such_a_table_is_one_line(text: str, tmp_path: Path) -> None:
    with pytest.raises(PyprojectError, match=r"pyproject\.toml: "):
        prices_of(written(tmp_path, text))


@pytest.mark.parametrize(
    ("name", "matches"),
    [
        ("NVIDIA H200", [False, False, True]),
        ("h200", [False, False, True]),
        ("H20", [False, False, False]),
        (EPYC, [True, False, False]),  # never the CPU beside a GPU
        ("AMD EPYC", [True, False, False]),
        ("Intel Xeon", [False, True, False]),
        (XEON, [False, True, False]),
        ("X", [False, False, False]),
    ],
)
def test_a_price_is_of_whole_words_of_a_gpu_or_else_of_a_cpu(name: str, matches: list[bool]) -> None:
    found = columns([epyc(), xeon(), h200()])
    prices = Prices({name: 2.0})
    assert [prices.of(column) is not None for column in found] == matches
    assert prices.unused(found) == ([] if any(matches) else [name])


def test_the_key_comes_before_a_name_and_a_longer_name_before_a_shorter() -> None:
    (column,) = columns([h200()])
    assert Prices({"NVIDIA": 1.0, "NVIDIA H200": 2.0, "H200": 3.0}).of(column) == 2.0
    assert Prices({"NVIDIA H200": 2.0, column.machine.key: 4.0}).of(column) == 4.0
    assert Prices({"NVIDIA H200": 2.0, column.machine.key.upper(): 4.0}).of(column) == 4.0


@given(st.floats(1e-9, 1e9), st.floats(1e-12, 1e6))
def test_a_million_calls_cost_their_share_of_the_hours(price: float, seconds: float) -> None:
    assert per_million(price, seconds) == pytest.approx(price * (seconds * 1e6 / 3600))


def test_the_slower_machine_may_cost_less() -> None:
    of = comparison([epyc(), xeon()], Prices({"EPYC": 0.2, "Xeon": 0.1}, "EUR"))
    assert of.time.wins == (len(of.rows), 0)
    assert of.cost
    assert of.cost.wins == (0, len(of.rows))
    assert of.work_per_price(1) == pytest.approx(2 / 1.3)
    (answer,) = [one for one in answers(of) if one.title == "Costs least"]
    assert answer.sentences == (f"Intel Xeon costs least in {len(of.rows)} of {len(of.rows)} cases.",)
    (table,) = [one for one in tables(of) if one.key == "cost"]
    entry = next(entry for entry in table.entries if entry.name == WORK)
    assert [cell.kind for cell in entry.cells] == ["", "best"]
    assert entry.cells[1].below == "1.54×"
    time = of.rows[0].time(0)
    assert time
    assert table.entries[0].cells[0].value == pytest.approx(0.2 / 3600 * time.seconds * 1e6)
    assert all(cell.text.endswith(" EUR") for cell in entry.cells)


def test_a_machine_without_a_price_has_no_cost_and_is_named() -> None:
    of = comparison([epyc(), xeon()], Prices({"EPYC": 0.2, "TPU": 4.0, "M4": 1.0}, "EUR", "/some/folder/p.toml"))
    assert of.cost
    assert of.cost.compared == 0
    assert of.notes() == [
        "p.toml: no machine matches TPU and M4",
        "no price is known of Intel Xeon",
    ]
    (answer,) = [one for one in answers(of) if one.title == "Costs least"]
    assert answer.sentences[0].startswith("No case can be compared")


def test_without_prices_there_is_no_cost_and_no_note() -> None:
    of = comparison([epyc(), xeon()])
    assert of.cost is None
    assert of.notes() == []
    assert "cost" not in [table.key for table in tables(of)]


def by_seconds(watts: float) -> Any:
    return lambda record: watts * record["timing"]["seconds"]


def test_the_slower_machine_may_need_less_energy() -> None:
    of = comparison([epyc(joules=by_seconds(200.0)), xeon(joules=by_seconds(90.0))])
    assert of.energy.wins == (0, len(of.rows))
    (table,) = [one for one in tables(of) if one.key == "energy"]
    cell = next(entry for entry in table.entries if entry.name.startswith("mlp.")).cells[1]
    assert cell.kind == "best"
    assert cell.below.endswith(" samples/J")
    assert "calls/J" in table.entries[0].cells[0].below


def test_energies_within_the_error_of_counters_are_too_close_to_call() -> None:
    of = comparison([epyc(joules=lambda _: 1.0), xeon(joules=lambda _: 1.08)])
    assert of.energy.close == of.energy.compared == len(of.rows)


@pytest.mark.parametrize("joules", [0.0, 1e-300])
def test_a_counter_that_counted_nothing_is_no_energy(joules: float) -> None:
    of = comparison([epyc(joules=lambda _: joules), xeon(joules=lambda _: 1.0)])
    assert of.energy.compared == 0
    (table,) = [one for one in tables(of) if one.key == "energy"]
    assert {entry.cells[0].kind for entry in table.entries} == {"gone"}
    assert "Least energy" not in [answer.title for answer in answers(of)]
