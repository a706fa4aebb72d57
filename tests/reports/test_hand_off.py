"""The commands that a report prints for a case: they name it, with the options of the run, and its page prints them."""

from __future__ import annotations

import argparse
import html
import re
import shlex
from pathlib import Path
from typing import Any

import pytest

from tests.reports.made_duet import duet_of
from tests.reports.rendered import with_details
from tests.reports.sample import make_run
from tests.reports.with_gpu import make_gpu_run
from torchduet.bench.plugin import once_command
from torchduet.bench.record.schema import KEY
from torchduet.reports.findings.hand_off import HandOff, hand_offs
from torchduet.reports.html.run_page import render
from torchduet.reports.read.run_file import from_json

PAGE = (Path(__file__).parents[2] / "docs" / "hand-off.md").read_text("utf-8")
PLAIN = "Without a profiler"
HOSTILE = 'it\'s [a] "case" $(touch x) `y` & more; n=1'


def of(document: Any, number: int = 0, **case: Any) -> list[HandOff]:
    """The commands for one case of a run, after changes of its record."""
    run = from_json(document)
    record: Any = run.records[number]
    return hand_offs(run.about, {**record, "case": {**record["case"], **case}})


def lines(document: Any, number: int = 0, **case: Any) -> dict[str, str]:
    """Title → command of a run with one side."""
    (hand_off,) = of(document, number, **case)
    return {command.title: command.line for command in hand_off.commands}


def taken(line: str) -> argparse.Namespace:
    """What ``torchduet run`` makes of the command in a line, whatever is around it."""
    words = shlex.split(line)
    arguments = words[words.index("run") + 1 :]
    assert "--once" in arguments
    return once_command._parsed(arguments)


def small(machine: dict[str, Any] | None = None, **options: Any) -> Any:
    """A run with other options, and other facts of its machine."""
    document = make_run()
    document[KEY]["options"] |= options
    document[KEY]["machine"] |= machine or {}
    return document


def test_every_line_of_a_run_is_a_command_that_is_understood() -> None:
    for document in (make_run(), make_gpu_run()):
        run = from_json(document)
        for record in run.records:
            (hand_off,) = hand_offs(run.about, record)
            for command in hand_off.commands:
                given = taken(command.line)
                assert given.case == [record["case"]["id"]]
                assert given.threads == str(run.about["options"]["threads"])
                once_command._calls(given.calls)


def test_a_case_of_the_cpu_is_sampled_by_perf_and_py_spy() -> None:
    given = lines(small({"python": "3.11.4", "system": "Linux 6.1"}))
    assert list(given) == [PLAIN, "perf", "py-spy"]
    name = "tensor_ops.add[n=65536] cpu eager fp32"
    assert given[PLAIN] == f"torchduet run --case '{name}' --once --threads 1"
    assert re.fullmatch(r"perf record -g -o [\w.=-]+\.perf -- python -m torchduet run .* --calls 5s", given["perf"])
    assert re.fullmatch(r"py-spy record --native -o [\w.=-]+\.svg -- python -m .* --calls 5s", given["py-spy"])


def test_perf_names_pythons_functions_where_python_can_and_keeps_compiled_code() -> None:
    given = lines(small({"python": "3.12.1"}), mode="compile")["perf"]
    assert re.match(r"TORCHINDUCTOR_CACHE_DIR=[\w.=-]+-code perf record .* -- python -X perf -m torchduet", given)


def test_perf_is_for_linux() -> None:
    assert list(lines(small({"system": "Darwin 24.1"}))) == [PLAIN, "py-spy"]
    assert "--native" not in lines(small({"system": "Darwin 24.1"}))["py-spy"]


def test_a_case_of_an_nvidia_gpu_is_recorded_between_start_and_stop() -> None:
    given = lines(make_gpu_run(), 1)
    assert list(given) == [PLAIN, "Nsight Systems", "Nsight Compute"]
    systems, compute = given["Nsight Systems"], given["Nsight Compute"]
    assert systems.startswith("nsys profile --capture-range=cudaProfilerApi --capture-range-end=stop -t cuda,nvtx,osrt")
    assert taken(systems).calls == "10"
    assert compute.startswith("ncu --profile-from-start off --nvtx --set full -o ")
    assert taken(compute).calls is None, "one call: every kernel is run many times"
    assert "--cuda-graph-trace=node" in lines(make_gpu_run(), 1, mode="graph")["Nsight Systems"]
    assert "--cuda-graph-trace" not in systems


def test_variables_of_the_run_that_change_a_gpus_use_are_set_again(document: Any) -> None:
    variables = {"CUDA_VISIBLE_DEVICES": "3", "PYTORCH_CUDA_ALLOC_CONF": "expandable_segments:True, a:b"}
    gpu = make_gpu_run()
    gpu[KEY]["environment"] = variables
    for line in lines(gpu, 1).values():
        assert line.startswith("CUDA_VISIBLE_DEVICES=3 PYTORCH_CUDA_ALLOC_CONF='expandable_segments:True, a:b' "), (
            "the case runs on another GPU otherwise"
        )
    gpu[KEY]["environment"] = {"x; touch y;": "1"}  # of a file that no run wrote
    assert lines(gpu, 1)[PLAIN].startswith("torchduet run ")
    duet = duet_of(document, "slower", "same")
    duet[KEY]["environment"] = variables
    duet[KEY]["against"]["base"]["env"] = {"CUDA_VISIBLE_DEVICES": "1", "A": "b"}
    a, b = of(duet)
    assert a.commands[0].line.startswith("CUDA_VISIBLE_DEVICES=1 PYTORCH_CUDA_ALLOC_CONF=")
    assert " A=b /envs/" in a.commands[0].line
    assert b.commands[0].line.startswith("CUDA_VISIBLE_DEVICES=3 ")


