"""A trace says where a call's time goes; what cannot be read is named, and the rest of the report stands."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from reports.load import RunFileError, load
from reports.page import render
from reports.profile.categories import AUTOGRAD, CATEGORIES, DATA, FUSED, GEMM, OPTIMIZER, PYTHON, VIEW, category
from reports.profile.difference import sentences
from reports.profile.flame import MOST, frames
from reports.profile.summary import Summary, summarise
from reports.profile.trace import TraceError, read
from reports.profile.tree import typical
from tests.reports.sample import make_run
from tests.reports.tracing import call, document, span, step, steps, write


def summary(tmp_path: Path, *events: dict[str, Any], device: str = "cpu") -> Summary:
    return summarise(read(write(tmp_path / "a.pt.trace.json.gz", *events)), "case", device)


def test_the_categories_add_up_to_the_call(tmp_path: Path) -> None:
    found = summary(tmp_path, *steps(8))
    assert found.seconds == pytest.approx(100e-6)
    assert sum(found.categories.values()) == pytest.approx(found.seconds)
    micro = {name: round(1e6 * seconds, 6) for name, seconds in found.categories.items()}
    assert micro == {PYTHON: 10, GEMM: 40, VIEW: 10, AUTOGRAD: 10, OPTIMIZER: 30}


def test_an_operators_own_time_leaves_out_what_it_calls(tmp_path: Path) -> None:
    linear = next(one for one in summary(tmp_path, *steps(3)).operators if one.name == "aten::linear")
    assert linear.own == pytest.approx(10e-6)
    assert linear.total == pytest.approx(40e-6)
    assert linear.calls == 1
    assert linear.shapes == ("100×784, 784×100",)


def test_an_operator_within_itself_is_counted_once_in_its_total(tmp_path: Path) -> None:
    found = summary(tmp_path, call(0, 100), span("aten::to", 10, 50), span("aten::to", 20, 30))
    (only,) = found.operators
    assert only.own == pytest.approx(50e-6)
    assert only.total == pytest.approx(50e-6)
    assert only.calls == 2


def test_a_call_that_was_held_up_does_not_count(tmp_path: Path) -> None:
    slow = [{**event, "dur": 50_000} if event["name"] == "torchduet call" else event for event in step(90_000)]
    found = summary(tmp_path, *steps(8), *slow)
    assert found.seconds == pytest.approx(100e-6)
    assert len(typical(read(tmp_path / "a.pt.trace.json.gz"))) == 5


def test_the_peak_of_memory_is_explained_by_what_users_called(tmp_path: Path) -> None:
    held = summary(tmp_path, *steps(5)).memory
    assert held is not None
    assert held.peak == 12_000
    assert held.at == pytest.approx(51e-6)
    assert held.holders == (("AddmmBackward0", 8000), ("aten::linear", 4000))
    assert held.released == 0


def test_a_gpu_that_waits_is_said_to_idle(tmp_path: Path) -> None:
    kernels = [span("gemm", 1000 * place + 10, 25, "kernel", thread=9) for place in range(4)]
    found = summary(tmp_path, *steps(4), *kernels, device="cuda:0").device
    assert found is not None
    assert found.idle_share == pytest.approx(0.75)
    assert found.kernels[0].own == pytest.approx(25e-6)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("aten::addmm", GEMM),
        ("aten::mkldnn_convolution", GEMM),
        ("void cutlass::Kernel2<cutlass_80_tensorop_bf16>", GEMM),
        ("graph_0_cpp_fused_add_relu_0", FUSED),
        ("triton_poi_fused_relu_0", FUSED),
        ("enumerate(DataLoader)#_MultiProcessingDataLoaderIter.__next__", DATA),
        ("aten::as_strided", VIEW),
        ("autograd::engine::evaluate_function: MulBackward0", AUTOGRAD),
    ],
)
def test_names_have_their_category(name: str, expected: str) -> None:
    assert category(name) == expected


def test_compiling_is_told_by_what_became_of_the_operators(tmp_path: Path) -> None:
    eager = summary(tmp_path / "e", *steps(4))
    fused = [call(0, 50), span("graph_0_cpp_fused_add_0", 5, 20), span("aten::addmm", 26, 20)]
    said = " ".join(sentences(eager, summary(tmp_path / "c", *fused), "eager", "`compile`"))
    assert "runs 2 operators and kernels per call instead of the 7 of eager, 1 of them fused by the compiler" in said
    assert "`graph_0_cpp_fused_add_0`" in said


def test_the_flame_graph_is_bounded_and_nested(tmp_path: Path) -> None:
    many = [span(f"op {place}", 10 + place * 0.5, 0.45) for place in range(160)]
    found = frames(summary(tmp_path, call(0, 100), *many).root)
    assert len(found) <= MOST
    assert found[0].width == pytest.approx(100)
    assert all(frame.left + frame.width <= 100.01 and frame.tone < len(CATEGORIES) for frame in found)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is empty"),
        (b"{", "is not JSON, or cut short"),
        (gzip.compress(json.dumps(document(*steps(3))).encode())[:-20], "is cut short or damaged"),
        (b"\x1f\x8b garbage", "is cut short or damaged"),
        (b'{"traceEvents": 3}', 'has no list "traceEvents"'),
        (json.dumps(document(span("aten::mm", 0, 3))).encode(), "another tool wrote it"),
        (b"[" * 100_000, "is no trace of torch.profiler"),
        (b'{"traceEvents": [' + b"[" * 100_000, "is not JSON"),
    ],
)
def test_a_trace_that_cannot_be_used_says_why(tmp_path: Path, content: bytes, said: str) -> None:
    path = tmp_path / "x.pt.trace.json.gz"
    path.write_bytes(content)
    with pytest.raises(TraceError, match=said):
        read(path)


def test_events_of_odd_shapes_are_passed_over(tmp_path: Path) -> None:
    odd = [{"ph": "X", "cat": "cpu_op", "name": 3, "ts": 1, "dur": 1}, {"cat": "cpu_op"}, {"name": "[memory]"}]
    assert summary(tmp_path, *steps(3), *odd).seconds == pytest.approx(100e-6)


def profiled(tmp_path: Path, traces: list[str]) -> Path:
    """A run's file whose first cases have the traces named."""
    run = make_run()
    for benchmark, trace in zip(run["benchmarks"], traces, strict=False):
        benchmark["extra_info"]["torchduet"]["profile"] = {
            "trace": trace,
            "calls": 5,
            "seconds": 1.2e-4,
            "plain_seconds": 1e-4,
            "stacks": False,
        }
    path = tmp_path / "run.json"
    path.write_text(json.dumps(run), "utf-8")
    return path


