"""The benchmark of other tools: what they are given, how their answers are read, and the table."""

import json
import math
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from torchduet.__main__ import main
from torchduet.bench.peers import cases, sittings, trials
from torchduet.bench.peers.calibration import turns_for
from torchduet.bench.peers.table import markdown, row
from torchduet.bench.peers.tools import asv, pyperf, torch_timer, torchduet
from torchduet.bench.peers.tools.trial import Answer, ToolError, Trial, beyond
from torchduet.suites.workload import SuiteError

FEW = ("chain",)


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "settings.json"
    turns = {name: {side: (0 if side == "twin" else 20_000) for side in cases.SIDES} for name in cases.WORKLOADS}
    path.write_text(json.dumps({"threads": 1, "turns": turns, "seconds": {}}), "utf-8")
    monkeypatch.setenv(cases.SETTINGS_VARIABLE, str(path))
    return path


def new_trial(tmp_path: Path, settings: Path, sides: tuple[str, ...] = ("twin",)) -> Trial:
    folder = tmp_path / "trial"
    folder.mkdir()
    return Trial(folder, settings, threads=1, seconds=0.02, cases=FEW, sides=sides)


def test_every_case_is_a_built_in_workload_with_a_value() -> None:
    for name in cases.WORKLOADS:
        assert cases.base_of(name)(*cases.inputs_of(name)) is not None


@pytest.mark.usefixtures("settings")
def test_sides_are_the_base_with_more_turns() -> None:
    inputs = cases.inputs_of("chain")
    assert cases.call("chain", cases.BASE, inputs)().equal(cases.call("chain", "slower_5", inputs)())
    suite = cases.make_suite()
    assert list(suite.workloads) == list(cases.WORKLOADS)
    assert all(list(one.implementations) == [cases.BASE, *cases.SIDES] for one in suite.workloads.values())


def test_an_unlike_pair_is_two_implementations_with_the_same_result() -> None:
    for name in cases.UNLIKE:
        inputs = cases.inputs_of(name)
        base, other = (side(*inputs) for side in cases.sides_of(name, {}).values())
        assert base.allclose(other, rtol=1e-3, atol=1e-3), name
    assert len(cases.UNLIKE) == 8
    assert not set(cases.UNLIKE) & set(cases.WORKLOADS)


