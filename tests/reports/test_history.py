"""What a history concludes: change points, what the machine accounts for, machines, and how often it errs."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("ruptures", reason="needs pip install 'torchduet[history]'")

from tests.reports.history_rates import drifting, false_alarms_of_pages, measure
from tests.reports.made_history import make_history
from tests.reports.with_gpu import make_gpu_run
from torchduet.bench.record.machines.key import identity, machines
from torchduet.bench.record.schema import KEY
from torchduet.bench.record.statistics import Interval
from torchduet.reports.history.changes import Noise, clipped, noise_of, steps
from torchduet.reports.history.collect import collect
from torchduet.reports.history.creep import creep
from torchduet.reports.history.events import events
from torchduet.reports.history.judge import judge
from torchduet.reports.history.judged import SPEEDUP, TIME, Change, Judged
from torchduet.reports.history.rates import MEASURED
from torchduet.reports.history.series import CaseName, histories
from torchduet.reports.history.words import headline

SQUARE = "matmul.square[n=512] cpu eager fp32"
ADD = "tensor_ops.add[n=65536]"
THRESHOLD = math.log1p(0.03)


def judged(folder: Path) -> Judged:
    (history,) = histories(collect(folder).runs)
    return judge(history, 0.03)


def changed(one: Judged, what: str = TIME) -> dict[str, list[tuple[int, str]]]:
    """Case → (run, verdict) of every change that is not the machine's."""
    found: dict[str, list[tuple[int, str]]] = {}
    for change in one.changes():
        if change.what == what:
            found.setdefault(change.case.id, []).append((change.after, change.verdict))
    return found


def test_a_step_of_one_case_is_found_with_its_run_and_size(shared_document: Any, tmp_path: Path) -> None:
    make_history(tmp_path, shared_document, 24, slower=lambda run: {SQUARE: 1.1} if run >= 15 else {})
    one = judged(tmp_path)
    assert changed(one) == {SQUARE: [(15, "slower")]}
    (change,) = [change for change in one.changes() if change.what == TIME]
    assert change.height.low < math.log(1.1) < change.height.high
    assert change.before == 14
    assert change.runs == 9


def test_what_is_faster_again_is_two_changes_the_latest_first(shared_document: Any, tmp_path: Path) -> None:
    make_history(tmp_path, shared_document, 30, slower=lambda run: {SQUARE: 1.2} if 10 <= run < 20 else {})
    one = judged(tmp_path)
    assert changed(one) == {SQUARE: [(10, "slower"), (20, "faster")]}
    assert [event.after for event in events(one.changes())] == [20, 10]


def test_a_change_that_may_lie_elsewhere_comes_with_a_surer_one_nearby() -> None:
    def change(name: str, after: int, height: float, reach: int) -> Change:
        case = CaseName(name, "a.f", "a", "cpu", "eager", "fp32", False)
        return Change(case, TIME, after - 1, after, Interval(height, height, height), reach, 9, {}, "slower")

    found = events(
        [change("a", 20, 0.3, 0), change("b", 22, 0.05, 3), change("c", 40, 0.2, 0), change("a", 22, 0.04, 5)]
    )
    assert [(one.before, one.after, [two.case.id for two in one.of(TIME, "slower")]) for one in found] == [
        (39, 40, ["c"]),
        (21, 22, ["a"]),
        (19, 20, ["a", "b"]),
    ]


def test_a_machine_that_drifts_is_no_change(shared_document: Any, tmp_path: Path) -> None:
    make_history(tmp_path, shared_document, 24, machine=lambda run: 1.0 if run < 12 else 1.15)
    one = judged(tmp_path)
    assert changed(one) == {}
    (together,) = one.common["cpu"].changes
    assert together.verdict == "machine"
    assert together.after == 12
    assert together.height.point == pytest.approx(math.log(1.15), abs=0.02)


def test_what_all_cases_share_and_no_pilot_does_is_said_to_be_no_machines(shared_document: Any, tmp_path: Path) -> None:
    families = {one["group"] for one in shared_document["benchmarks"]}
    make_history(tmp_path, shared_document, 24, slower=lambda run: dict.fromkeys(families, 1.1) if run >= 12 else {})
    one = judged(tmp_path)
    assert changed(one) == {}
    assert [(two.after, two.verdict) for two in one.common["cpu"].changes] == [(12, "slower")]
    assert headline(one, []).startswith(
        "No case became slower or faster than the others in the last 20 runs; all cases on cpu"
    )


