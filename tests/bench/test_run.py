"""``pytest bench/`` as a user runs it: in a process of its own, on real files."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import fmean, median, stdev
from typing import Any

import pytest

from torchduet.bench.host.counters import COUNTS_CONTEXT_SWITCHES
from torchduet.bench.record.schema import GRADES
from torchduet.bench.timing.stopping import MIN_VISIT_PLACEMENTS

ROOT = Path(__file__).parents[2]
WORKLOADS = Path(__file__).parent / "workloads"
SMALL, BROKEN = str(WORKLOADS / "small.py"), str(WORKLOADS / "broken.py")


def pytest_bench(*arguments: str, timeout: float = 240) -> subprocess.CompletedProcess[str]:
    """Run ``pytest bench/`` with what a terminal of 200 columns would show."""
    environment = os.environ | {"COLUMNS": "200", "PYTHONWARNINGS": ""}
    return subprocess.run(
        [sys.executable, "-m", "pytest", "bench/", *arguments],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], str]:
    """A run of a small suite: its JSON and its output."""
    path = tmp_path_factory.mktemp("small") / "run.json"
    done = pytest_bench("--suite", SMALL, "--budget", "12s", "--threads", "1", "--benchmark-json", str(path))
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(path.read_text()), done.stdout


@pytest.fixture(scope="module")
def broken(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], subprocess.CompletedProcess[str]]:
    """A run in which most families fail, each in its own way."""
    path = tmp_path_factory.mktemp("broken") / "run.json"
    for budget in ("12s", "40s", "120s"):  # a busy machine takes longer until each had its turn
        done = pytest_bench("--suite", BROKEN, "--budget", budget, "--threads", "1", "--benchmark-json", str(path))
        run = json.loads(path.read_text())
        if not run["torchduet"]["unreached"] and not run["torchduet"]["skipped"]:
            break
    return run, done


def test_every_case_has_a_record_and_true_pytest_benchmark_statistics(small: tuple[dict[str, Any], str]) -> None:
    run, _ = small
    assert len(run["benchmarks"]) == 4
    for benchmark in run["benchmarks"]:
        record, stats = benchmark["extra_info"]["torchduet"], benchmark["stats"]
        placements = record["timing"]["blocks"]
        assert len(placements) >= MIN_VISIT_PLACEMENTS
        middles = [median(rounds) for rounds in placements]
        assert stats["data"] == middles
        assert stats["rounds"] == len(middles)
        assert (stats["min"], stats["max"]) == (min(middles), max(middles))
        assert (stats["mean"], stats["median"]) == pytest.approx((fmean(middles), median(middles)))
        assert stats["stddev"] == pytest.approx(stdev(middles))
        assert record["timing"]["low"] <= record["timing"]["seconds"] <= record["timing"]["high"]
        assert record["check"]["relative_error"] <= record["check"]["tolerance"]
        assert all(isinstance(value, str) for value in benchmark["params"].values())


def test_families_are_visited_in_turn_and_their_intervals_rest_on_all_visits(small: tuple[dict[str, Any], str]) -> None:
    run, _ = small
    records = [benchmark["extra_info"]["torchduet"] for benchmark in run["benchmarks"]]
    numbers = {record["case"]["family"]: len(record["timing"]["visits"]) for record in records}
    visits = run["torchduet"]["visits"]
    assert (visits["fewest"], visits["most"]) == (min(numbers.values()), max(numbers.values()))
    assert visits["most"] > 1
    begun: dict[str, list[float]] = {}
    for record in records:
        of_case = record["timing"]["visits"]
        assert sum(visit["placements"] for visit in of_case) == len(record["timing"]["blocks"])
        begun[record["case"]["family"]] = [visit["at"] for visit in of_case]
        for speedup in record["speedups"]:
            assert len(speedup["visit_ratios"]) == len(speedup["visit_errors"]) == len(of_case)
            assert speedup["interval"]["visits"] == len(of_case)
            assert min(speedup["visit_ratios"]) <= speedup["ratio"] <= max(speedup["visit_ratios"])
    assert all(times == sorted(times) for times in begun.values())
    first = max(times[0] for times in begun.values())  # every family is visited once before any is visited again
    assert all(time > first for times in begun.values() for time in times[1:])


def test_a_case_is_held_against_its_reference(small: tuple[dict[str, Any], str]) -> None:
    run, output = small
    records = {b["params"]["implementation"]: b["extra_info"]["torchduet"] for b in run["benchmarks"]}
    assert records["once"]["case"]["reference"]
    assert records["once"]["speedups"] == []
    against_reference, of_the_knob = records["twice"]["speedups"]
    assert against_reference["knob"] == "reference"
    assert (of_the_knob["knob"], of_the_knob["baseline"]) == ("implementation", "once")
    # Two additions and a Python loop instead of one: a third as fast on an idle machine.
    assert of_the_knob["ratio"] < 0.8
    assert of_the_knob["verdict"] in output
    assert "torchduet render" in output


def test_the_run_says_what_it_was(small: tuple[dict[str, Any], str]) -> None:
    run, _ = small
    record = run["torchduet"]
    assert record["options"]["threads"] == 1
    assert record["options"]["budget_seconds"] == 12
    assert record["machine"]["cores"] >= 1
    assert {entry["variant"] for entry in record["unavailable"]} <= {"cuda", "tf32", "compile"}
    assert 0 < record["seconds"]["timed"] < record["seconds"]["total"]


def test_noise_is_named_and_no_block_is_dropped(small: tuple[dict[str, Any], str]) -> None:
    run, output = small
    whole = run["torchduet"]
    first, *_, last = whole["pilots"]
    assert first["before"].startswith("small.")
    assert last["before"] == ""
    assert first["at"] < last["at"] < whole["seconds"]["total"]
    for pilot in whole["pilots"]:
        assert list(pilot["seconds"]) == ["arithmetic", "memory", "calls"]
        assert all(seconds > 0 for seconds in pilot["seconds"].values())
    assert whole["noise"]["grade"] in GRADES
    assert (whole["noise"]["grade"] == "quiet") == ("what would help" not in output)
    for benchmark in run["benchmarks"]:
        record = benchmark["extra_info"]["torchduet"]
        assert record["noise"]["grade"] in GRADES
        assert bool(record["noise"]["causes"]) == (record["noise"]["grade"] != "quiet")
        timing = record["timing"]
        if COUNTS_CONTEXT_SWITCHES:
            assert len(timing["disturbed"]) == len(timing["blocks"])
            assert all(0 <= n <= len(rounds) for n, rounds in zip(timing["disturbed"], timing["blocks"], strict=True))


def test_pytest_benchmark_compares_the_file(small: tuple[dict[str, Any], str], tmp_path: Path) -> None:
    path = tmp_path / "run.json"
    path.write_text(json.dumps(small[0]))
    done = subprocess.run(
        [sys.executable, "-m", "pytest_benchmark", "compare", str(path), "--group-by", "param:implementation"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "implementation=twice" in done.stdout


def test_what_fails_fails_alone_and_says_why(
    broken: tuple[dict[str, Any], subprocess.CompletedProcess[str]],
) -> None:
    run, done = broken
    assert done.returncode == 1
    measured = {b["params"]["workload"] for b in run["benchmarks"]}
    assert measured == {"fine", "observed_by_index", "wrong"}  # of "wrong", the right implementation
    reasons = {entry["case"]["workload"]: entry["reason"] for entry in run["torchduet"]["failed"]}
    assert "ValueError: no such thing (broken.py:" in reasons["raises"]
    assert "returned NaN" in reasons["not_a_number"]
    assert "its result is wrong: relative error 5.00e-04" in reasons["wrong"]
    assert "killed by SIGABRT" in reasons["aborts"]
    assert "about to abort" in reasons["aborts"]
    assert "out of memory" in reasons["out_of_memory"]
    assert "its inputs could not be made: it raised RuntimeError: the data is gone" in reasons["without_inputs"]
    assert "nothing to check" in reasons["nothing"]
    assert "return a tuple, for one value: (x,)" in reasons["without_a_tuple"]
    assert "Traceback" not in done.stdout
    assert "Benchmark fixture was not used" not in done.stdout + done.stderr


def test_dash_k_collect_only_and_the_reference_that_was_not_selected(tmp_path: Path) -> None:
    listed = pytest_bench("--suite", SMALL, "--collect-only", "-q", "-k", "sum and twice")
    assert "test_user[small-sum-n2000-twice-cpu-eager-fp32]" in listed.stdout
    assert "once" not in listed.stdout
    path = tmp_path / "run.json"
    done = pytest_bench(
        *(
            "--suite",
            SMALL,
            "-k",
            "twice",
            "--budget",
            "5s",
            "--threads",
            "1",
            "--benchmark-group-by",
            "param:implementation",
        ),
        *("--benchmark-json", str(path)),
    )
    assert "implementation=twice" in done.stdout
    (benchmark,) = json.loads(path.read_text())["benchmarks"]
    assert benchmark["extra_info"]["torchduet"]["speedups"][0]["against"].startswith("small.sum[n=2000] once")


def test_benchmark_disable_checks_without_timing() -> None:
    done = pytest_bench("--suite", SMALL, "--benchmark-disable", "-rs")
    assert done.returncode == 0
    assert "4 skipped" in done.stdout
    assert "checked, not timed" in done.stdout


def test_what_the_machine_cannot_run_is_skipped_with_the_reason() -> None:
    done = pytest_bench("--suite", "matmul", "--precision", "tf32", "--device", "cpu", "-rs", "-k", "square")
    assert done.returncode == 0, done.stdout
    assert "TF32 needs a CUDA GPU of compute capability 8.0 or newer" in done.stdout
    assert "passed" not in done.stdout


def test_a_used_up_budget_skips_the_rest_with_the_reason() -> None:
    done = pytest_bench("--suite", SMALL, "--budget", "0.01s", "-rs")
    assert done.returncode == 0
    assert "too little was left of the run's budget of" in done.stdout
    assert "; raise --budget" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--tier", "huge"), "--tier 'huge': choose from quick, default, full"),
        (("--mode", "jit"), "--mode 'jit': jit is not known; choose from eager, compile"),
        (("--precision", "fp8"), "--precision 'fp8': fp8 is not known"),
        (("--device", "gpu"), "--device 'gpu': use cpu, cuda or cuda:N"),
        (("--threads", "0"), "--threads '0': use a whole number"),
        (("--budget", "soon"), "--budget 'soon': use a time such as 90s"),
        (("--suite", "nosuch"), "nosuch"),
        (("--suite", "nosuch.py"), "nosuch.py"),
        (
            ("--benchmark-json", "/no/such/folder/run.json"),
            "--benchmark-json /no/such/folder/run.json: cannot be written",
        ),
        (("--benchmark-json", "tests"), "--benchmark-json tests: is a folder"),
        (("--aa", "--against-env", "A=1"), "--aa measures the suite against itself"),
    ],
)
def test_a_wrong_option_is_one_clear_line(arguments: tuple[str, ...], message: str) -> None:
    done = pytest_bench(*arguments)
    assert done.returncode == 4
    assert message in done.stderr
    assert "Traceback" not in done.stdout + done.stderr


def test_what_a_workload_asks_for_reaches_it_and_what_it_notes_is_recorded(tmp_path: Path) -> None:
    path = tmp_path / "run.json"
    # With a short name: sockets are made below it.
    temporary = Path(tempfile.mkdtemp(prefix="td-", dir="/tmp" if Path("/tmp").is_dir() else None))
    done = subprocess.run(
        [
            *(sys.executable, "-m", "pytest", "bench/", "--suite", str(WORKLOADS / "asking.py")),
            *("--budget", "20s", "--threads", "1", "--benchmark-json", str(path), "-rs"),
        ],
        cwd=ROOT,
        env=os.environ | {"COLUMNS": "200", "TMPDIR": str(temporary)},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    run = json.loads(path.read_text())
    records = {
        one["extra_info"]["torchduet"]["case"]["id"]: one["extra_info"]["torchduet"] for one in run["benchmarks"]
    }
    two = records["asking.everything cpu eager fp32 workers2"]
    assert two["case"]["workers"] == 2
    assert two["meters"]["workers"]["median"] == 2
    seeds, visits = two["meters"]["seed"]["values"], two["timing"]["visits"]
    assert seeds[: visits[0]["placements"]] == list(range(1, visits[0]["placements"] + 1))
    assert len(set(seeds)) == len(seeds) == sum(visit["placements"] for visit in visits)  # another in each placement
    assert two["meters"]["add"]["unit"] == "s"
    assert [one["knob"] for one in two["speedups"]] == ["reference", "workers"]
    assert [name for name, record in records.items() if "rests" in record["timing"]] == ["asking.waits cpu eager fp32"]
    assert records["asking.made setup cpu eager fp32"]["first_call"]["setup"] > 0
    assert records["asking.made setup cpu eager fp32"]["peak_bytes"] >= 4000
    (missing,) = run["torchduet"]["skipped"]
    assert missing["reason"] == "nothing is not installed: pip install nothing"
    (ceilings,) = run["torchduet"]["ceilings"]
    assert ceilings["flops_per_second"]["fp32"] > 0
    assert [entry.name for entry in temporary.iterdir() if entry.name.startswith("torchduet")] == []
    assert list(temporary.rglob("left behind")) == []
    shutil.rmtree(temporary)


def test_two_files_with_one_suites_name_are_refused(tmp_path: Path) -> None:
    copy = tmp_path / "small.py"
    copy.write_text(Path(SMALL).read_text())
    done = pytest_bench("--suite", SMALL, "--suite", str(copy), "--collect-only")
    assert done.returncode == 4
    assert "has a suite named" in done.stderr


def test_asking_for_what_no_workload_has_is_answered() -> None:
    done = pytest_bench("--suite", SMALL, "--precision", "bf16", "--collect-only", "-q")
    assert (
        "--precision bf16: no selected workload has it; a workload lists its precisions=" in done.stdout + done.stderr
    )
