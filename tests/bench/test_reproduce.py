"""Repeated runs of the same code: what is counted of them, how it is told, and where it is kept."""

import json
import math
from pathlib import Path
from typing import Any

import pytest

from tests.bench.test_run import SMALL
from tests.reports.sample import document_of, make_run
from torchduet.__main__ import main
from torchduet.bench.record import agreement_words as words
from torchduet.bench.record.contract import check_run
from torchduet.bench.record.schema import KEY
from torchduet.bench.run.machine_figures import DUET_CHECK, REPRODUCTION, add_last
from torchduet.bench.selfcheck import finished_runs
from torchduet.bench.selfcheck.agreement import agreement, by_group, comparisons, incomplete
from torchduet.bench.selfcheck.finished_runs import FinishedRun, RunError, read
from torchduet.bench.selfcheck.reproduce import figures, lines

MACHINE = {"cpu": "Example CPU @ 2.40 GHz", "cores": 2, "torch": "2.9.1", "gpu": None}


def a_record(
    name: str,
    ratio: float,
    low: float | None,
    high: float | None,
    verdict: str = "faster",
    *,
    seconds: float = 1e-3,
    compiled: bool = False,
    waits: bool = False,
) -> Any:
    """A case's record with one speed-up, as far as the figures read it."""
    speedup = {"knob": "mode", "against": f"{name} eager", "ratio": ratio, "low": low, "high": high, "verdict": verdict}
    return {
        "case": {"id": name},
        "timing": {"seconds": seconds} | ({"rests": True} if waits else {}),
        "compile": {} if compiled else None,
        "speedups": [speedup],
    }


def figures_of(*runs: list[Any]) -> Any:
    return agreement(comparisons(runs).values())


def test_pairs_of_runs_are_counted_whose_intervals_have_nothing_in_common() -> None:
    found = figures_of(
        [a_record("a", 1.10, 1.05, 1.15)], [a_record("a", 1.12, 1.10, 1.20)], [a_record("a", 1.40, 1.30, 1.50)]
    )
    assert found["comparisons"] == 1
    assert (found["disjoint"]["count"], found["disjoint"]["trials"]) == (2, 3)
    assert found["disjoint"]["low"] < 2 / 3 < found["disjoint"]["high"]
    assert found["half_width"] == pytest.approx(math.log(1.15 / 1.05) / 2)
    assert found["apart"] == pytest.approx(math.log(1.40 / 1.12))


def test_intervals_that_share_an_end_are_not_disjoint() -> None:
    found = figures_of([a_record("a", 1.1, 1.0, 1.2)], [a_record("a", 1.3, 1.2, 1.4)])
    assert found["disjoint"]["count"] == 0


def test_only_faster_in_one_run_and_slower_in_another_contradicts() -> None:
    verdicts = ("faster", "slower", "same", "unclear")
    found = figures_of(*([a_record("a", 1.0, 0.9, 1.1, verdict)] for verdict in verdicts))
    assert (found["contradictions"]["count"], found["contradictions"]["trials"]) == (1, 6)


def test_an_interval_is_held_against_the_median_of_the_other_runs() -> None:
    found = figures_of(
        [a_record("a", 1.00, 0.95, 1.05)],  # the others' median is 1.10
        [a_record("a", 1.10, 1.05, 1.15)],  # 1.00 and 1.10: about 1.05
        [a_record("a", 1.10, 1.00, 1.15)],
    )
    assert (found["held"]["count"], found["held"]["trials"]) == (1, 3)


def test_a_run_without_an_interval_counts_as_infinitely_wide() -> None:
    found = figures_of(
        [a_record("a", 1.0, None, None, "unclear")],
        [a_record("a", 1.2, None, None, "unclear")],
        [a_record("a", 1.1, 1.0, 1.2)],
    )
    assert found["half_width"] is None
    assert found["unbounded"] == 2
    assert (found["disjoint"]["trials"], found["held"]["trials"]) == (0, 1)
    assert found["contradictions"]["trials"] == 3
    assert "no interval" in words.half_width(found)


