"""A record is what its readers accept: odd values are left out with a note, or make a case fail with the key's name."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, cast

import numpy as np
import pytest
import torch

from torchduet.bench.cases.case import Case, Family
from torchduet.bench.cases.exchange import CaseResult, FamilyResult
from torchduet.bench.cases.outcome import Failed, Measured
from torchduet.bench.plugin.finish import pytest_benchmark_update_json
from torchduet.bench.plugin.stash import SESSION
from torchduet.bench.record.contract import check_record, readable_case, readable_run
from torchduet.bench.record.schema import KEY, CheckRecord, NotMeasured, Record
from torchduet.bench.run.records import records
from torchduet.bench.timing.meter import Recorder
from torchduet.suites.workload import Axis, Cost, Implementation, SuiteError, Workload

CHECK: CheckRecord = {"what": "values", "relative_error": 0.0, "tolerance": 1e-5}


def case_of(name: str = "f", **changes: Any) -> Case:
    about = {
        **{"source": "it.py", "suite": "it", "workload": "w", "about": "", "size": (), "implementation": name},
        **{"single_implementation": False, "device": "cpu", "mode": "eager", "precision": "fp32"},
    }
    return Case(**cast(Any, about | changes))


def result_of(case: Case, **changes: Any) -> CaseResult:
    blocks = [[1e-6 * (1 + place / 100)] * 3 for place in range(9)]
    first_call = {"seconds": 1e-3, "calls": 1}
    about = {"check": CHECK, "first_call": first_call, "clock": "perf_counter", "blocks": blocks}
    return CaseResult(case, **cast(Any, about | changes))


def outcomes(cost: Callable[..., Any] | None = None, case: Case | None = None, **changes: Any) -> list[Any]:
    """The outcomes of a good case and of one with these changes."""
    good, odd = case_of("good"), case or case_of("odd")
    eager, fp32 = Axis(["eager"]), Axis(["fp32"])
    workload = Workload("it", "w", "", lambda _: (), {"f": Implementation(abs)}, {}, eager, fp32, cost=cost)
    family = Family((good, odd), (good, odd))
    found = records(family, FamilyResult([result_of(good), result_of(odd, **changes)], "limit"), workload)
    return [found[good], found[odd]]


def odd_record(*arguments: Any, **changes: Any) -> Record:
    """The record of the odd case, which a reader accepts; the good one has one, too."""
    good, odd = outcomes(*arguments, **changes)
    assert isinstance(good, Measured)
    assert isinstance(odd, Measured)
    check_record(odd.record, "it")
    return odd.record


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf, 1e300])
def test_a_meter_without_any_finite_value_becomes_a_note(number: float) -> None:
    record = odd_record(meters={"loss": ("", [number] * 8)})
    assert "meters" not in record
    assert record["notes"] == [f"meter loss was {number:g} in 8 of 8 placements"]


def test_a_meter_keeps_its_finite_values_and_counts_the_others() -> None:
    meter = odd_record(meters={"loss": ("", [1.0, math.nan, 3.0])})["meters"]["loss"]
    assert (meter["values"], meter["median"], meter["not_finite"]) == ([1.0, 3.0], 2.0, 1)


@pytest.mark.parametrize(
    "cost",
    [
        *(Cost(flops=number, samples=3) for number in (math.nan, math.inf, -1.0, 10**400, "many", 1e200)),
        Cost(flops=torch.ones(3), samples=3),  # type: ignore[arg-type]
    ],
)
def test_a_cost_that_is_no_amount_is_left_out_with_a_note(cost: Cost) -> None:
    record = odd_record(lambda: cost)
    assert record["cost"] == {"samples": 3}
    assert record["notes"][0].startswith("cost= says flops=")


@pytest.mark.parametrize("flops", [10**19, 2**63, np.float32(8), np.int64(8), torch.tensor(8)])
def test_a_cost_of_any_kind_of_number_is_recorded(flops: Any) -> None:
    assert odd_record(lambda: Cost(flops=flops))["cost"] == {"flops": float(flops)}


def test_what_is_counted_in_samples_is_recorded_where_it_is_named() -> None:
    assert odd_record(lambda: Cost(samples=8, unit="tokens"))["cost"] == {"samples": 8, "unit": "tokens"}
    assert odd_record(lambda: Cost(samples=8))["cost"] == {"samples": 8}
    assert odd_record(lambda: Cost(flops=8.0, unit="tokens"))["cost"] == {"flops": 8.0}


def test_a_cost_that_raises_leaves_the_times() -> None:
    def cost() -> Cost:
        raise ZeroDivisionError("n is 0")

    record = odd_record(cost)
    assert record["cost"] == {}
    assert record["notes"] == ["cost= raised ZeroDivisionError: n is 0; its figures are left out"]


@pytest.mark.parametrize("key", ["tolerance", "relative_error"])
@pytest.mark.parametrize("number", [math.nan, math.inf])
def test_a_check_without_bounds_says_so(key: str, number: float) -> None:
    record = odd_record(check={**CHECK, key: number})
    assert dict(record["check"])[key] is None
    assert f"is {number}" in record["notes"][0]


@pytest.mark.parametrize(
    ("case", "size"),
    [
        (case_of("odd", size=(("n", 2**63),)), {"n": str(2**63)}),
        (case_of("odd", size=(("p", 0.5), ("on", True))), {"p": 0.5, "on": True}),
        (case_of("odd", size=(("p", math.inf),)), {"p": "None"}),
        (case_of("odd", about=None), {}),
    ],
)
def test_a_case_is_written_so_that_it_is_read(case: Case, size: Any) -> None:
    record = odd_record(case=case)
    assert record["case"]["about"] == ""
    if "p" not in size or size["p"] == 0.5:
        assert record["case"]["size"] == size


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"first_call": {"seconds": math.nan, "calls": 1}}, "first_call.seconds: expected a finite number, got nan"),
        ({"check": {**CHECK, "what": None}}, "check.what: expected text, got null"),
        ({"compile": {"graphs": 1, "graph_breaks": [], "cold": 3}}, "compile.cold: expected true or false, got 3"),
    ],
)
def test_what_no_reader_accepts_makes_the_case_fail_and_no_other(changes: Any, says: str) -> None:
    good, odd = outcomes(**changes)
    assert isinstance(good, Measured)
    assert isinstance(odd, Failed)
    assert says in odd.reason
    assert "\n" not in odd.reason


@pytest.mark.parametrize(
    ("changes", "key"),
    [
        ({"operators": "many"}, "operators"),
        ({"peak_bytes": -1}, "peak_bytes"),
        ({"energy": {"joules": math.nan}}, "energy"),
        ({"headroom": {"batch": 1}}, "headroom"),
    ],
)
def test_an_optional_key_that_no_reader_accepts_is_left_out_with_a_note(changes: Any, key: str) -> None:
    record = odd_record(**changes)
    assert key not in record
    assert key in record["notes"][0]
    assert record["notes"][0].endswith("; left out")


def test_notes_with_characters_that_cannot_be_encoded_are_escaped() -> None:
    assert odd_record(notes=["caf\udce9"])["notes"] == ["caf\\udce9"]


def test_a_run_keeps_its_cases_whatever_its_parts_say() -> None:
    about: Any = {
        **{"schema": 1, "version": "0", "started": "", "unavailable": [], "warnings": ["\ud800"]},
        "options": {"budget_seconds": math.inf, "tier": "quick"},
        "machine": {"cpu": [1], "cores": np.int64(2)},
        "seconds": dict.fromkeys(("total", "startup", "compiling", "timed", "checking", "warming"), 0.0),
        "skipped": [{"case": {"id": "a", "about": None}, "reason": "late\udc80"}],
        "failed": [],
        "pilots": [{"at": math.nan, "before": "", "seconds": {}}],
        "ceilings": [
            {"device": "cpu", "flops_per_second": {}, "bytes_per_second": {"x": 1.0}, "operator_seconds": 1.0}
        ],
        "noise": {"grade": "loud", "causes": []},
    }
    run, left_out = readable_run(about)
    assert run["options"] == {"tier": "quick"}
    assert run["machine"] == {"cores": 2}
    assert run["warnings"] == ["\\ud800"]
    assert run["skipped"] == [NotMeasured(case=readable_case({"id": "a"}), reason="late\\udc80")]
    assert not {"pilots", "ceilings", "noise"} & run.keys()
    assert len(left_out) == 5


class Config:
    """Stands in for pytest's: it has the session."""

    def __init__(self, session: Any) -> None:
        self.stash = {SESSION: session}