def test_the_report_explains_what_it_can_read_and_names_what_it_cannot(tmp_path: Path) -> None:
    write(tmp_path / "traces" / "a.pt.trace.json.gz", *steps(5))
    page = render(load(profiled(tmp_path, ["traces/a.pt.trace.json.gz", "traces/gone.json.gz"])))
    section = page[page.index('id="profiles"') : page.index('id="cases"')].replace("\xa0", " ")
    assert "40 % of a call is matrix products and convolutions, 30 % optimizer" in section
    assert "traces/gone.json.gz no such file" in section
    assert 'class="flame"' in section


def test_a_trace_adds_at_most_100_kb_to_the_page(tmp_path: Path) -> None:
    events = [
        event
        for place in range(5)
        for event in (
            call(10_000 * place, 9000),
            *(
                span(f"aten::{'long_name_' * 5}{one}", 10_000 * place + 20 * one, 19, **{"Input Dims": [[one, 3]]})
                for one in range(400)
            ),
        )
    ]
    without = len(render(load(profiled(tmp_path, []))).encode())
    write(tmp_path / "a.pt.trace.json.gz", *events)
    assert len(render(load(profiled(tmp_path, ["a.pt.trace.json.gz"]))).encode()) - without < 100_000


def test_a_profile_without_time_is_refused(tmp_path: Path) -> None:
    path = profiled(tmp_path, ["a"])
    path.write_text(path.read_text("utf-8").replace('"plain_seconds": 0.0001', '"plain_seconds": 0'), "utf-8")
    with pytest.raises(RunFileError, match=r"profile\.plain_seconds: expected a number above 0"):
        load(path)