def test_the_eighth_decile_is_that_of_all_pairs() -> None:
    runs = [[a_record(str(case), math.exp(0.01 * case * run), 0.5, 2.0) for case in range(11)] for run in range(2)]
    found = figures_of(*runs)
    assert found["apart"] == pytest.approx(0.05)
    assert found["apart_eighth"] == pytest.approx(0.08)


def test_any_number_of_cases_gives_figures() -> None:
    nothing = figures_of([], [])
    assert (nothing["comparisons"], nothing["apart"], nothing["half_width"]) == (0, None, None)
    once = figures_of([a_record("a", 1.0, 0.9, 1.1)], [])
    assert once["comparisons"] == 0


def test_groups_are_told_apart_by_the_length_of_calls_and_by_compilation() -> None:
    run = [
        a_record("short", 1.0, 0.9, 1.1, seconds=1e-3),
        a_record("medium", 1.0, 0.9, 1.1, seconds=5e-3, compiled=True),
        a_record("long", 1.0, 0.9, 1.1, seconds=5e-2),
        a_record("waiting", 1.0, 0.9, 1.1, waits=True),
    ]
    groups = {of["group"]: of["comparisons"] for of in by_group(comparisons([run, run]).values())}
    assert groups == {"short": 1, "medium": 1, "long": 1, "waiting": 1, "compiled": 1, "uncompiled": 3}


def test_a_call_near_a_limit_is_in_the_group_of_most_runs() -> None:
    runs = [[a_record("a", 1.0, 0.9, 1.1, seconds=seconds)] for seconds in (1.9e-3, 2.1e-3, 2.2e-3)]
    assert [of["group"] for of in by_group(comparisons(runs).values())] == ["medium", "uncompiled"]


def test_what_a_run_lacks_is_named() -> None:
    a, b = a_record("a", 1.0, 0.9, 1.1), a_record("b", 1.0, 0.9, 1.1)
    without = {**b, "speedups": []}
    assert incomplete([[a, b], [a], [b]]) == {"a": [2], "b": [1]}
    assert incomplete([[a, b], [a, without]]) == {"b against b eager": [1]}
    assert incomplete([[a], [a]]) == {}


def test_the_words_of_a_share() -> None:
    found = figures_of(*([a_record("a", ratio, 0.9 * ratio, 1.1 * ratio)] for ratio in (1.0, 1.01, 1.02)))
    assert words.disjoint(found) == "of 3 pairs of runs' intervals none did not overlap (0.0 %, 0.0 to 70.8 %)"
    assert words.held(found).startswith("3 of 3 intervals held the median of the other runs' estimates (100.0 %, 29.2")
    assert words.half_width(found) == "half an interval was ±10.0 % in the median"


def finished(tmp_path: Path, *seeds: int, **changes: Any) -> list[Path]:
    """Files of runs, equal but for chance."""
    paths = []
    for number, seed in enumerate(seeds, 1):
        content = make_run(seed)
        for part, values in changes.items():
            content[KEY][part] |= values
        paths.append(tmp_path / f"run-{number}.json")
        paths[-1].write_text(json.dumps(content))
    return paths


def test_the_figures_of_files_are_those_of_their_machine(tmp_path: Path) -> None:
    runs = [read(path) for path in finished(tmp_path, 1, 2, 3)]
    found = figures(runs)
    assert {name: found[name] for name in MACHINE} == MACHINE  # type: ignore[literal-required]
    assert (found["runs"], found["threads"], found["seconds"], found["incomplete"]) == (3, 1, 412.0, 0)
    assert found["disjoint"]["trials"] == 3 * found["comparisons"]
    about: Any = {**runs[0].about, "reproduction": found}
    check_run(about)
    text = "\n".join(lines(found, runs))
    assert f"3 runs of 412 s, 1 thread: {found['comparisons']} speed-ups" in text
    assert "calls of compiled cases, or against one" in text


