"""Which machine is the fastest: work over devices, leads that are sure, missing times, and runs of one machine key."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.merge.made_parts import named, part
from tests.reports.on_machines import EPYC, SQUARE, WORK, XEON, epyc, h200, on, record_of, records, run_on, xeon
from tests.reports.sample import make_run
from torchduet.bench.merge.merging import merged
from torchduet.bench.record.schema import KEY
from torchduet.reports.machines.columns import NoSuchMachine, base_of, columns
from torchduet.reports.machines.comparison import comparison
from torchduet.reports.machines.heat import MAX_ROWS, heat_map
from torchduet.reports.machines.matrix import Row, matrix
from torchduet.reports.machines.measured import work_of
from torchduet.reports.machines.sentences import answers, headline
from torchduet.reports.read.run_file import Run, from_json


def rows_of(*runs: Run) -> dict[str, Row]:
    return {row.work: row for row in matrix(columns(runs))}


@pytest.mark.parametrize(
    ("case", "device", "family", "work"),
    [
        (SQUARE, "cpu", "matmul.square[n=512]", WORK),
        ("a.b[n=1] mm cuda:1 compile bf16 workers2", "cuda:1", "a.b[n=1]", "a.b[n=1] mm compile bf16 workers2"),
        ("a.b cpu cuda eager fp32", "cuda", "a.b", "a.b cpu eager fp32"),
        ("a.b cpu cpu eager fp32", "cpu", "a.b", "a.b cpu eager fp32"),
        ("something else", "cpu", "a.b", "something else"),
    ],
)
def test_work_is_a_case_without_its_device(case: str, device: str, family: str, work: str) -> None:
    named: Any = {"id": case, "device": device, "family": family}
    assert work_of(named) == work


def test_a_machine_does_work_on_its_fastest_device() -> None:
    rows = rows_of(h200())
    small, large = (rows[f"matmul.square[n={size}] eager fp32"] for size in (256, 4096))
    assert [one.device for one in small.cells[0]] == ["cpu", "cuda"]
    assert [one.device for one in large.cells[0]] == ["cuda", "cpu"]
    assert small.fastest == ()  # one machine alone leads nowhere


def test_the_faster_machine_is_the_fastest_in_every_case() -> None:
    of = comparison([xeon(), epyc()])
    assert of.time.wins == (0, len(of.rows))
    assert headline(of) == f"{EPYC} is the fastest in {len(of.rows)} of {len(of.rows)} cases"
    assert of.rows[0].ratio(1, 0) == pytest.approx(1.3)
    assert "In these cases AMD EPYC 7763 is 1.30× as fast as Intel Xeon." in answers(of)[0].sentences


def test_equal_machines_are_too_close_to_call() -> None:
    of = comparison([epyc(), xeon(factor=1.0)])
    assert of.time.wins == (0, 0)
    assert of.time.close == of.time.compared == len(of.rows)
    assert headline(of) == f"Too close to call in {len(of.rows)} cases: no machine is surely the fastest"


def test_where_most_cases_are_close_that_is_said_first() -> None:
    of = comparison([epyc(), xeon(factor=1.0, factors={SQUARE: 2.0})])
    compared = len(of.rows)
    assert headline(of) == f"{compared - 1} of {compared} cases are too close to call; {EPYC} is the fastest in 1"
    assert answers(of)[0].sentences == ("In this case AMD EPYC 7763 is 2.00× as fast as Intel Xeon.",)


def test_a_time_that_waited_for_a_core_needs_a_wider_lead() -> None:
    made = on(make_run(), cpu=XEON, factor=1.3)
    record_of(made, SQUARE)["notes"] = ["no verdict: more threads than free cores"]
    of = comparison([epyc(), from_json(made)])
    (row,) = [row for row in of.rows if row.work == WORK]
    assert row.fastest == (0, 1)
    assert of.time.close == 1
    assert "On Intel Xeon 1 case waited for a core: such a time may be off by a further 1.5×." in of.cautions


def test_a_control_without_its_communication_is_no_case() -> None:
    made = on(make_run(), cpu=EPYC)
    record_of(made, SQUARE)["case"]["role"] = "part"
    assert WORK not in rows_of(from_json(made))


def test_a_machine_without_a_case_says_why() -> None:
    lacking = on(make_run(), cpu=XEON)
    lacking["benchmarks"] = lacking["benchmarks"][:-3]
    failed, skipped, unreached = records(make_run())[-3:]
    about = lacking[KEY]
    about["failed"].append({"case": failed["case"], "reason": f"{failed['case']['id']}: wrong result"})
    about["skipped"].append({"case": skipped["case"], "reason": "too little memory"})
    about["unreached"] = [unreached["case"]["id"]]
    rows = rows_of(epyc(), from_json(lacking))
    missing = [rows[work_of(one["case"])].missing[1] for one in (failed, skipped, unreached)]
    assert [(one.short, one.why) for one in missing if one] == [
        ("failed", "wrong result"),
        ("skipped", "too little memory"),
        ("not reached", "the run ended early before this case"),
    ]
    assert all(row.missing[0] is None for row in rows.values())


def test_what_a_machine_cannot_run_is_not_available_and_what_it_could_was_not_selected() -> None:
    made = on(make_run(), cpu=EPYC, gpu="NVIDIA H200")
    with_tf32 = record_of(made, SQUARE)
    with_tf32["case"] |= {"id": "matmul.square[n=512] cuda eager tf32", "precision": "tf32", "device": "cuda"}
    rows = rows_of(from_json(made), xeon())
    tf32 = rows["matmul.square[n=512] eager tf32"].missing[1]
    assert tf32
    assert (tf32.short, tf32.why) == ("not available", "needs a CUDA GPU of compute capability 8.0 or higher")
    here = rows[WORK].missing[0]
    assert here
    assert here.short == "not selected"


def test_runs_of_one_machine_share_a_column_and_their_times_are_averaged() -> None:
    runs = [epyc(factor=factor, started=f"2026-03-0{day}") for day, factor in ((1, 1.0), (2, 4.0))]
    (column,) = columns(runs)
    assert column.measurements == "2 runs"
    (row,) = [row for row in matrix([column]) if row.work == WORK]
    first, second = (next(record for record in run.records if record["case"]["id"] == SQUARE)["timing"] for run in runs)
    time = row.time(0)
    assert time
    assert time.seconds == pytest.approx(math.sqrt(first["seconds"] * second["seconds"]))
    assert (time.low, time.high) == (first["low"], second["high"])


def test_a_merged_run_names_its_machines() -> None:
    nodes = {seed: part(seed, node=node, machine={"cpu": EPYC}) for seed, node in ((1, "a"), (2, "b"), (3, "a"))}
    (column,) = columns([from_json(json.loads(json.dumps(merged(named(*nodes.values())))))])
    assert column.measurements == "2 machines"
    assert column.details == "2 cores · 1 thread · 2 machines"


def test_machines_of_one_model_are_told_apart_by_what_differs() -> None:
    named = [column.name for column in columns([epyc(), epyc(cores=64), xeon(), h200(), h200(gpus=8)])]
    assert named[:3] == [f"{EPYC} (2 cores)", f"{EPYC} (64 cores)", "Intel Xeon"]
    assert [name.split(" (")[1] for name in named[3:]] == ["1 GPU)", "8 GPUs)"]


def test_a_name_of_two_machines_is_completed_by_their_keys() -> None:
    threads = [on(make_run(), cpu=EPYC, memory_bytes=size) for size in (8 * 2**30, 2**33 + 2**30)]
    names = [column.name for column in columns([from_json(one) for one in threads])]
    assert names == [f"{EPYC} (memory 8.00 GiB)", f"{EPYC} (memory 9.00 GiB)"]


def test_the_base_is_named_by_key_or_by_a_part_of_its_name() -> None:
    found = columns([epyc(), xeon(), h200()])
    assert base_of(found, None) == 0
    assert base_of(found, "xeon") == 1
    assert base_of(found, found[2].machine.key) == 2
    with pytest.raises(NoSuchMachine, match=r"--base TPU: no run is of this machine; choose one of [0-9a-f]{8} \(AMD"):
        base_of(found, "TPU")
    with pytest.raises(NoSuchMachine, match="is part of 2 names"):
        base_of(found, "EPYC")


def test_one_machine_has_no_lead_and_no_chart() -> None:
    of = comparison([epyc()])
    assert of.time.compared == 0
    assert of.heat is None
    assert headline(of) == f"One machine, {EPYC}: nothing to choose between"


def test_machines_without_a_case_in_common_are_not_compared() -> None:
    other = on(make_run(), cpu=XEON)
    for record in records(other):
        record["case"]["id"] = record["case"]["id"].replace("matmul", "mine")
        record["case"]["family"] = record["case"]["family"].replace("matmul", "mine")
    only = [from_json(other | {"benchmarks": [one for one in other["benchmarks"] if "matmul" in one["group"]]})]
    of = comparison([h200(), *only])
    assert headline(of) == "No case was measured on two machines"
    assert of.heat is None


def test_all_cases_failed_on_one_machine() -> None:
    failed = on(make_run(), cpu=XEON)
    failed[KEY]["failed"] = [{"case": record["case"], "reason": "out of memory"} for record in records(failed)]
    failed["benchmarks"] = []
    of = comparison([epyc(), from_json(failed)])
    assert {row.missing[1].why for row in of.rows if row.missing[1]} == {"out of memory"}
    assert headline(of) == "No case was measured on two machines"


@settings(max_examples=40, deadline=None)
@given(st.lists(st.sets(st.integers(0, 9)), min_size=1, max_size=4))
def test_every_machine_has_a_time_or_a_reason_in_every_row(kept: list[set[int]]) -> None:
    whole = epyc()
    runs = []
    for number, places in enumerate(kept):
        about = whole.about | {"machine": {**whole.about["machine"], "cpu": f"CPU {number}"}}
        records = tuple(record for place, record in enumerate(whole.records[:10]) if place in places)
        runs.append(replace(whole, about=cast(Any, about), records=records))
    rows = matrix(columns(runs))
    assert {row.work for row in rows} == {work_of(whole.records[place]["case"]) for place in set().union(*kept)}
    for row in rows:
        assert [bool(cell) for cell in row.cells] == [why is None for why in row.missing]
        measured = [at for at, cell in enumerate(row.cells) if cell]
        assert row.number == len(measured) >= 1
        assert set(row.fastest) == (set(measured) if len(measured) > 1 else set())  # all times are equal
        for at in range(len(runs)):
            assert (row.ratio(at, at) == 1) == (at in measured)


def test_no_run_is_refused() -> None:
    with pytest.raises(ValueError, match="no run"):
        comparison([])


def test_the_chart_is_by_workload_where_cases_are_many() -> None:
    chart = heat_map(matrix(columns([epyc(), xeon()])))
    assert chart
    assert chart.by == "workload"
    assert len(chart.rows) <= MAX_ROWS
    for row in chart.rows:
        fast, slow = row.cells
        assert fast
        assert slow
        assert (fast.ratio, fast.shade) == (1, 1)
        assert slow.ratio == pytest.approx(1.3)
        assert row.nearest == 0
    few = heat_map(matrix(columns([h200(), h200(gpu="NVIDIA A100", factor=2.0)])))
    assert few
    assert few.by == "case"
    assert few.rows[0].name == "matmul.square[n=256] eager fp32"


def test_the_chart_marks_no_machine_that_hardly_leads() -> None:
    for runs in ([epyc(), xeon(factor=1.03)], [h200(), h200(gpu="NVIDIA A100", factor=1.03)]):
        chart = heat_map(matrix(columns(runs)))
        assert chart
        assert {row.nearest for row in chart.rows} == {None}


def test_the_chart_says_of_how_many_cases_a_mean_is() -> None:
    part = on(make_run(), cpu=XEON, factor=20.0)
    part["benchmarks"] = [one for one in part["benchmarks"] if "matmul" in one["group"]][:2]
    chart = heat_map(matrix(columns([epyc(), from_json(part), run_on(make_run(), cpu="third", factor=2.0)])))
    assert chart
    row = next(row for row in chart.rows if row.name == "matmul.square")
    cell = row.cells[1]
    assert cell
    assert (cell.cases, row.cases) == (2, 12)
    assert cell.shade == 0
    assert row.nearest == 0
