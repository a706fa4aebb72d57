"""What the script and the tests for a GPU select there, planned for a made-up one: sizes that have gone are noticed."""

from __future__ import annotations

import argparse
import ast
import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import torch
from _pytest.mark.expression import Expression

from tests.bench import test_on_gpu
from tests.bench.test_machine import HOPPER, with_gpus
from torchduet.bench.cases import knobs
from torchduet.bench.cases.case import Case
from torchduet.bench.plan import case_globs, cli
from torchduet.bench.plan.options import parse
from torchduet.bench.plan.selection import Selection
from torchduet.bench.timing import cuda_clock
from torchduet.bench.timing.clock import Block
from torchduet.suites.registry import names

ROOT = Path(__file__).parents[1]
SCRIPT = (ROOT / "docs" / "gpu-check.sh").read_text("utf-8")
MACHINE = with_gpus(HOPPER)
PARSED = ("tier", "suite", "case", "data", "threads", "budget", "cache", "profile")


def calls() -> list[list[str]]:
    """The arguments of the script's runs of ``bench/``."""
    lines = re.findall(r'part "[^"]*" \d+ "\$\{PYTEST\[@\]\}" bench/ (.*)', SCRIPT.replace("\\\n", " "))
    return [shlex.split(line) for line in lines]


def given(arguments: list[str] | tuple[str, ...]) -> argparse.Namespace:
    """The arguments of a run as its own options understand them; ``-k`` is pytest's."""
    parser = argparse.ArgumentParser(allow_abbrev=False)

    class Group:
        def addoption(self, name: str, **details: Any) -> None:
            parser.add_argument(name, **details)

    cli.add_to(Group())
    for name in ("-k", "--benchmark-json"):
        parser.add_argument(name)
    for name in ("-q", "--benchmark-quiet"):
        parser.add_argument(name, action="store_true")
    return parser.parse_args(arguments)


def selected(run: argparse.Namespace) -> list[Case]:
    """The cases of a run on a machine with one GPU.

    Raises:
        OptionError: ``--case`` or ``--profile`` matches none.
    """
    taken = {name: getattr(run, name) for name in (*PARSED, *(knob.name for knob in knobs.OPTIONS))}
    options = parse(**taken)
    selection = Selection(options, MACHINE, claims_only=False)
    sources = names() if options.suites is None else options.suites
    cases = [(f"test_{source}[{case.pytest_id}]", case) for source in sources for _, case in selection.cases(source)]
    if run.k is not None:
        case_globs.check_keywords(run.k)
        wanted = Expression.compile(run.k)
        cases = [(name, case) for name, case in cases if wanted.evaluate(lambda word, name=name, **_: word in name)]
    found = [case for _, case in cases]
    for glob in options.cases:
        case_globs.check("--case", glob, [case.id for case in found])
    if options.cases:
        found = [case for case in found if any(case_globs.matches(glob, case.id) for glob in options.cases)]
    if options.profile is not None:
        case_globs.check("--profile", options.profile, [case.id for case in found])
    return found


def variants(cases: list[Case]) -> set[str]:
    return {f"{case.mode}-{case.precision}" for case in cases}


def test_the_scripts_runs_are_the_three_that_are_checked_here() -> None:
    copies, quick, modes = map(given, calls())
    assert copies.aa
    assert quick.profile
    assert modes.mode
    assert SCRIPT.count(" bench/ ") == 3


def test_the_script_compares_copies_of_two_products_in_each_precision() -> None:
    cases = selected(given(calls()[0]))
    assert {case.family for case in cases} == {"matmul.square[n=1024]", "matmul.square[n=2048]"}
    assert {case.device for case in cases} == {"cuda"}
    assert variants(cases) == {"eager-fp32", "eager-tf32", "eager-bf16", "eager-fp16", "eager-bf16-pure"}
    assert len(cases) == 10


def test_the_scripts_quick_run_profiles_a_product_in_each_precision() -> None:
    run = given(calls()[1])
    cases = selected(run)
    assert {case.device for case in cases} == {"cuda"}
    assert len({case.source for case in cases}) > 5
    profiled = [case for case in cases if case_globs.matches(run.profile, case.id)]
    assert variants(profiled) == {"eager-fp32", "eager-tf32", "eager-bf16"}
    assert {case.family for case in profiled} == {"matmul.square[n=4096]"}