def test_cases_that_are_missing_in_some_runs_are_listed(tmp_path: Path) -> None:
    whole = make_run(1)
    files = []
    for number, benchmarks in enumerate((whole["benchmarks"], whole["benchmarks"][:-20]), 1):
        files.append(tmp_path / f"{number}.json")
        files[-1].write_text(json.dumps(document_of(benchmarks)))
    runs = [read(path) for path in files]
    found = figures(runs)
    text = lines(found, runs)
    assert found["incomplete"] == 20
    assert "20 cases or speed-ups are not in every run:" in text
    last = whole["benchmarks"][-20]["extra_info"][KEY]["case"]["id"]
    assert f"  {last}: missing in 2.json" in text
    assert "  and 8 more" in text


def test_a_run_that_ended_early_is_named(tmp_path: Path) -> None:
    runs = [read(path) for path in finished(tmp_path, 1, 2)]
    runs[1].about["stopped"] = "stopped by SIGINT"
    assert lines(figures(runs), runs)[-1] == "run-2.json ended early: stopped by SIGINT"


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"machine": {"torch": "2.10.0"}}, "torch"),
        ({"options": {"threads": 2}}, "number of threads"),
        ({"options": {"tier": "default"}}, "tier"),
    ],
)
def test_runs_that_differ_are_not_repetitions(tmp_path: Path, changes: dict[str, Any], what: str) -> None:
    (first,) = finished(tmp_path, 1)
    other = tmp_path / "other"
    other.mkdir()
    (second,) = finished(other, 2, **changes)
    with pytest.raises(RunError, match=f"{second.name}: was made with another {what} than"):
        figures([read(first), read(second)])


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "cannot be read: No such file"),
        ("{", "is not a file of a run"),
        ('{"benchmarks": []}', "is not a file of a run"),
        (json.dumps({KEY: {"schema": 1}, "benchmarks": []}), "torchduet.version: missing"),
    ],
)
def test_a_file_that_is_no_run_is_named(tmp_path: Path, content: str | None, said: str) -> None:
    path = tmp_path / "some.json"
    if content is not None:
        path.write_text(content)
    with pytest.raises(RunError, match=f"some.json: .*{said}"):
        read(path)


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "cache"
    monkeypatch.setenv("XDG_CACHE_HOME", str(folder))
    monkeypatch.setenv("LOCALAPPDATA", str(folder))
    return folder


def started(machine: dict[str, Any]) -> Any:
    """The record of a run as it is before the figures of earlier ones are added."""
    return {"machine": machine, "warnings": []}


@pytest.mark.usefixtures("cache")
def test_the_command_reads_files_and_leaves_the_figures_to_later_runs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = finished(tmp_path, 1, 2, 3, 4)
    assert main(["selfcheck", "reproduce", "--from", *map(str, files)]) == 0
    assert "4 runs of 412 s" in capsys.readouterr().out
    later = started(MACHINE)
    add_last(later, MACHINE, 1)
    assert later["reproduction"]["runs"] == 4
    assert "duet_check" not in later
    elsewhere = started(MACHINE)
    add_last(elsewhere, MACHINE | {"cpu": "another"}, 1)
    add_last(elsewhere, MACHINE, 2)
    assert elsewhere == started(MACHINE)


@pytest.mark.usefixtures("cache")
def test_a_damaged_file_of_figures_becomes_a_warning() -> None:
    path = REPRODUCTION.save(figures_for(MACHINE))
    path.write_text("{")
    later = started(MACHINE)
    add_last(later, MACHINE, 1)
    assert "reproduction" not in later
    assert [warning.endswith("measure again with torchduet selfcheck reproduce") for warning in later["warnings"]] == [
        True
    ]


def figures_for(machine: dict[str, Any]) -> Any:
    return {**machine, "threads": 1, "groups": [], **figures_of([], [])}


