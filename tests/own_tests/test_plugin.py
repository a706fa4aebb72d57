"""The pytest plugin in a user's project: its fixture, marker and options, and what it leaves alone."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy  # noqa: F401 (imported here, so that a pytest within this process does not import it a second time)
import pytest
import torch  # noqa: F401 (the same)

from torchduet import ComparisonError
from torchduet.__main__ import main

pytest_plugins = ["pytester"]
ROOT = Path(__file__).parents[2]

FUNCTIONS = """
import pytest, torch

def once(x): return torch.exp(x)
def thrice(x):
    torch.exp(x); torch.exp(x)
    return torch.exp(x)
def other(x): return x.exp()
def wrong(x): return torch.exp(x + 1)
X = torch.randn(3000)
"""
QUICK = ("--duet-budget", "400ms", "--duet-threads", "1", "--duet-no-processes")
HEAVY = ("torch", "numpy", "pandas", "msgspec", "matplotlib", "cloudpickle", "tqdm", "torchduet.bench")


@pytest.fixture
def project(pytester: pytest.Pytester) -> pytest.Pytester:
    """A project with one file of tests, which measures quickly."""
    pytester.makepyfile(
        test_speed=FUNCTIONS
        + """
def test_faster(duet): duet(once, thrice, X).assert_not_slower(by="5%")

@pytest.mark.parametrize("n", [64, 3000])
def test_slower(duet, n):
    duet({"thrice": thrice, "once": once}, torch.randn(n)).assert_not_slower(unclear="fail")

def test_wrong(duet):
    duet({"wrong": wrong, "other": other, "once": once}, X)

def test_twice_as_much(duet):
    duet({"once": once, "thrice": thrice}, X)
    duet({"once": once, "thrice": thrice}, inputs=lambda n: (torch.randn(n),), axes={"n": [20]}, budget="1h")

