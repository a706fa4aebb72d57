"""``torchduet.compare`` as a program uses it: real measurements, short ones."""

from __future__ import annotations

import copy
import gc
import math
import os
import random
import signal
import subprocess
import sys
import textwrap
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import torchduet
from torchduet.comparison import Comparison
from torchduet.reports.findings.advice import answers
from torchduet.reports.read.run_file import load
from torchduet.reports.tables.frames import frames

SHORT = "0.6s"
X = torch.randn(64, 64)


def once(x: torch.Tensor) -> torch.Tensor:
    return torch.tanh(x)


def five_times(x: torch.Tensor) -> torch.Tensor:
    for _ in range(4):
        torch.tanh(x)
    return torch.tanh(x)


@pytest.fixture(scope="module")
def found() -> Comparison:
    """A real comparison whose times are replaced: what a busy machine makes of them is no matter of these tests."""
    real = torchduet.compare({"slow": five_times, "fast": once}, X, budget="2s", label="tanh", threads=1)
    finished = copy.deepcopy(real._finished)
    for record in finished.records:
        longer = 5 if record["case"]["implementation"] == "slow" else 1
        blocks = record["timing"]["blocks"]
        record["timing"]["blocks"] = [
            [1e-5 * longer * (1 + 1e-4 * ((7 * place + longer) % 5)) for _ in rounds]
            for place, rounds in enumerate(blocks)
        ]
        for speedup in record["speedups"]:
            speedup["verdict"] = "slower"
        record["notes"] = []
    return Comparison(finished, real.names, real.baseline, 0.02)


def test_speed_up_interval_and_verdict(found: Comparison) -> None:
    slow, fast = found["slow"], found["fast"]
    assert found.baseline == "fast"
    assert slow.verdict == "slower"
    assert slow.low <= slow.speedup <= slow.high < 1
    assert fast.speedup == 1
    assert fast.baseline is None
    assert slow.seconds > fast.seconds > 0
    other_way = fast.against("slow")
    assert other_way.verdict == "faster"
    assert other_way.speedup == pytest.approx(1 / slow.speedup)
    assert found._finished.visits[1] > 0, found.covers
    assert "by fresh processes" in found.covers


def test_it_prints_the_answer_and_a_table(found: Comparison) -> None:
    text = str(found)
    assert text.startswith("slow is 0.")
    assert "as fast as fast" in text
    assert "time per call" in text
    assert "- slower" in text


def test_assert_not_slower(found: Comparison) -> None:
    with pytest.raises(AssertionError, match=r"slow takes .* times as long as fast \(.*, 99 %\); allowed are 1\.05"):
        found.assert_not_slower()
    with pytest.raises(AssertionError):
        found.assert_not_slower("slow", than="fast", by=0.5, unclear="fail")
    found.assert_not_slower("fast", than="slow", by="1%", unclear="fail")
    found.assert_not_slower("slow", than="fast", by=9.0)
    with pytest.raises(ValueError, match="by='much'"):
        found.assert_not_slower(by="much")
    with pytest.raises(ValueError, match="unclear='maybe': use 'pass' or 'fail'"):
        found.assert_not_slower(unclear="maybe")
    with pytest.raises(KeyError, match="no function is named 'third'; there are 'slow', 'fast'"):
        found.assert_not_slower("third")


def test_an_assertion_about_a_case_that_failed_is_no_success() -> None:
    def only_four(x: torch.Tensor) -> torch.Tensor:
        if len(x) != 4:
            raise RuntimeError("too long")
        return x * 2

    found = torchduet.compare(
        {"only_four": only_four, "sum": lambda x: x + x},
        inputs=lambda n: (torch.randn(n),),
        axes={"n": [4, 8]},
        budget=SHORT,
        label="the sum of two",  # in which a function's name is a word
        processes=False,
    )
    reason = "not every case was measured: n=8 only_four: it raised RuntimeError: too long"
    for arguments in ({"name": "only_four"}, {}, {"than": "only_four"}):
        with pytest.raises(torchduet.ComparisonError, match=reason):
            found.assert_not_slower(by=9.0, **arguments)  # type: ignore[arg-type]