@pytest.mark.usefixtures("cache")
def test_the_command_makes_runs_with_the_arguments_for_pytest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    given = []
    ready = iter(finished(tmp_path, 1, 2, 3))

    def make(path: Path, arguments: list[str]) -> FinishedRun:
        given.append((path.name, arguments))
        return read(next(ready))

    monkeypatch.setattr(finished_runs, "make", make)
    folder = str(tmp_path / "runs")
    assert main(["selfcheck", "reproduce", "-k", "matmul", "--runs", "3", "--folder", folder, "--tier", "quick"]) == 0
    expected = ["--threads", "1", "-k", "matmul", "--tier", "quick"]
    assert given == [(f"run-{number}.json", expected) for number in (1, 2, 3)]
    assert "3 runs" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--runs", "1"), "use a whole number from 2"),
        (("--from", "a.json", "-k", "matmul"), "leave out -k matmul"),
    ],
)
def test_wrong_arguments_are_named(arguments: tuple[str, ...], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["selfcheck", "reproduce", *arguments])
    assert ended.value.code == 2
    assert said in capsys.readouterr().err


def test_a_run_that_fails_ends_the_command_with_its_last_words(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["--runs", "2", "--folder", str(tmp_path), "--tier", "enormous"]
    assert main(["selfcheck", "reproduce", *arguments]) == 2
    said = capsys.readouterr().err
    assert "run-1.json: the run ended with" in said
    assert "enormous" in said


@pytest.mark.usefixtures("cache")
def test_two_real_runs_are_repeated_and_a_third_records_how_they_agreed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--suite", SMALL, "--threads", "1", "--mode", "eager", "--budget", "8s"]
    assert main(["selfcheck", "reproduce", "--runs", "2", "--folder", str(tmp_path / "runs"), *options]) == 0
    assert "2 runs of" in capsys.readouterr().out
    later = finished_runs.make(tmp_path / "later.json", options)
    assert later.about["reproduction"]["runs"] == 2


def a_duet(tmp_path: Path, *verdicts: str, torch: str = "2.9.1") -> Path:
    side = {"label": "torch 2.9.1", "python": "/usr/bin/python", "python_version": "3.12.4", "torch": "2.9.1"}
    side |= {"cuda": None, "env": {}, "rev": None}
    benchmarks = make_run(1)["benchmarks"][: len(verdicts)]
    for benchmark, verdict in zip(benchmarks, verdicts, strict=True):
        benchmark["extra_info"][KEY]["against"] = {
            **{"stage": "screened", "verdict": verdict, "ratio": 1.0, "low": 0.98, "high": 1.02, "confidence": 0.99},
            **{"threshold": 0.02, "pairs": 5, "base_seconds": 1e-3, "seconds": 1e-3},
            **{"base_blocks": [[1e-3]], "blocks": [[1e-3]]},
        }
    content = document_of(benchmarks)
    content[KEY]["against"] = {
        **{"base": side, "against": {**side, "torch": torch}, "screened": len(verdicts), "confirmed": 1},
        **{"confidence": 0.99, "threshold": 0.02},
    }
    path = tmp_path / "duet.json"
    path.write_text(json.dumps(content))
    return path


@pytest.mark.usefixtures("cache")
def test_a_duet_of_an_interpreter_with_itself_gives_false_alarms(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = a_duet(tmp_path, "same", "unclear", "slower", "same")
    assert main(["selfcheck", "duet", "--from", str(path)]) == 0
    assert "1 of 4 comparisons of an interpreter with itself called faster or slower at ±2%" in capsys.readouterr().out
    found = DUET_CHECK.last(MACHINE, 1)
    assert found is not None
    assert found["half_width"] == pytest.approx(0.02, rel=0.01)
    check_run({**read(path).about, "duet_check": found})


def test_a_duet_of_two_versions_has_no_false_alarms(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["selfcheck", "duet", "--from", str(a_duet(tmp_path, "slower", torch="2.10.0"))]) == 2
    assert "the sides differ in torch" in capsys.readouterr().err
    (run,) = finished(tmp_path, 1)
    assert main(["selfcheck", "duet", "--from", str(run)]) == 2
    assert "is no duet" in capsys.readouterr().err
