"""Which knobs pay on which machine: verdicts per machine, disagreements first, and visits of one key together."""

from __future__ import annotations

import math
from typing import Any

import pytest

from tests.reports.on_machines import EPYC, XEON, epyc, h200, on, record_of
from tests.reports.sample import make_run
from torchduet.reports.machines.columns import columns
from torchduet.reports.machines.comparison import comparison
from torchduet.reports.machines.knobs import Line, lines, settings
from torchduet.reports.machines.sentences import answers
from torchduet.reports.machines.tables import tables
from torchduet.reports.read.run_file import Run, from_json

COMPILED = "mlp.train_step[layers=784-100-10,batch=100] cpu compile fp32"
WORK = COMPILED.replace(" cpu", "")


def with_verdicts(mode: str, verdict: str, ratio: float, **facts: Any) -> Run:
    """A run in which all cases of a mode have this verdict, and this ratio over eager."""
    made = on(make_run(), **facts)
    for one in made["benchmarks"]:
        for record in one["extra_info"].values():
            for speedup in record["speedups"]:
                if record["case"]["mode"] == mode and speedup["knob"] == "mode":
                    speedup |= {"ratio": ratio, "low": ratio * 0.98, "high": ratio * 1.02, "verdict": verdict}
    return from_json(made)


def only_mode(mode: str, verdict: str, ratio: float, **facts: Any) -> Run:
    """The same with no other comparison."""
    run = with_verdicts(mode, verdict, ratio, **facts)
    for record in run.records:
        kept = [one for one in record["speedups"] if (one["knob"], one["value"]) == ("mode", mode)]
        record["speedups"][:] = kept
    return run


def line_of(found: list[Line], work: str, knob: str) -> Line:
    return next(line for line in found if (line.work, line.knob) == (work, knob))


def test_a_machines_own_verdict_stands_in_its_column() -> None:
    run = epyc()
    line = line_of(lines(columns([run, h200()])), WORK, "mode")
    first, second = line.cells
    assert first
    recorded = next(record for record in run.records if record["case"]["id"] == COMPILED)
    (speedup,) = [one for one in recorded["speedups"] if one["knob"] == "mode"]
    assert (first.ratio, first.low, first.high, first.verdict) == tuple(
        speedup[key]
        for key in ("ratio", "low", "high", "verdict")  # type: ignore[literal-required]
    )
    assert second is None
    assert line.title == "`torch.compile`"


def test_the_cases_on_which_machines_disagree_come_first() -> None:
    pays, does_not = epyc(), with_verdicts("compile", "slower", 0.8, cpu=XEON)
    found = lines(columns([pays, does_not]))
    degrees = [line.disagreement for line in found]
    assert degrees == sorted(degrees, reverse=True)
    assert degrees[0] == 2
    clear = {cell.verdict for cell in found[0].cells if cell}
    assert clear == {"faster", "slower"}
    first = [line.spread for line in found if line.disagreement == 2]
    assert first == sorted(first, reverse=True)


def test_an_unclear_verdict_disagrees_with_none() -> None:
    found = lines(columns([epyc(), with_verdicts("compile-model", "unclear", 0.5, cpu=XEON)]))
    assert {line.disagreement for line in found if line.value == "compile-model"} == {0}


def test_a_knob_that_pays_on_one_machine_only_is_named() -> None:
    of = comparison(
        [
            with_verdicts("compile", "faster", 1.5, cpu=EPYC),
            with_verdicts("compile", "slower", 0.8, cpu=XEON),
        ]
    )
    setting = of.settings[0]
    assert setting.title == "`torch.compile`"
    assert setting.differs
    assert [cell.key for cell in setting.cells if cell] == ["yes", "no"]
    (knobs,) = [answer for answer in answers(of) if answer.title == "Knobs"]
    assert knobs.sentences[0] == f"`torch.compile` is worth it on {EPYC}, and not on Intel Xeon."
    assert knobs.sentences[1].endswith("a setting is faster on one machine and slower on another.")