def test_without(): pass
"""
    )
    return pytester


def run(pytester: pytest.Pytester, *arguments: str) -> pytest.RunResult:
    """Pytest in a process of its own, with small budgets."""
    return pytester.runpytest_subprocess(*QUICK, *arguments, timeout=120)


def lines_of(result: pytest.RunResult, start: str) -> list[str]:
    return [line for line in result.outlines if line.startswith(start)]


def test_tests_pass_and_fail_by_their_speed_and_all_are_in_the_table_and_in_the_file(project: pytest.Pytester) -> None:
    result = run(project, "--duet-json", "duets.json")
    result.assert_outcomes(passed=3, failed=3)
    table = result.outlines[next(at for at, line in enumerate(result.outlines) if "= duets =" in line) :]
    assert table[1].split() == ["test", "function", "against", "speed-up", "99", "%", "interval", "verdict"]
    assert [line.split()[:3] for line in table[2:10]] == [
        ["test_speed.test_faster", "once", "thrice"],
        ["test_speed.test_slower[64]", "thrice", "once"],
        ["test_speed.test_slower[3000]", "thrice", "once"],
        ["test_speed.test_wrong", "other", "once"],
        ["test_speed.test_wrong", "wrong", "once"],
        ["test_speed.test_twice_as_much", "once", "thrice"],
        ["test_speed.test_twice_as_much", "#2", "once"],
        ["7", "comparisons:", "1"],
    ]
    (speed, wrong) = (
        [line for line in lines_of(result, "E ") if words in line] for words in ("times as long", "different results")
    )
    assert len(speed) == 2
    assert all(
        re.match(r"E +AssertionError: thrice (?:takes|may take) [\d.]+ times as long as once \([\d.]+ to ", line)
        for line in speed
    )
    assert len(wrong) == 1
    assert "compare: wrong and once return different results" in wrong[0]
    assert not [line for line in result.outlines if "comparison.py" in line or "fixture.py" in line]
    document = json.loads((project.path / "duets.json").read_text("utf-8"))
    assert [entry["case"]["workload"] for entry in document["torchduet"]["failed"]] == ["test_wrong"]
    assert {benchmark["params"]["workload"] for benchmark in document["benchmarks"]} == {
        "test_faster",
        *("test_slower[64]", "test_slower[3000]", "test_wrong", "test_twice_as_much", "test_twice_as_much #2"),
    }


def test_the_file_of_a_session_is_read_by_all_commands(project: pytest.Pytester) -> None:
    for name in ("a.json", "b.json"):
        result = run(project, "-k", "twice or faster", "--benchmark-json", name, "-q")
        assert result.ret == 0
        assert lines_of(result, "duets: 3 comparisons: ")
        assert "Not saving anything" not in result.stdout.str() + result.stderr.str()
        assert "= duets =" not in result.stdout.str()
    assert main(["render", "a.json", "-o", "a.html", "--markdown", "a.md"]) == 0
    assert "test_speed.test_twice_as_much" in Path("a.html").read_text("utf-8")
    assert "test_speed.test_twice_as_much #2[n=20]" in Path("a.html").read_text("utf-8")
    assert main(["compare", "a.json", "b.json", "-o", "c.html"]) in (0, 1)
    assert main(["export", "a.json", "-o", "a.csv"]) == 0
    assert len(Path("a.csv").read_text("utf-8").splitlines()) == 7
    listed = subprocess.run(
        [sys.executable, "-m", "pytest_benchmark", "compare", "a.json", "b.json"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert listed.stdout.count("test_speed.test_faster once cpu eager fp32") == 2


def test_duets_stand_beside_the_benchmarks_of_pytest_benchmark(project: pytest.Pytester) -> None:
    project.makepyfile(test_more="def test_theirs(benchmark): benchmark(lambda: 1)")
    assert run(project, "-k", "faster or theirs", "--benchmark-json", "a.json", "--benchmark-max-time", "0.01").ret == 0
    names = [each["name"] for each in json.loads(Path("a.json").read_text("utf-8"))["benchmarks"]]
    assert names == ["test_theirs", *(f"test_speed.test_faster {each} cpu eager fp32" for each in ("thrice", "once"))]
    assert main(["render", "a.json", "-o", "a.html"]) == 0


def test_without_pytest_benchmark_and_without_a_terminal(project: pytest.Pytester) -> None:
    result = run(project, "-k", "faster", "-p", "no:benchmark", "-p", "no:terminal", "--duet-json", "duets.json")
    assert result.ret == 0
    assert main(["render", "duets.json", "-o", "a.html"]) == 0


def test_a_file_that_cannot_be_written_fails_the_session(project: pytest.Pytester) -> None:
    project.makepyfile(
        test_speed=FUNCTIONS
        + """
def test_faster(duet):
    duet(once, thrice, X)
    import pathlib; pathlib.Path("out").rmdir()
