"""What a report says of the suite's own false alarms, with figures and without."""

from typing import Any

from tests.bench.test_self_check import MACHINE, a_trial, record
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


def shown(about: dict[str, Any]) -> str:
    return environment().get_template("trust.html.j2").render(trust=trust(run(about)), confidence="99 %")


def test_without_figures_it_says_so_and_how_to_get_them() -> None:
    found = trust(run({}))
    assert "Not measured on this machine" in found.sentences[0]
    assert "pytest bench/ --aa" in found.sentences[0]
    assert found.rows == found.copies == []


def test_figures_of_an_earlier_run_come_with_bounds_and_their_date() -> None:
    found = trust(run(figures(0, 60)))
    assert "no false alarms" in found.sentences[0]
    assert "2026-01-02" in found.sentences[0]
    assert not found.own_run
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
    assert found.own_run
    assert (found.copies[0].name, found.copies[0].found) == ("hopeless", "10 %")
    assert found.copies[1].name == f"case {WORST + 3}"
    assert len(found.copies) == WORST
    assert found.omitted == 4
    assert "1 false alarm." in found.sentences[0]