def test_a_comparison_that_is_not_settled_on_both_machines_is_not_counted() -> None:
    def knobs(*runs: Run) -> str:
        (answer,) = [answer for answer in answers(comparison(runs)) if answer.title == "Knobs"]
        return answer.sentences[-1]

    cases = sum(line.knob == "mode" and line.value == "compile" for line in lines(columns([epyc()])))
    assert cases > 1
    unsettled = only_mode("compile", "unclear", 0.5, cpu=XEON)
    settled = [only_mode("compile", "faster", 2.0, cpu=cpu) for cpu in (EPYC, XEON, "third")]
    cannot = "It cannot be told whether machines differ: no comparison is settled on two of them."
    assert knobs(settled[0], unsettled) == cannot
    none = "No setting is faster on one machine and slower on another, in"
    assert knobs(*settled[:2]) == f"{none} {cases} comparisons settled on both."
    assert knobs(*settled) == f"{none} {cases} comparisons settled on two or more."
    found = tables(comparison([settled[0], unsettled]))
    assert next(table.about for table in found if table.key == "effects").endswith(" None is settled on two machines.")


def test_the_standing_counts_the_verdicts_of_a_machine() -> None:
    found = columns([epyc(), h200()])
    for setting in settings(lines(found), 2):
        for at, cell in enumerate(setting.cells):
            if cell:
                effects = [line.cells[at] for line in lines(found) if line.title == setting.title]
                verdicts = [effect.verdict for effect in effects if effect]
                assert sum(cell.tally.values()) == len(verdicts)
                assert all(verdicts.count(verdict) == number for verdict, number in cell.tally.items())


def test_the_gpu_is_a_knob_of_its_machine() -> None:
    found = lines(columns([h200()]))
    assert {(line.knob, line.title) for line in found} == {("device", "The GPU")}
    assert [cell.device for line in found for cell in line.cells if cell] == ["cuda"] * 3


def test_on_a_machine_with_two_devices_the_knob_is_that_of_the_faster() -> None:
    made = on(make_run(), cpu=EPYC, gpu="NVIDIA H200")
    twin = on(make_run(seed=2), factor=0.01)
    for one in twin["benchmarks"]:
        for record in one["extra_info"].values():
            record["case"]["id"] = record["case"]["id"].replace(" cpu ", " cuda ")
            record["case"]["device"] = "cuda"
            for speedup in record["speedups"]:
                speedup["against"] = speedup["against"].replace(" cpu ", " cuda ")
    made["benchmarks"] += twin["benchmarks"]
    line = line_of(lines(columns([from_json(made)])), WORK, "mode")
    (effect,) = line.cells
    assert effect
    assert effect.device == "cuda"
    on_gpu = record_of(made, COMPILED.replace(" cpu ", " cuda "))
    assert effect.ratio == next(one["ratio"] for one in on_gpu["speedups"] if one["knob"] == "mode")


def test_runs_of_one_machine_are_visits_to_one_another() -> None:
    runs = [epyc(started=f"2026-03-0{day}") for day in (1, 2)]
    alone, together = (line_of(lines(columns(given)), WORK, "mode").cells[0] for given in (runs[:1], runs))
    assert alone
    assert together
    assert together.ratio == pytest.approx(alone.ratio, rel=0.01)
    assert together.low
    assert together.high
    assert alone.low
    assert alone.high
    assert math.log(together.high / together.low) < math.log(alone.high / alone.low)


def test_a_verdict_that_one_run_withheld_is_withheld_for_all() -> None:
    made = on(make_run(), cpu=EPYC, started="2026-03-09")
    record_of(made, COMPILED)["notes"] = ["no verdict: more threads than free cores"]
    cell = line_of(lines(columns([epyc(), from_json(made)])), WORK, "mode").cells[0]
    assert cell
    assert cell.verdict == "unclear"


def test_several_implementations_are_one_setting() -> None:
    text_of = make_run()
    found = columns([from_json(on(text_of, cpu=EPYC))])
    titles = [setting.title for setting in settings(lines(found), 1)]
    assert "`einsum` instead of `mm`" in titles
    for one in text_of["benchmarks"][:40]:
        for record in one["extra_info"].values():
            for speedup in record["speedups"]:
                if speedup["knob"] == "implementation" and "256" in record["case"]["id"]:
                    speedup["value"] = "another"
    several = settings(lines(columns([from_json(on(text_of, cpu=EPYC))])), 1)
    assert [setting.title for setting in several if setting.knob == "implementation"] == ["Another implementation"]