def test_a_family_that_moves_with_the_pilots_beside_it_is_the_machines(shared_document: Any, tmp_path: Path) -> None:
    make_history(tmp_path, shared_document, 24, slower=lambda run: {ADD: 1.1} if run >= 12 else {})
    for place, path in enumerate(sorted(tmp_path.glob("*.json"))):
        if place >= 12:
            document = json.loads(path.read_text())
            pilots = document["torchduet"]["pilots"]
            beside = [n for n, pilot in enumerate(pilots) if pilot["before"] == ADD]
            for number in (*beside, *(n + 1 for n in beside)):
                pilots[number]["seconds"]["memory"] *= 1.12
            path.write_text(json.dumps(document))
    one = judged(tmp_path)
    assert changed(one) == {}
    lines = [line for case, line in zip(one.history.cases, one.times, strict=True) if case.family == ADD]
    assert [[change.verdict for change in line.changes] for line in lines] == [["machine"]] * 2


def test_a_changed_reference_changes_the_speed_ups_of_its_family(shared_document: Any, tmp_path: Path) -> None:
    make_history(tmp_path, shared_document, 24, slower=lambda run: {SQUARE: 1.2} if run >= 12 else {})
    found = changed(judged(tmp_path), SPEEDUP)
    assert len(found) == 3
    assert all(two == [(12, "faster")] for two in found.values())


def test_speed_ups_are_judged_where_nothing_guards_the_times(tmp_path: Path) -> None:
    document = make_gpu_run()
    case = "matmul.square[n=1024] cuda eager fp32"
    make_history(tmp_path, document, 20, slower=lambda run: {case: 1.2} if run >= 10 else {}, pilots=False)
    one = judged(tmp_path)
    assert not one.guarded
    assert {line.verdict for line in one.times} == {"unclear"}
    assert changed(one) == {}
    assert changed(one, SPEEDUP) == {case: [(10, "slower")]}


def test_a_speed_up_over_another_reference_is_no_change(shared_document: Any, tmp_path: Path) -> None:
    make_history(tmp_path, shared_document, 24)
    for path in sorted(tmp_path.glob("*.json"))[:12]:
        document = json.loads(path.read_text())
        for one in document["benchmarks"]:
            for held in one["extra_info"][KEY]["speedups"]:
                if held["knob"] == "reference" and one["group"] == ADD:
                    held.update(against="another", ratio=3.0, low=2.9, high=3.1)
        path.write_text(json.dumps(document))
    one = judged(tmp_path)
    assert changed(one, SPEEDUP) == {}
    counted = [
        np.isfinite(row).sum()
        for case, row in zip(one.history.cases, one.history.speedup, strict=True)
        if case.family == ADD
    ]
    assert 12 in counted
    assert 24 not in counted


def test_too_few_runs_are_said_to_be_too_few(shared_document: Any, tmp_path: Path) -> None:
    make_history(tmp_path, shared_document, 5)
    one = judged(tmp_path)
    assert changed(one) == {}
    assert {line.why for line in one.times} == {"5 runs of it; 10 are needed"}


def test_a_case_that_comes_later_has_a_series_of_its_own(shared_document: Any, tmp_path: Path) -> None:
    make_history(tmp_path, shared_document, 24, slower=lambda run: {SQUARE: 1.15} if run >= 18 else {})
    for path in sorted(tmp_path.glob("*.json"))[:8]:
        document = json.loads(path.read_text())
        document["benchmarks"] = [one for one in document["benchmarks"] if one["param"] != SQUARE]
        path.write_text(json.dumps(document))
    one = judged(tmp_path)
    assert changed(one) == {SQUARE: [(18, "slower")]}
    (place,) = [place for place, case in enumerate(one.history.cases) if case.id == SQUARE]
    assert np.isnan(one.times[place].logs[:8]).all()


def test_a_latest_run_far_off_is_named_not_judged(shared_document: Any, tmp_path: Path) -> None:
    make_history(tmp_path, shared_document, 20, slower=lambda run: {SQUARE: 1.3} if run >= 19 else {})
    one = judged(tmp_path)
    assert changed(one) == {}
    (line,) = [line for case, line in zip(one.history.cases, one.times, strict=True) if case.id == SQUARE]
    assert line.verdict == "unclear"
    assert line.why.startswith("the latest run is +")


def test_outliers_are_no_steps_however_far_they_lie() -> None:
    rng = np.random.default_rng(3)
    values = rng.normal(0, 0.01, 60)
    values[[5, 20, 21, 40, 41, 42]] += 0.7
    assert steps(values, noise_of(values), THRESHOLD) == []
    assert np.abs(clipped(values, noise_of(values))).max() < 0.06