"""
    )
    Path("out").mkdir()
    result = run(project, "--duet-json", "out/duets.json")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    assert [line for line in result.outlines if re.match(r"--duet-json: .*duets.json cannot be written: No such", line)]


def test_disabled_benchmarks_check_results_and_time_nothing(project: pytest.Pytester) -> None:
    project.makepyfile(test_more=FUNCTIONS + "def test_reads(duet): assert duet(once, thrice, X)['once'].speedup > 1")
    result = run(project, "--benchmark-disable", "-rs", "--duet-json", "duets.json")
    result.assert_outcomes(passed=5, failed=1, skipped=1)
    assert [line for line in lines_of(result, "E ") if "compare: wrong and once return different results" in line]
    assert [line for line in result.outlines if "the results are right; there is no time of 'once'" in line]


@pytest.mark.parametrize("option", ["--duet-skip", "--benchmark-skip"])
def test_duets_are_skipped_before_anything_is_imported(project: pytest.Pytester, option: str) -> None:
    result = project.runpytest_inprocess(option, "-rs")
    result.assert_outcomes(passed=1, skipped=5)
    assert [line for line in result.outlines if f"skipped by {option}" in line]
    assert "= duets =" not in result.stdout.str()


def test_only_duets_are_run(project: pytest.Pytester) -> None:
    result = project.runpytest_inprocess("--duet-only", "--collect-only", "-q")
    assert len(lines_of(result, "test_speed.py::")) == 5
    assert "= duets =" not in result.stdout.str()


def test_a_fixture_that_is_asked_for_within_a_test_is_skipped_as_well(pytester: pytest.Pytester) -> None:
    pytester.makepyfile("def test_late(request): request.getfixturevalue('duet')")
    pytester.runpytest_inprocess("--duet-skip").assert_outcomes(skipped=1)


def test_beside_other_tests_of_xdist_duets_are_skipped(project: pytest.Pytester) -> None:
    result = run(project, "-n", "2", "-rs", "--duet-json", "duets.json")
    result.assert_outcomes(passed=1, skipped=5)
    assert [
        line
        for line in result.outlines
        if "2 pytest-xdist workers would disturb the timing; run duets with -n 0" in line
    ]
    assert "--duet-json: no duet was measured, so duets.json is not written" in result.outlines


def test_with_one_worker_of_xdist_duets_are_measured(project: pytest.Pytester) -> None:
    result = run(project, "-n", "1", "-k", "faster", "--duet-json", "a.json", "--benchmark-json", "b.json")
    result.assert_outcomes(passed=1)
    assert lines_of(result, "test_speed.test_faster  once ")
    for name in ("a.json", "b.json"):
        assert main(["render", name, "-o", "a.html"]) == 0


def test_defaults_of_markers_and_options(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
import pytest
pytestmark = pytest.mark.duet(budget="3s", threshold="4%")

@pytest.mark.duet(budget="2s", mode="compile")
class TestOne:
    @pytest.mark.duet(budget="1s")
    def test_one(self, duet):
        assert duet._keywords((), {}) == {"budget": "1s", "mode": "compile", "threshold": 0.03}
        assert duet._keywords((), {"mode": "eager"})["mode"] == "eager"

@pytest.mark.duet(inputs=len)
def test_inputs(duet):
    assert duet._keywords((), {})["inputs"] is len
    assert "inputs" not in duet._keywords((1,), {})

def test_module(duet):
    assert duet._keywords((), {"threshold": "9%"}) == {"budget": "3s", "threshold": 0.03}
"""
    )
    pytester.runpytest_inprocess("--duet-threshold", "3%", "--strict-markers").assert_outcomes(passed=3)


@pytest.mark.parametrize(
    ("marker", "words"),
    [
        (
            "bugdet='3s'",
            "test_it.py::test_it: @pytest.mark.duet has no keyword bugdet=; use those of torchduet.compare",
        ),
        ("'3s'", "test_it.py::test_it: @pytest.mark.duet takes keywords, such as budget='3s', and no '3s'"),
    ],
)
def test_a_wrong_marker_is_named_with_its_test(pytester: pytest.Pytester, marker: str, words: str) -> None:
    pytester.makepyfile(test_it=f"import pytest\n@pytest.mark.duet({marker})\ndef test_it(duet): pass")
    result = pytester.runpytest_inprocess()
    result.assert_outcomes(errors=1)
    assert lines_of(result, words)


@pytest.mark.parametrize(
    "option",
    [
        "--duet-budget=soon",
        "--duet-budget=-1s",
        "--duet-threshold=0",
        "--duet-threads=0",
        "--duet-threads=two",
        "--duet-unclear=maybe",
        "--duet-json=",
        "--duet-json=missing/duets.json",
    ],
)
def test_a_wrong_value_is_one_line_that_names_the_option(pytester: pytest.Pytester, option: str) -> None:
    result = pytester.runpytest_inprocess(option)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    (line,) = [line for line in result.errlines if line]
    assert line.startswith(f"ERROR: {option.partition('=')[0]}=")


def test_no_test_would_be_left(pytester: pytest.Pytester) -> None:
    result = pytester.runpytest_inprocess("--duet-only", "--duet-skip")
    assert result.ret == pytest.ExitCode.USAGE_ERROR


def test_what_is_unclear_fails_only_where_that_is_asked_for(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        test_it=FUNCTIONS
        + """
def test_told(duet): duet(once, other, X).assert_not_slower(by=1e-9)
def test_says_fail(duet):
    compared = duet(once, other, X)
    with pytest.raises(AssertionError, match="may take|takes"): compared.assert_not_slower(by=1e-9, unclear="fail")
def test_says_pass(duet): duet(once, other, X).assert_not_slower(by="50%", unclear="pass")
"""
    )
    result = run(pytester, "--duet-unclear", "fail")
    result.assert_outcomes(passed=2, failed=1)
    assert re.search(r"E +AssertionError: once (may take|takes) [\d.]+ times as long as other", result.stdout.str())