def test_a_gpu_of_amd_has_its_own_profiler() -> None:
    document = make_gpu_run()
    document[KEY]["machine"]["hip"] = "6.4"
    given = lines(document, 1)
    assert list(given) == [PLAIN, "rocprofv3"]
    assert given["rocprofv3"].startswith("rocprofv3 --runtime-trace --output-format pftrace -d ")


def test_a_users_file_is_named_as_it_was_given() -> None:
    (hand_off,) = of(small(suite="a.py,my suites/b.py"), source="my suites/b.py")
    assert taken(hand_off.commands[0].line).suite == ["my suites/b.py"]
    assert "folder in which the run was started" in hand_off.notes[0]
    (absolute,) = of(small(), source="/home/me/b.py")
    assert absolute.notes == ()
    (built_in,) = of(small(suite="a.py,tensor_ops"), source="tensor_ops")
    assert taken(built_in.commands[0].line).suite is None


def test_an_earlier_file_names_all_of_its_suites() -> None:
    assert taken(lines(small(suite="a.py,tensor_ops,b.py"))[PLAIN]).suite == ["a.py", "b.py"]


def test_functions_of_a_program_have_no_command() -> None:
    assert of(small(), source="") == []
    assert of(small(), suite="compare") == []
    document = make_run()
    document["benchmarks"] = document["benchmarks"][:1]
    document["benchmarks"][0]["extra_info"][KEY]["case"]["source"] = ""
    page = with_details(render(from_json(document)))
    assert "--once" not in page
    assert "are in no file" in page


def test_options_that_change_a_call_are_repeated() -> None:
    given = taken(lines(small(threads=3, cache="cold", data="MNIST", data_source="my data/mnist.npz"))[PLAIN])
    assert (given.threads, given.cache, given.data) == ("3", "cold", "my data/mnist.npz")


@pytest.mark.parametrize("name", [HOSTILE, "s.w[n=1] ünï 'cpu'", "s.w a\\b !x"])
def test_a_shell_reads_any_id_as_one_word(name: str) -> None:
    for line in lines(make_gpu_run(), 1, id=name).values():
        assert taken(line).case == [name]
    for line in lines(make_run(), id=name).values():
        assert taken(line).case == [name]
        assert not re.search(r"-o [^\w]", line)


def test_a_duet_has_the_commands_of_both_sides(document: Any) -> None:
    duet = duet_of(document, "slower", "same")
    sides = duet[KEY]["against"]
    sides["base"].update(python="/other/bin/python", env={"OMP_NUM_THREADS": "2 3"}, rev="main", label="main")
    sides["against"].update(python="/mine/bin/python", env={}, rev=None, label="your files")
    run = from_json(duet)
    a, b = hand_offs(run.about, run.records[0])
    assert (a.side, b.side) == ("main", "your files")
    assert a.commands[0].line.startswith("OMP_NUM_THREADS='2 3' /other/bin/python -m torchduet run --case ")
    assert b.commands[0].line.startswith("/mine/bin/python -m torchduet run --case ")
    assert any("needs Torchduet" in note for note in b.notes)
    assert any("git worktree add ../1a2b3c4 1a2b3c400000" in note for note in a.notes)
    sides["base"]["python"] = sides["against"]["python"]
    run = from_json(duet)
    a, b = hand_offs(run.about, run.records[0])
    assert b.commands[0].line.startswith("torchduet run --case ")
    assert b.notes == ()
    assert len({command.line for side in (a, b) for command in side.commands}) == sum(
        len(side.commands) for side in (a, b)
    ), "files of one side do not replace those of the other"


@pytest.fixture
def document() -> Any:
    return make_run()


def test_the_page_of_a_run_prints_the_commands() -> None:
    document = make_run()
    document["benchmarks"] = document["benchmarks"][:2]
    run = from_json(document)
    codes = re.findall(r"</button><code>(.*?)</code>", with_details(render(run)))
    printed = [html.unescape(re.sub(r"</?span[^>]*>", "", code)) for code in codes]
    assert printed == [command.line for record in run.records for command in hand_offs(run.about, record)[0].commands]


def test_every_command_of_the_documentation_is_one_that_a_report_prints() -> None:
    blocks = re.findall(r"```(\w*)\n(.*?)```", PAGE, re.S)
    assert {kind for kind, _ in blocks} == {"console"}
    options, python = {"threads": 8}, {"python": "3.13.1", "system": "Linux 6.1"}
    made = make_run(), make_gpu_run()
    for document in made:
        document[KEY]["options"] |= options
        document[KEY]["machine"] |= python
    printed = {
        *lines(made[0], id="matmul.square[n=4096] cpu compile fp32", mode="compile").values(),
        *lines(made[1], 1, id="matmul.square[n=4096] cuda eager fp32").values(),
    }
    commands = [line for _, code in blocks for line in code.splitlines()]
    assert len(commands) == 5
    assert set(commands) <= printed, "\n".join(sorted(printed))