def test_the_scripts_training_step_runs_in_four_modes_and_three_precisions() -> None:
    cases = selected(given(calls()[2]))
    assert {case.family for case in cases} == {"mlp.train_784_100_10[batch=4096]"}
    modes, precisions = ("eager", "compile", "reduce-overhead", "graph"), ("fp32", "bf16", "fp16")
    assert variants(cases) == {f"{mode}-{precision}" for mode in modes for precision in precisions}
    assert len(cases) == 12


def test_the_tests_on_a_gpu_select_what_they_assert() -> None:
    cases = selected(given(test_on_gpu.EVERY_MODE))
    assert {case.family for case in cases} == {"mlp.train_784_100_10[batch=4096]"}
    assert variants(cases) == set(test_on_gpu.CASES)
    assert len(cases) == len(test_on_gpu.CASES)
    broken = selected(given(test_on_gpu.BROKEN))
    assert {case.workload for case in broken} == {"sound_before", "memory", "out_of_bounds", "sound_after"}


def test_these_are_all_of_their_runs() -> None:
    tree = ast.parse(Path(test_on_gpu.__file__).read_text("utf-8"))
    runs = [
        ast.unparse(node.args[1])
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "pytest_bench"
    ]
    assert sorted(runs) == ["*BROKEN", "*EVERY_MODE"]


@pytest.mark.parametrize("glob", ["matmul.square[n=512] *", "matmul.square[n=64] *"])
def test_a_size_of_the_cpu_alone_is_noticed(glob: str) -> None:
    arguments = ["--device", "cuda", "--tier", "default"]
    with pytest.raises(case_globs.OptionError, match="no selected case matches"):
        selected(given([*arguments, "--case", glob]))
    with pytest.raises(case_globs.OptionError, match="no selected case matches"):
        selected(given([*arguments, f"--profile={glob}"]))


def test_keywords_of_a_size_of_the_cpu_alone_select_nothing() -> None:
    assert not selected(given(["--device", "cuda", "-k", "train_784_100_10 and batch100"]))


WRONG: dict[int, float] = {}  # n → the factor by which the device alone is measured wrongly


def clock_check(monkeypatch: pytest.MonkeyPatch, **changes: tuple[float, float]) -> str:
    """What the script's check of the clock says against it, with times as on an H200: n → µs of launching, computing.

    A block of launch-bound calls takes 5 % longer than the device alone.
    """
    times = {256: (5.0, 3.0), 1024: (5.0, 6.0), 2048: (5.0, 25.0), 4096: (5.0, 200.0)}
    times |= {int(name.removeprefix("n")): pair for name, pair in changes.items()}

    class Clock:
        def __init__(self, _: str) -> None:
            pass

        def block(self, _: object, args: Any, *__: object, **___: object) -> Block:
            launch, device = (seconds * 1e-6 for seconds in times[len(args[0])])
            seconds = 1.05 * max(launch, device) if launch > 0.7 * device else device
            return Block(seconds, launch, seconds)

        def behind_delay(self, _: object, args: Any, *__: object) -> Block:
            launch, device = (seconds * 1e-6 for seconds in times[len(args[0])])
            return Block(WRONG.get(len(args[0]), 1.0) * device, launch, device)

    monkeypatch.setattr(cuda_clock, "CudaClock", Clock)
    monkeypatch.setattr(torch, "randn", lambda *size, **_: torch.zeros(1).expand(size))
    (program,) = (text for text in re.findall(r"<<'PY'\n(.*?)\nPY\n", SCRIPT, re.DOTALL) if "CudaClock" in text)
    try:
        exec(compile(program, "the clock", "exec"), {})
    except SystemExit as ended:
        return str(ended.code or "")
    return ""


def test_the_check_of_the_clock_leaves_out_products_that_are_launch_bound(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert clock_check(monkeypatch) == ""
    marked = {
        line.split(":")[0].strip(): line.endswith("launch-bound") for line in capsys.readouterr().out.splitlines()
    }
    assert marked == {"256": True, "1024": True, "2048": False, "4096": False}
    assert clock_check(monkeypatch, n2048=(50.0, 25.0), n4096=(500.0, 200.0)) == "all products are launch-bound"


@pytest.mark.parametrize(("n", "by"), [(2048, 0.97), (4096, 1.03)])
def test_the_check_of_the_clock_fails_where_the_times_of_a_long_product_differ(
    monkeypatch: pytest.MonkeyPatch, n: int, by: float
) -> None:
    monkeypatch.setitem(WRONG, n, by)
    assert clock_check(monkeypatch) == f"more than 2 % apart: products of {n}"
