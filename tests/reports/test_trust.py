"""What a report says of the suite's own false alarms, with figures and without."""

from pathlib import Path
from typing import Any

from tests.bench.test_reproduce import a_record
from tests.bench.test_self_check import MACHINE, a_trial, record
from torchduet.bench.record.proportions import clopper_pearson
from torchduet.bench.selfcheck.finished_runs import FinishedRun
from torchduet.bench.selfcheck.reproduce import figures as reproduced
from torchduet.reports.findings.agreement import agreement
from torchduet.reports.findings.trust import WORST, trust
from torchduet.reports.html.environment import environment
from torchduet.reports.read.run_file import Run


def run(about: dict[str, Any], *records: dict[str, Any]) -> Any:
    return Run(name="run.json", about=about, records=records)  # type: ignore[arg-type]


def figures(alarms: int, trials: int) -> dict[str, Any]:
    from torchduet.bench.run import aa_summary

    verdicts = ["faster"] * alarms + ["same"] * (trials - alarms)
    records: Any = [
        record(a_trial(1.0, verdict), a_trial(1.05, "slower"), seconds=1e-3 if number else 1.0)
        for number, verdict in enumerate(verdicts)
    ]
    found = aa_summary.summary(records, measured="2026-01-02T03:04:05+00:00", machine=MACHINE, threads=2)
    return {"self_check": found}


def read_run(records: list[Any]) -> FinishedRun:
    about: Any = {"machine": MACHINE, "options": {"threads": 2, "tier": "quick"}, "version": "1.0"}
    about |= {"started": "2026-01-02T03:04:05+00:00", "seconds": {"total": 95.0}}
    return FinishedRun(Path("run.json"), about, records)


def shown(about: dict[str, Any]) -> str:
    return environment().get_template("trust.html.j2").render(trust=trust(run(about)), confidence="99 %")


def test_without_figures_it_says_so_and_how_to_get_them() -> None:
    found = trust(run({}))
    assert "Not measured on this machine" in found.sentences[0]
    assert "torchduet run --aa" in found.sentences[0]
    assert found.rows == found.copies == []


def test_figures_of_an_earlier_run_come_with_bounds_and_their_date() -> None:
    found = trust(run(figures(0, 60)))
    assert "no false alarms" in found.sentences[0]
    assert "2026-01-02" in found.sentences[0]
    assert "earlier run on this machine with `--aa`" in found.source
    assert [(row.count, row.trials) for row in found.rows] == [(0, 60), (60, 60), (60, 60)]
    assert found.rows[0].bounds == "0 % to 6 %"


def test_figures_come_by_how_long_a_call_takes_where_they_are_known() -> None:
    about = figures(0, 60)
    found = trust(run(about))
    assert found.slowdowns == ["5 %"]
    assert [(kind.what, kind.alarms, kind.found, kind.narrow) for kind in found.kinds] == [
        ("under 2 ms", "0 of 59", ["59 of 59"], "59 of 59"),
        ("of 20 ms and more", "0 of 1", ["1 of 1"], "1 of 1"),
    ]
    assert "59 of 59" in shown(about)
    del about["self_check"]["kinds"][1]
    assert "59 of 59" not in shown(about)  # what holds for all alike is in the table above
    del about["self_check"]["kinds"]  # as of a version before
    assert trust(run(about)).kinds == []
    assert "Calls" not in shown(about)


def test_a_run_against_itself_lists_the_least_sensitive_cases_first() -> None:
    records = [
        {"case": {"id": f"case {place}"}, "trials": [a_trial(1.0, "same") | {"minimum_effect": 0.01 * place}]}
        for place in range(1, WORST + 4)
    ]
    records.append(
        {"case": {"id": "hopeless"}, "trials": [a_trial(1.0, "unclear", None, None), a_trial(1.1, "slower")]}
    )
    found = trust(run(figures(1, 24), *records))
    assert found.source == ""
    assert (found.copies[0].name, found.copies[0].found) == ("hopeless", "10 %")
    assert found.copies[1].name == f"case {WORST + 3}"
    assert len(found.copies) == WORST
    assert found.omitted == 4
    assert "1 false alarm." in found.sentences[0]


def repeated(*ratios: float) -> dict[str, Any]:
    """The figures of runs of two cases, one of which has these ratios."""
    runs = [
        read_run([a_record("a", ratio, 0.95 * ratio, 1.05 * ratio), a_record("b", 1.0, 0.95, 1.05)]) for ratio in ratios
    ]
    return {"reproduction": reproduced(runs)}


def test_without_repeated_runs_it_says_so_and_how_to_make_them() -> None:
    found = agreement(run({}))
    assert "not measured on this machine" in found.sentences[0]
    assert "`torchduet selfcheck reproduce`" in found.sentences[0]
    assert found.groups == []
    assert "torchduet selfcheck reproduce" in shown({})


def test_repeated_runs_of_this_machine_stand_beside_the_false_alarms() -> None:
    about = repeated(1.0, 1.01, 1.2)
    found = agreement(run(about))
    assert "3 runs of the same code on this machine, 2 speed-ups each" in found.sentences[0]
    assert "of 6 pairs of runs' intervals 2 did not overlap (33.3 %, 4.3 to 77.7 %)" in found.sentences[0]
    assert [(group.what, group.comparisons, group.disjoint) for group in found.groups] == [
        ("all calls", 2, "2 of 6"),
        ("calls under 2 ms", 2, "2 of 6"),
        ("calls of other cases", 2, "2 of 6"),
    ]
    page = shown(figures(0, 60) | about)
    assert "How far the next run lands from this one" in page
    assert "60 comparisons of identical code" in page


DUET = {"against": {"threshold": 0.02}}


def test_a_duet_does_not_show_the_figures_of_cases_within_one_process() -> None:
    about = figures(0, 60) | repeated(1.0, 1.01) | DUET
    found = trust(run(about))
    assert found.rows == []
    assert found.agreement is None
    assert "not measured on this machine" in found.sentences[0]
    assert "`torchduet selfcheck duet`" in found.sentences[0]
    page = shown(about)
    assert "60" not in page
    assert "next run" not in page


def test_a_duet_shows_the_duets_of_an_interpreter_with_itself() -> None:
    low, high = clopper_pearson(0, 56)
    check = MACHINE | {
        **{"measured": "2026-01-02T03:04:05+00:00", "threads": 2, "threshold": 0.02, "bounds_confidence": 0.95},
        "false_alarms": {"slowdown": 1.0, "count": 0, "trials": 56, "low": low, "high": high},
        **{"confirmed": 16, "half_width": 0.011, "seconds": 1260.0},
    }
    about = figures(3, 60) | DUET | {"duet_check": check}
    found = trust(run(about))
    assert "56 comparisons of an interpreter with itself gave no false alarms" in found.sentences[0]
    assert "±1.1 % in the median" in found.sentences[1]
    assert [(row.count, row.trials) for row in found.rows] == [(0, 56)]
    assert "threshold ±2 %" in found.rows[0].what
    assert "with <code>torchduet selfcheck duet</code>" in shown(about)