def test_functions_reach_fresh_processes_by_import_and_by_their_code(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        helper=FUNCTIONS,
        conftest="def from_conftest(x): return x.exp()",
        test_it="""
import torch
from conftest import from_conftest
from helper import once

def here(x): return torch.exp(x)

def test_all(duet):
    scale = torch.ones(1)
    functions = {"once": once, "conftest": from_conftest, "here": here, "within": lambda x: here(x) * scale}
    found = duet(functions, torch.randn(1000), threads=1, budget="9s")
    assert found._finished.visits[1] > 0, found.covers

def test_alone(duet, tmp_path):
    file = (tmp_path / "open").open("w")
    def holds(x):
        file.write("")
        return here(x)
    duet({"holds": holds, "once": once}, torch.randn(1000), threads=1, budget="400ms")
""",
    )
    result = pytester.runpytest_subprocess(timeout=120)
    result.assert_outcomes(passed=2)
    assert len(lines_of(result, "measured by this process only, so intervals may be too narrow: ")) == 1


def test_nothing_is_shown_or_measured_without_a_duet(project: pytest.Pytester) -> None:
    before = set(sys.modules)
    result = project.runpytest_inprocess("--collect-only", "-q", "--duet-json", "duets.json")
    assert len(lines_of(result, "test_speed.py::")) == 6
    result = project.runpytest_inprocess("-k", "without")
    assert "= duets =" not in result.stdout.str()
    assert not {name for name in set(sys.modules) - before if name.startswith("torchduet.bench.library")}
    assert not Path("duets.json").exists()


def test_nothing_else_is_added_to_pytest(pytester: pytest.Pytester) -> None:
    def words(pattern: str, *arguments: str) -> set[str]:
        return set(re.findall(pattern, pytester.runpytest_inprocess(*arguments).stdout.str(), re.M))

    for pattern, asked in (
        (r"^ *(-[\w-]+)", "--help"),
        (r"^  ([a-z_]+) \(", "--help"),
        (r"^@pytest.mark.(\w+)", "--markers"),
        (r"^(\w+)(?: \[| --)", "--fixtures"),
    ):
        added = words(pattern, asked) - words(pattern, asked, "-p", "no:torchduet")
        assert all(word == "duet" or word.startswith("--duet-") for word in added), added
        assert added or pattern.startswith("^  (")


def test_torchduets_own_runs_are_as_without_the_plugin() -> None:
    command = (
        sys.executable,
        "-m",
        "pytest",
        "bench/",
        "--suite",
        "matmul",
        "-k",
        "n64 and eager",
        "--benchmark-disable",
    )
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "= duets =" not in done.stdout
    assert "checked, not timed (--benchmark-disable)" in done.stdout


def test_the_plugin_imports_nothing_heavy() -> None:
    code = f"import sys, torchduet.pytest_plugin; print([name for name in {HEAVY} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


@pytest.mark.skipif(os.name != "posix", reason="sends SIGINT")
def test_ctrl_c_ends_pytest_with_the_duets_so_far(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        test_it=FUNCTIONS
        + """
import pathlib
def test_first(duet): duet(once, thrice, X)
def test_second(duet):
    def begun(x):
        pathlib.Path("begun").touch()
        return once(x)
    duet({"begun": begun, "once": once}, X, budget="100s", check=False)
def test_third(duet): duet(once, thrice, X)
"""
    )
    command = [sys.executable, "-m", "pytest", "--duet-threads=1", "--duet-json=duets.json", "--duet-no-processes"]
    pytester.makeini("[pytest]\n")
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        for _ in range(600):
            if Path("begun").exists():
                break
            time.sleep(0.1)
        time.sleep(1)
        process.send_signal(signal.SIGINT)
        output, _ = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == pytest.ExitCode.INTERRUPTED
    assert "\ntest_it.test_first" in output
    assert "test_it.test_third" not in output
    names = {each["params"]["workload"] for each in json.loads(Path("duets.json").read_text("utf-8"))["benchmarks"]}
    assert "test_first" in names


def test_a_comparison_error_has_what_was_measured() -> None:
    assert ComparisonError("nothing").comparison is None