@pytest.mark.usefixtures("settings")
def test_the_suite_has_the_cases_of_the_trial(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(cases.CASES_VARIABLE, "gather,chain")
    suite = cases.make_suite()
    assert {name: list(one.implementations) for name, one in suite.workloads.items()} == {
        "gather": [cases.BASE, cases.OTHER],
        "chain": [cases.BASE, *cases.SIDES],
    }


def test_without_the_command_the_cases_say_what_makes_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(cases.SETTINGS_VARIABLE, raising=False)
    with pytest.raises(SuiteError, match=r"torchduet peers"):
        cases.read_settings()


def test_turns_make_up_the_factor() -> None:
    assert turns_for(1e-5, 1.05) == 5000
    assert turns_for(1e-5, 1.0) == 0


def test_a_difference_counts_beyond_the_threshold_either_way() -> None:
    assert [beyond(ratio) for ratio in (1.011, 1.009, 1.0, 0.995, 0.98)] == ["slower", "none", "none", "none", "faster"]


def test_torch_timer_finds_much_more_work(tmp_path: Path, settings: Path) -> None:
    answers = torch_timer.run(new_trial(tmp_path, settings, ("slower_5",)), "blocked")
    assert [(answer.case, answer.side, answer.verdict) for answer in answers] == [
        (name, "slower_5", "slower") for name in FEW
    ]


def test_torch_timer_compares_unlike_pairs(tmp_path: Path, settings: Path) -> None:
    folder = tmp_path / "trial"
    folder.mkdir()
    trial = Trial(folder, settings, threads=1, seconds=0.02, cases=("no_grad",), sides=(cases.OTHER,))
    (answer,) = torch_timer.run(trial, "blocked")
    assert (answer.case, answer.side, answer.interval) == ("no_grad", "other", None)
    assert trial.environment()[cases.CASES_VARIABLE] == "no_grad"


def test_a_program_that_fails_is_quoted(tmp_path: Path, settings: Path) -> None:
    with pytest.raises(ToolError, match=r"ended with 3:\n.*\n?oh no"):
        new_trial(tmp_path, settings).python("-c", "import sys; print('oh no'); sys.exit(3)")


@pytest.mark.parametrize(
    ("said", "verdict"),
    [
        ("Mean +- std dev: [a] 1.00 ms +- 0.01 ms -> [b] 1.05 ms +- 0.01 ms: 1.05x slower\n", "slower"),
        ("Mean +- std dev: [a] 1.05 ms +- 0.01 ms -> [b] 1.00 ms +- 0.01 ms: 1.05x faster\n", "faster"),
        ("Benchmark hidden because not significant (1): add\n", "none"),
    ],
)
def test_what_pyperf_says(
    tmp_path: Path, settings: Path, said: str, verdict: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    trial = new_trial(tmp_path, settings)
    (trial.folder / "said.py").write_text(f"print({said!r})", "utf-8")
    real = Trial.python
    monkeypatch.setattr(Trial, "python", lambda self, *_, **__: real(self, "said.py"))
    assert pyperf._verdict(trial, Path("a"), Path("b")) == verdict


def test_rows_of_asv_compare() -> None:
    found = asv.ROW.match("| +        | 1.02±0.01ms          | 1.20±0.02ms |    1.18 | cases.time_train |")
    assert found is not None
    assert (found["change"], found["case"]) == ("+", "train")
    assert asv.ROW.match("| Change   | Before [a]    | After [b]    |   Ratio | Benchmark (Parameter) |") is None


@pytest.mark.parametrize(
    ("base", "other", "interval"),
    [
        ((2.0, 1.0, 4.0), (8.0, 6.0, 10.0), (1.5, 10.0)),
        ((2.0, 1.0, 4.0), (8.0, -math.inf, math.inf), None),
        ((2.0, 1.0, math.inf), (8.0, 6.0, 10.0), None),
    ],
)
def test_the_interval_of_asvs_ratio(base: Any, other: Any, interval: Any) -> None:
    assert asv.interval_of_ratio(asv.Median(*base), asv.Median(*other)) == interval


def test_torchduets_ratio_is_that_of_times() -> None:
    speedup: Any = {"ratio": 2.0, "low": 1.6, "high": 2.5, "placements": 12}
    case: Any = {"workload": "gather", "implementation": "other"}
    found = torchduet._answer(case, speedup)
    assert (found.ratio, found.verdict, found.interval) == (0.5, "faster", (0.4, 0.625))
    unbounded = torchduet._answer(case, {**speedup, "low": None, "high": None})
    assert (unbounded.verdict, unbounded.interval) == ("none", None)


def tool(name: str, run: Any, cases_per_trial: int | None = None) -> trials.Tool:
    return trials.Tool(name, "rule", run, cases_per_trial)


def test_conditions_alternate_and_slow_tools_run_less_often() -> None:
    tools = [tool("a", None), tool("b", None), tool("slow", None, cases_per_trial=2)]
    idle, busy = trials.conditions(4).values()
    assert (idle.threads, idle.busy, busy.threads, busy.busy) == (4, 0, 3, 1)
    plan = trials.make_plan(tools, [idle, busy], repeats=2, slow_repeats=1)
    assert [condition.name for condition, _ in plan] == ["idle"] * 3 + ["busy"] * 3 + ["idle"] * 2 + ["busy"] * 2
    assert sum(tool.slow for _, tool in plan) == 2


def test_each_trial_is_kept_at_once_and_a_failing_tool_costs_its_own(tmp_path: Path) -> None:
    out = tmp_path / "peers.json"
    folders: list[Path] = []
    given: list[Sequence[str]] = []

    def good(trial: Trial) -> list[Answer]:
        folders.append(trial.folder)
        given.append(trial.cases)
        return [Answer("add", "slower_3", 1.04, "slower")]

    def bad(trial: Trial) -> list[Answer]:
        folders.append(trial.folder)
        raise ToolError("it broke")

    results = trials.Results(out, {"cpu": "some CPU"})
    alone = trials.Condition("idle", 1)
    lines: list[str] = []
    plan = [(alone, tool("good", good, 3)), (alone, tool("bad", bad)), (alone, tool("good", good, 3))]
    trials.run(plan, {"idle": tmp_path / "settings.json"}, 1.0, results, lines.append)
    found = json.loads(out.read_text("utf-8"))
    assert found["cpu"] == "some CPU"
    assert [(trial["tool"], trial["error"]) for trial in found["trials"]] == [
        ("good", None),
        ("bad", "it broke"),
        ("good", None),
    ]
    assert found["trials"][0]["answers"][0]["injected"] == 1.03
    assert given == [tuple(cases.WORKLOADS)[:3], tuple(cases.WORKLOADS)[3:6]]
    assert not any(folder.exists() for folder in folders)
    assert list(tmp_path.glob("peers.json?*")) == []
    assert "about 0 min left" in lines[-1]


def answer(injected: float, ratio: float, verdict: str) -> dict[str, Any]:
    return {"case": "add", "side": "?", "injected": injected, "ratio": ratio, "verdict": verdict}


def test_a_row_counts_false_alarms_and_what_is_found() -> None:
    name = trials.TOOLS[0].name
    answers = [
        *(answer(1.0, 1.0, "none") for _ in range(18)),
        answer(1.0, 0.9, "faster"),
        answer(1.0, math.exp(0.2), "slower"),
        answer(1.03, 1.03, "slower"),
        answer(1.03, 1.0, "none"),
        answer(1.05, 0.9, "faster"),
    ]
    found = {"tool": name, "rule": "a rule", "condition": "idle", "threads": 2, "seconds": 46.0, "error": None}
    assert row([{**found, "answers": answers}], name, "idle") == (
        f"| {name}: a rule | 2 of 20 (1% to 32%) | ±0.0%, ±11.0% | 1 of 2 (1% to 99%) | 0 of 1 (0% to 97%) | 2.0 |"
    )


def sitting(repeat: int, *answers: dict[str, Any], tool: str = trials.TOOLS[0].name) -> dict[str, Any]:
    return {
        **{"tool": tool, "rule": "a rule", "condition": "idle", "threads": 2, "seconds": 6.0, "error": None},
        **{"subjects": "unlike", "repeat": repeat, "answers": list(answers)},
    }


def of_pair(case: str, ratio: float, verdict: str = "none", interval: Any = None) -> dict[str, Any]:
    return {"case": case, "side": "other", "injected": None, "ratio": ratio, "verdict": verdict, "interval": interval}


def test_a_row_of_sittings_holds_each_pairs_answers_against_each_other() -> None:
    made = [
        sitting(1, of_pair("a", 1.1, "slower", [1.0, 1.2]), of_pair("b", 0.5, "faster", [0.4, 0.6])),
        sitting(0, of_pair("a", 1.0, "faster", [0.8, 1.05]), of_pair("b", 0.7, "none", [0.65, 0.8])),
    ]
    assert sittings.row(made, trials.TOOLS[0].name, "idle") == (
        f"| {trials.TOOLS[0].name}: a rule | ±21.6%, ±33.6% | 1 of 2 (1% to 99%) | 1 of 2 (1% to 99%) "
        "| 1 of 4 (1% to 81%) | 3.0 |"
    )


def test_a_tool_without_intervals_has_no_rate_of_them() -> None:
    made = [sitting(number, of_pair("a", 1.0)) for number in range(2)]
    assert sittings.row(made, trials.TOOLS[0].name, "idle").endswith(
        "| ±0.0%, ±0.0% | 0 of 1 (0% to 97%) |  |  | 6.0 |"
    )
    assert sittings.row([sitting(0, of_pair("a", 1.0))], trials.TOOLS[0].name, "idle").endswith(" | | | | | |")


def test_both_tables_are_shown_and_neither_counts_the_trials_of_the_other() -> None:
    copies = {**sitting(0, answer(1.0, 1.0, "none")), "subjects": "copies"}
    earlier = {key: value for key, value in copies.items() if key != "subjects"}
    results = {
        **{"measured": "2026-11-21T12:00:00+00:00", "cpu": "some CPU", "cores": 2, "versions": {}, "calibration": {}},
        "trials": [copies, earlier, *(sitting(number, of_pair("a", 1.0)) for number in range(2))],
    }
    page = markdown(results)
    assert "0 of 2 (0% to 84%)" in page
    assert "Eight pairs of unlike implementations" in page
    assert page.count("torchduet: a rule") == 2


def test_slow_tools_compare_the_same_pairs_in_both_sittings_and_come_to_all() -> None:
    slow = tool("slow", None, cases_per_trial=3)
    plan = trials.plan_of_sittings([tool("a", None), slow], [trials.Condition("idle", 1)], trials.PAIRS)
    assert [sum(planned.name == name for _, planned in plan) for name in ("a", "slow")] == [2, 6]
    compared = [slow.cases_of(repeat, trials.PAIRS) for repeat in range(6)]
    assert compared[::2] == compared[1::2]
    assert {case for cases_of in compared for case in cases_of} == set(cases.UNLIKE)


def test_the_page_names_machine_versions_and_failures() -> None:
    name = trials.TOOLS[1].name
    results = {
        "measured": "2026-11-21T12:00:00+00:00",
        "cpu": "some CPU",
        "cores": 2,
        "versions": {"torch": "2.13.0"},
        "calibration": {"busy": {"measured": {"add": {"slower_3": 1.031, "slower_5": 1.052}}}},
        "trials": [
            {
                **{"tool": name, "rule": "a rule", "condition": "busy", "threads": 1, "seconds": 1.0},
                **{"error": "it broke\nat length", "answers": []},
            }
        ],
    }
    page = markdown(results)
    assert "extra work of 3% came out as 3.1% to 3.1% and of 5% came out as 5.2% to 5.2%" in page
    assert "2026-11-21: some CPU, 2 cores; torch 2.13.0." in page
    assert "**Another process keeps one core busy, 1 thread**" in page
    assert f"Trials that failed: {name} (it broke)." in page


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("table", "missing.json"), "missing.json: not a file that `run` wrote"),
        (("run", "-o", "p.json", "--tools", "stopwatch"), "'stopwatch' is none of torchduet"),
        (("run", "-o", "no/p.json"), "no is not a folder"),
    ],
)
def test_wrong_arguments_are_said(
    arguments: tuple[str, ...], said: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.modules["torchduet.bench.peers.command"], "_version", lambda _: "1")
    monkeypatch.setattr("torchduet.suites.workload.cores", lambda: 2)
    with pytest.raises(SystemExit) as ended:
        main(("peers", *arguments))
    assert ended.value.code == 2
    assert said in capsys.readouterr().err