def test_it_is_a_run_like_any_other(found: Comparison, tmp_path: Path) -> None:
    path = found.save(tmp_path / "run.json")
    run = load(path)
    assert [record["case"]["implementation"] for record in run.records] == ["fast", "slow"]
    assert run.records[1]["case"]["workload"] == "tanh"
    page = tmp_path / "run.html"
    for arguments in (("render", str(path), "-o", str(page)), ("export", str(path), "-o", str(tmp_path / "run.csv"))):
        done = subprocess.run(
            [sys.executable, "-m", "torchduet", *arguments], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
    assert "tanh" in page.read_text("utf-8")
    with pytest.raises(FileNotFoundError):
        found.save(tmp_path / "missing" / "run.json")


def test_pandas(found: Comparison) -> None:
    table = found.to_pandas().set_index("function")
    assert table.loc["slow", "verdict"] == "slower"
    assert table.loc["slow", "baseline"] == "fast"
    assert table.loc["slow", "low"] <= table.loc["slow", "speedup"] <= table.loc["slow", "high"]


def test_a_pure_precision_converts_inputs_and_what_functions_capture_and_is_held_against_autocast(
    tmp_path: Path,
) -> None:
    model, x = torch.nn.Linear(32, 32), torch.randn(8, 32)
    precisions = ["fp32", "bf16", "bf16-pure"]
    found = torchduet.compare({"layer": lambda x: model(x)}, x, precision=precisions, budget="1s", processes=False)
    pure = found.find("layer", precision="bf16-pure")
    assert pure.record["check"]["relative_error"] > 1e-4  # the weights were rounded, too
    assert "computes_in" not in pure.record["check"]
    held = [(speedup["knob"], speedup["baseline"]) for speedup in pure.record["speedups"]]
    assert held[1:] == [("precision", "fp32"), ("precision", "bf16")]
    assert model.weight.dtype == x.dtype == torch.float32
    found.save(tmp_path / "run.json")
    titles = [answer.title for answer in answers(frames(load(tmp_path / "run.json")).comparisons)]
    assert titles == ["bf16 autocast", "pure bf16", "pure bf16 instead of autocast"]


def test_sizes_and_precisions() -> None:
    found = torchduet.compare(
        {"mm": torch.mm, "at": lambda a, b: a @ b},
        inputs=lambda n: (torch.randn(n, n), torch.randn(n, n)),
        axes={"n": [16, 32]},
        precision=["fp32", "bf16"],
        baseline="mm",
        budget="2s",
    )
    assert len(found) == 8
    assert found["at", 16, "bf16"].size == {"n": 16}
    assert found.find("mm", n=32, precision="fp32").baseline is None
    assert found["at", "n=32", "bf16"].baseline is found["mm", 32, "bf16"]
    assert found["mm", 16, "bf16"].baseline is found["mm", 16, "fp32"]
    with pytest.raises(KeyError, match="'at' has 4 cases; add n or precision"):
        _ = found["at"]
    with pytest.raises(KeyError, match="no case of 'at' 64"):
        _ = found["at", 64]
    with pytest.raises(torchduet.ComparisonError, match="have different sizes"):
        found["at", 16, "fp32"].against(found["at", 32, "fp32"])


def test_the_program_is_left_as_it_was() -> None:
    x, weight = torch.randn(32, 32), torch.randn(32, 32)
    view = x[1:]
    calls: list[int] = []

    def counting(y: torch.Tensor) -> torch.Tensor:
        calls.append(1)
        return y.mul_(weight)

    random.seed(1)
    np.random.seed(2)
    torch.manual_seed(3)

    def state() -> list[Any]:
        return [
            random.getstate(),
            np.random.get_state()[1].tolist(),  # type: ignore[index]
            torch.get_rng_state().tolist(),
            torch.get_num_threads(),
            torch.get_float32_matmul_precision(),
            gc.isenabled(),
            gc.get_freeze_count() > 0,
            signal.getsignal(signal.SIGINT),
            signal.getsignal(signal.SIGCONT),
            dict(os.environ),
            {thread.name for thread in threading.enumerate()},
            (x.data_ptr(), view.data_ptr(), weight.data_ptr()),
            (x.tolist(), weight.tolist()),
        ]

    before = state()
    found = torchduet.compare(counting, lambda y: y.mul_(weight), x, budget=SHORT)
    for place, (old, new) in enumerate(zip(before, state(), strict=True)):
        assert old == new, place
    assert view.data_ptr() == x[1:].data_ptr()
    assert calls == []
    assert any("a call changes its input" in note and "put back" in note for note in found["counting"].notes)


def test_functions_that_cannot_be_taken_along_are_measured_here() -> None:
    lock = threading.Lock()

    def locked(x: torch.Tensor) -> torch.Tensor:
        with lock:
            return torch.tanh(x)

    found = torchduet.compare(locked, once, X, budget="3s", threads=1)
    assert found._finished.visits[0] > 1
    assert found._finished.visits[1] == 0
    assert "visits by this process" in found.covers
    assert "cannot pickle '_thread.lock' object" in found.covers
    alone = torchduet.compare(five_times, once, X, budget=SHORT, processes=False)
    assert "processes=False was given" in alone.covers


def test_a_result_that_differs_for_other_values_is_noted() -> None:
    weights = torch.ones(64)
    found = torchduet.compare(
        {"forgot": lambda x, _: torch.tanh(x), "right": lambda x, w: torch.tanh(x) * w}, X, weights, budget=SHORT
    )
    notes = found["forgot"].notes
    assert any("with other values of the inputs its result differs from that of right" in note for note in notes)
    assert "may hide a mistake" in str(found)
    same = torchduet.compare(lambda x: x * 2, lambda x: x + x, X, budget=SHORT)
    assert not any("other values" in note for result in same for note in result.notes)


def test_a_fresh_process_that_computes_something_else_is_not_used() -> None:
    here = os.getpid()
    found = torchduet.compare(
        lambda x: x + (os.getpid() == here), lambda x: (os.getpid() == here) + x, X, budget="2s", threads=1
    )
    assert found._finished.visits[1] == 0
    assert "its result is another one in a fresh process" in found.covers


def test_gradients_are_recorded_as_in_the_program() -> None:
    weight = torch.nn.Parameter(torch.ones(64))
    with torch.no_grad():
        found = torchduet.compare(lambda x: (x * weight).requires_grad + x, lambda x: x + 0, X, budget=SHORT)
    assert "another one" not in found.covers


@pytest.mark.skipif(os.name != "posix", reason="descriptors of POSIX")
@pytest.mark.parametrize("way", ["closed standard streams", "a working folder that was removed"])
def test_programs_in_odd_places(way: str, tmp_path: Path) -> None:
    out = tmp_path / "out"
    gone = tmp_path / "gone"
    gone.mkdir()
    program = f"""
import os, shutil, torch
if {way.startswith("a")}:
    os.chdir({str(gone)!r}); shutil.rmtree({str(gone)!r})
import torchduet
found = torchduet.compare(lambda x: x + 1, lambda x: 1 + x, torch.ones(8), budget="1s", progress=False)
with open({str(out)!r}, "w") as file:
    file.write(str(len(found)))
"""
    redirected = f'exec "{sys.executable}" -c "$1"' + (" <&- >&- 2>&-" if way.startswith("closed") else "")
    command = ["sh", "-c", redirected, "sh", program]
    subprocess.run(command, check=False, timeout=100, capture_output=not way.startswith("closed"))
    assert out.exists()
    assert out.read_text() == "2"


def test_time() -> None:
    found = torchduet.time(once, X, budget=SHORT)
    assert len(found) == 1
    assert found["once"].baseline is None
    assert str(found).startswith("once takes ")
    assert found["once"].seconds > 0
    found.assert_not_slower()


def test_compiled_by_its_author() -> None:
    found = torchduet.compare({"compiled": torch.compile(once), "eager": once}, X, budget="1s")
    assert found["compiled"].mode == "compile"
    assert found["compiled"].record["compile"] is not None
    assert found["eager"].mode == "eager"
    assert math.isfinite(found["compiled"].speedup)


def test_three_functions_against_each_other() -> None:
    found = torchduet.compare([five_times, once, lambda x: torch.tanh(x) + 0], X, budget="2s")
    names = found.names
    assert names == ("five_times", "once", "h")
    ratio, other_way = found["five_times"].against("once"), found["once"].against("five_times")
    assert other_way.speedup == pytest.approx(1 / ratio.speedup)
    assert (other_way.low, other_way.high) == pytest.approx((1 / ratio.high, 1 / ratio.low))


def raises(_: torch.Tensor) -> torch.Tensor:
    raise ZeroDivisionError("of mine")


@pytest.mark.parametrize(
    ("arguments", "keywords", "words"),
    [
        ((once, lambda x: torch.tanh(x) + 1, X), {}, "once and g return different results: relative error"),
        ((raises, once, X), {}, r"raises: it raised ZeroDivisionError: of mine \(test_compare.py:"),
        ((once, raises, X), {}, r"raises: in float64 on the CPU, for the check, it raised ZeroDivisionError: of mine"),
        ((once, X), {}, "one function in one mode, so nothing is compared"),
        ((once, five_times, X), {"device": "cuda:7"}, r"device='cuda:7': "),
        ((once, five_times, X), {"baseline": "f"}, "baseline='f' is no function; there are once, five_times"),
        ((once, five_times, iter([X])), {}, "input 1 is a list_iterator, which the first call uses up"),
        (({},), {}, "no functions to time"),
    ],
)
def test_what_cannot_be_compared_is_one_line(arguments: Any, keywords: Any, words: str) -> None:
    if str(keywords.get("device", "")).startswith("cuda") and torch.cuda.device_count() > 7:
        pytest.skip("this machine has such a GPU")
    with pytest.raises(torchduet.ComparisonError, match=words) as refused:
        torchduet.compare(*arguments, budget=SHORT, **keywords)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("keywords", "words"),
    [
        ({"budget": "soon"}, "budget='soon': use a time such as '3s'"),
        ({"budget": 0}, "budget=0: use a time"),
        ({"threshold": "0%"}, "threshold='0%': use a percentage"),
        ({"threads": 0}, "threads=0: use a whole number from 1"),
        ({"modes": "eager"}, "there is no keyword modes="),
        ({"inputs": (X,)}, "inputs are given twice"),
    ],
)
def test_arguments_that_cannot_be_used(keywords: Any, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        torchduet.compare(once, five_times, X, **keywords)


SCRIPT = """
import torch, torchduet
W = torch.ones(8)
def mine(x):
    return x * W
found = torchduet.compare(mine, lambda x: W * x, torch.ones(8), budget="1s")
print("visits", found._finished.visits)
"""


@pytest.mark.parametrize("way", ["a file without a main guard", "standard input", "-c"])
def test_programs_without_a_main_guard(way: str, tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text(SCRIPT)
    arguments = {"standard input": ["-"], "-c": ["-c", SCRIPT]}.get(way, ["program.py"])
    done = subprocess.run(
        [sys.executable, *arguments],
        input=SCRIPT,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("visits (1, ")
    assert "visits (1, 0)" not in done.stdout


def test_ctrl_c_prints_what_was_found_and_goes_on() -> None:
    program = textwrap.dedent(
        """
        import os, signal, threading, torch, torchduet
        x = torch.ones(8)
        threading.Timer(4, os.kill, (os.getpid(), signal.SIGINT)).start()
        try:
            torchduet.compare(lambda x: x + 1, lambda x: 1 + x, x, budget="60s")
        except KeyboardInterrupt as interrupt:
            print("interrupted with", len(interrupt.comparison), "results")
        again = torchduet.compare(lambda x: x + 1, lambda x: 1 + x, x, budget="0.6s")
        print("again", len(again))
        """
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=100)
    assert done.returncode == 0, done.stderr
    assert "ended early: stopped by SIGINT" in done.stdout
    assert "interrupted with 2 results" in done.stdout
    assert done.stdout.rstrip().endswith("again 2")