def test_the_file_is_strict_json_and_a_case_that_cannot_be_read_is_one_that_failed() -> None:
    good, odd = outcomes()
    odd.record["timing"]["blocks"][0][0] = math.nan
    about: Any = {
        **{"schema": 1, "version": "0", "started": "", "options": {}, "machine": {}, "unavailable": []},
        "seconds": dict.fromkeys(("total", "startup", "compiling", "timed", "checking", "warming"), 0.0),
        **{"skipped": [], "failed": [], "warnings": []},
    }
    session = type("Session", (), {"run_record": lambda _: about, "records": lambda _: [good.record, odd.record]})()
    of_ours = [
        {"extra_info": {KEY: one.record["case"]["id"]}, "params": {}, "stats": {"data": [1.0]}} for one in (good, odd)
    ]
    of_theirs = {"extra_info": {"loss": math.nan}, "stats": {"ops": math.inf, "data": [np.float32(1)]}}
    output: Any = {"benchmarks": [*of_ours, of_theirs], "machine_info": {"load": math.nan}}
    pytest_benchmark_update_json(cast(Any, Config(session)), output)
    assert output["benchmarks"][0]["extra_info"][KEY]["case"]["id"] == good.record["case"]["id"]
    assert output["benchmarks"][1]["extra_info"] == {}
    (failed,) = output[KEY]["failed"]
    assert "timing.blocks[0][0]: expected a finite number, got nan" in failed["reason"]
    assert output["benchmarks"][2] == {"extra_info": {"loss": None}, "stats": {"ops": None, "data": [1.0]}}
    assert output["machine_info"] == {"load": None}