def test_a_step_lies_where_it_lies_though_the_run_before_it_was_an_outlier() -> None:
    rng = np.random.default_rng(4)
    values = rng.normal(0, 0.01, 60)
    values[30:] += 0.1
    values[27] += 0.5
    (step,) = steps(values, noise_of(values), THRESHOLD)
    assert step.index == 30
    assert step.reach == 0


def test_noise_is_estimated_with_its_correlation_and_steps_do_not_widen_it() -> None:
    rng = np.random.default_rng(5)
    values = np.zeros(40000)
    for place in range(1, len(values)):
        values[place] = 0.5 * values[place - 1] + rng.normal(0, 0.02)
    values[10000:] += 1.0
    found = noise_of(values)
    assert found.correlation == pytest.approx(0.5, abs=0.08)
    assert found.deviation == pytest.approx(0.02 / math.sqrt(0.75), rel=0.1)
    assert found.long_run == pytest.approx((0.02 / 0.5) ** 2, rel=0.3)


def test_a_creeping_series_is_said_to_creep_and_a_noisy_one_is_not() -> None:
    rng = np.random.default_rng(6)
    noise = Noise(0.01, 0.0)
    values = rng.normal(0, 0.01, 60)
    assert creep(values, noise, THRESHOLD) is None
    found = creep(values + np.linspace(0, 0.08, 60), noise, THRESHOLD)
    assert found
    assert found.low < 0.08 < found.high


def test_published_rates_are_those_of_the_code() -> None:
    """A tenth of the trials has to agree with what is published, within what chance allows."""
    trials = 100
    for name, runs in (("1 %", 30), ("3 %", 100), ("1 %, every 20th run up to twice as slow", 30)):
        (published,) = [one for one in MEASURED if (one.noise, one.runs) == (name, runs)]
        found = measure(name, runs, trials, seed=2)
        for key in ("false_alarms", "five", "ten"):
            expected = getattr(published, key)
            slack = 4 * math.sqrt(max(expected * (1 - expected), 0.01) / trials)
            assert abs(getattr(found, key) - expected) <= slack, (name, key)


def test_a_page_of_a_drifting_machine_raises_hardly_an_alarm() -> None:
    assert false_alarms_of_pages(60, 2) < 0.01
    bare = judge(drifting(60, 0, families=3, pilots=False), 0.03)
    assert {line.verdict for line in bare.times} == {"unclear"}


def test_another_cpu_core_count_or_thread_count_is_another_machine() -> None:
    facts: dict[str, Any] = {"cpu": "A", "cores": 8, "memory_bytes": 32 * 2**30, "gpu": None, "threads": 4}
    same = facts | {"memory_bytes": 32 * 2**30 - 5_000_000, "torch": "2.9", "python": "3.12"}
    others = [facts | change for change in ({"cpu": "B"}, {"cores": 4}, {"threads": None}, {"gpu": "H200"})]
    found = machines([identity(one) for one in (facts, same, *others)])
    assert found[0] == found[1]
    assert len({one.key for one in found}) == 5
    assert found[0].label == "A · 8 cores · 4 threads"


def test_a_run_that_does_not_say_its_governor_belongs_to_the_only_machine_that_agrees() -> None:
    old = {"cpu": "A", "cores": 8, "threads": 4}
    performance, powersave = (old | {"governor": one} for one in ("performance", "powersave"))
    unknown = old | {"governor": None}
    first, second, third = machines([identity(one) for one in (old, unknown, performance)])
    assert first.key == second.key == third.key
    found = machines([identity(one) for one in (old, performance, powersave)])
    assert len({one.key for one in found}) == 3
    assert found[1].detail(found) == "governor performance"


def test_a_history_is_split_by_machine_and_marked_by_version(shared_document: Any, tmp_path: Path) -> None:
    make_history(tmp_path, shared_document, 12, facts=lambda run: {"torch": "2.9.1" if run < 6 else "2.10.0"})
    make_history(tmp_path, shared_document, 3, begin=12, facts=lambda _: {"cpu": "Another"})
    latest, first = histories(collect(tmp_path).runs)
    assert latest.machine.label == "Another · 2 cores · 1 thread"
    assert len(first.runs) == 12
    assert {place: dict(run.changed) for place, run in enumerate(first.runs) if run.changed} == {
        6: {"PyTorch": ("2.9.1", "2.10.0")}
    }