def metered(*values: Any, unit: Any = "") -> dict[str, tuple[str, list[float]]]:
    meter = Recorder()
    for value in values:
        meter.placements.append({})
        meter.value("loss", value, unit)
    return meter.medians(len(values))


@pytest.mark.parametrize(
    "value", [2, 2.0, np.float32(2), np.int64(2), np.array(2.0), np.array([2.0]), torch.tensor(2), torch.tensor([2.0])]
)
def test_a_meter_takes_any_number(value: Any) -> None:
    assert metered(value) == {"loss": ("", [2.0])}


@pytest.mark.parametrize(("unit", "expected"), [(None, ""), ("ms", "ms"), (3, "3"), ("\ud800", "\\ud800")])
def test_a_meters_unit_is_text(unit: Any, expected: str) -> None:
    assert metered(1.0, unit=unit) == {"loss": (expected, [1.0])}


@pytest.mark.parametrize("value", ["abc", None, [1.0], torch.ones(3), 1j, {}])
def test_what_is_no_number_is_refused_in_the_call(value: Any) -> None:
    with pytest.raises(SuiteError, match=r"meter\.value\('loss'\): expected a number, got ") as caught:
        metered(value)
    assert len(str(caught.value)) < 200


def test_a_placement_with_a_value_that_is_not_finite_is_not_finite() -> None:
    meter = Recorder()
    meter.placements.append({})
    for value in (1.0, math.nan, 2.0):
        meter.value("loss", value)
    ((_, (value,)),) = meter.medians(1).values()
    assert math.isnan(value)
