"""A trace says where a call's time goes; what cannot be read is named, and the rest of the report stands."""

from __future__ import annotations

import gzip
import json
import re
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.reports.sample import make_run
from tests.reports.test_duet import make_duet
from tests.reports.tracing import call, change, document, span, step, steps, write
from torchduet.bench.record.schema import LOADER_ENDS, LOADER_STARTS
from torchduet.reports.commands.closing import closing
from torchduet.reports.html.run_page import render
from torchduet.reports.profile.balance import balance
from torchduet.reports.profile.balance import sentences as balance_sentences
from torchduet.reports.profile.categories import (
    AUTOGRAD,
    CATEGORIES,
    COPY,
    DATA,
    FUSED,
    GEMM,
    LOADER,
    OPTIMIZER,
    PYTHON,
    VIEW,
    category,
)
from torchduet.reports.profile.charts import memory_chart
from torchduet.reports.profile.difference import sentences
from torchduet.reports.profile.flame import MAX_FRAMES, frames
from torchduet.reports.profile.section import TONES, section
from torchduet.reports.profile.stacks import stacks
from torchduet.reports.profile.summary import Summary, summarise
from torchduet.reports.profile.trace import TraceError, read
from torchduet.reports.profile.tree import typical
from torchduet.reports.profile.waiting import Waiting, waiting
from torchduet.reports.profile.waiting import in_words as waiting_in_words
from torchduet.reports.read.run_file import load
from torchduet.reports.text import units


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


def test_the_axis_of_memory_begins_at_0_unless_a_call_releases_what_was_held_before(tmp_path: Path) -> None:
    held = summary(tmp_path, *steps(5)).memory
    assert held is not None
    released = memory_chart(replace(held, points=((1e-6, -9000), *held.points)), "a")
    assert released.note == f"Below 0: up to {units.size(9000)} that were held before the call are released in it."
    assert "below what was held before" in released.alternative
    kept = memory_chart(replace(held, points=tuple(point for point in held.points if point[1] >= 0)), "b")
    assert kept.note == "Both axes start at 0."
    assert "−" in released.svg
    assert "−" not in kept.svg


def test_the_parts_of_all_bars_stand_in_one_order_with_one_key() -> None:
    def profile(**shares: float) -> Any:
        return SimpleNamespace(
            device_parts=(),
            parts=tuple((name, share, share, TONES.index(name)) for name, share in shares.items()),
        )

    first, second = profile(**{PYTHON: 0.6, GEMM: 0.4}), profile(**{GEMM: 0.7, COPY: 0.3})
    found = stacks([first, second, profile(**{VIEW: 1.0})], 2)
    assert [(key, name) for key, name, _ in found.legend] == [(1, GEMM), (2, COPY), (3, PYTHON)]
    assert [part[:3] for part in found.bar(first)] == [(1, GEMM, 0.4), (3, PYTHON, 0.6)]
    assert [part[:3] for part in found.bar(second)] == [(1, GEMM, 0.7), (2, COPY, 0.3)]
    assert found.more == 1


def test_a_gpu_that_waits_is_said_to_idle(tmp_path: Path) -> None:
    kernels = [span("gemm", 1000 * place + 10, 25, "kernel", thread=9) for place in range(4)]
    found = summary(tmp_path, *steps(4), *kernels, device="cuda:0").device
    assert found is not None
    assert found.idle_share == pytest.approx(0.75)
    assert found.kernels[0].own == pytest.approx(25e-6)


def record(timed: float, plain: float, **more: Any) -> Any:
    """What is looked at of a case's record; times in microseconds."""
    cache = {"cache": more.pop("cache")} if "cache" in more else {}
    blocks = [[one * 1e-6] * 3 for one in more.pop("placements", (timed,))]
    timing = {"seconds": timed * 1e-6, "blocks": blocks, **cache}
    case = {"device": more.pop("device", "cpu")}
    return {"case": case, "timing": timing, "profile": {"plain_seconds": plain * 1e-6, **more}}


def adds_up(found: Summary, *of: Any, **more: Any) -> str:
    return " ".join(balance_sentences(balance(record(*of, **more), found)))


def test_own_times_without_the_profilers_share_are_held_against_the_timed_calls(tmp_path: Path) -> None:
    found = summary(tmp_path, *steps(8))
    sums = balance(record(82, 80), found)
    assert sums.attributed == pytest.approx(90e-6)
    assert sums.rest == pytest.approx(10e-6)
    assert sums.overhead == pytest.approx(1.25)
    assert sums.without == pytest.approx(80e-6)
    assert "a call takes 1.25× as long" in adds_up(found, 82, 80)
    assert "add up to 80.0 µs; a timed call took 82.0 µs: they agree within 2.4 %" in adds_up(found, 82, 80)


def test_a_profile_that_does_not_add_up_says_why(tmp_path: Path) -> None:
    found = summary(tmp_path, *steps(8))
    assert "a call took 80.0 µs, so the machine or the case was in another state" in adds_up(found, 40, 80)
    assert "it was timed with a cold cache" in adds_up(found, 200, 80, cache="cold")
    assert "each profiled call was waited for" in adds_up(found, 40, 80, device="cuda:0")
    wide = adds_up(found, 120, 80, placements=(75, 130, 200))
    assert "took 120 µs, and 75.0 to 200 µs in the placements of its tensors in memory: within that they agree" in wide
    assert "In 50 % of the profiled calls other processes took a core" in adds_up(found, 80, 80, interrupted=0.5)
    assert "took a core" not in adds_up(found, 80, 80, interrupted=0.1)
    both = summary(tmp_path / "both", call(0, 100), span("a", 10, 60), span("b", 10, 80, thread=2))
    assert both.categories[PYTHON] == pytest.approx(20e-6)  # in which no thread runs anything
    assert "several threads at the same time counts for each of them" in adds_up(both, 100, 100)


NEXT = "enumerate(DataLoader)#_{}ProcessDataLoaderIter.__next__"


def waits(found: Summary, workers: int | None = None, **profile: Any) -> str:
    wait = waiting(found, {**profile})  # type: ignore[typeddict-item]
    assert wait is not None
    return waiting_in_words(wait, found, workers)


def test_waiting_for_data_is_said_by_batch_and_apart_from_starting_workers(tmp_path: Path) -> None:
    found = summary(
        tmp_path,
        call(0, 100),
        span(LOADER_STARTS, 2, 20, "user_annotation"),
        span(NEXT.format("Multi").replace("Process", "Processing"), 25, 40, "user_annotation"),
        span("aten::cat", 30, 10),
        span(NEXT.format("Multi").replace("Process", "Processing"), 70, 15, "user_annotation"),
        span(LOADER_ENDS, 75, 5, "user_annotation"),
    )
    assert found.categories[DATA] == pytest.approx(50e-6)
    assert found.categories[LOADER] == pytest.approx(25e-6)
    assert found.categories[PYTHON] == pytest.approx(25e-6)
    said = waits(found, 2, batches=2.0)
    assert said.startswith("A call waits 50 % of its time for data, 25.0 µs for each of its 2 batches, while 2 workers")
    assert "Starting and ending the workers takes another 25 %, 25.0 µs." in said


def test_the_share_of_a_call_without_length_is_none(tmp_path: Path) -> None:
    found = summary(tmp_path, call(0, 0), span(NEXT.format("Multi"), 0, 0, "user_annotation"))
    assert found.share_of(1e-6) == 0
    text = waiting_in_words(Waiting(1e-6, 0.0, 1e-6, None), found, 2)
    assert text.startswith("A call waits 0 % of its time for data, while 2 workers load ahead")
    assert "takes another 0 %" in text


def test_loading_without_workers_is_all_waited_for(tmp_path: Path) -> None:
    found = summary(tmp_path, call(0, 100), span(NEXT.format("Single"), 10, 80, "user_annotation"))
    assert waits(found, 0, batches=1.0) == (
        "Loading data takes 80 % of a call, 80.0 µs for its only batch: without workers a call waits for all of it."
    )
    assert waiting(summary(tmp_path / "other", *steps(3)), {}) is None  # type: ignore[typeddict-item]


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
    assert "fused kernels none → 20.0 µs" in said


def test_what_enters_compiled_code_counts_as_time_without_an_operator(tmp_path: Path) -> None:
    eager = summary(tmp_path / "e", call(0, 100), span("aten::mm", 5, 80))
    region = [call(0, 100), span("Torch-Compiled Region: 0/0", 5, 90), span("aten::mm", 10, 50)]
    said = " ".join(sentences(eager, summary(tmp_path / "c", *region), "eager", "`compile`"))
    assert "(Python, launching, entering compiled code) rose from 20 % to 50 %: 20.0 µs → 50.0 µs." in said


def test_in_a_compiled_region_memory_belongs_to_what_runs_in_it(tmp_path: Path) -> None:
    region = [call(0, 100), span("Torch-Compiled Region: 0/0", 5, 90), span("aten::mm", 10, 50)]
    held = summary(tmp_path, *region, change(20, 4000, 1), change(70, 500, 2)).memory
    assert held is not None
    assert held.holders == (("aten::mm", 4000), ("Torch-Compiled Region: 0/0", 500))


def test_the_flame_graph_is_bounded_and_nested(tmp_path: Path) -> None:
    many = [span(f"op {place}", 10 + place * 0.5, 0.45) for place in range(160)]
    found = frames(summary(tmp_path, call(0, 100), *many).root)
    assert len(found) <= MAX_FRAMES
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
    odd: list[Any] = [{"ph": "X", "cat": "cpu_op", "name": 3, "ts": 1, "dur": 1}, {"cat": "cpu_op"}, 5, None, "text"]
    odd += [
        {"name": "[memory]"},
        {"name": "[memory]", "ts": 1, "args": {"Bytes": "x"}},
        span("args", 3, 1) | {"args": 7},
    ]
    assert summary(tmp_path, *steps(3), *odd).seconds == pytest.approx(100e-6)


def test_a_negative_duration_counts_as_none(tmp_path: Path) -> None:
    found = summary(tmp_path, *steps(3), span("aten::odd", 2, -50))
    assert sum(found.categories.values()) == pytest.approx(found.seconds)
    assert next(one.own for one in found.operators if one.name == "aten::odd") == 0


def test_a_trace_of_too_many_events_is_refused_before_they_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("torchduet.reports.profile.trace.MAX_EVENTS", 20)
    with pytest.raises(TraceError, match="holds 42 events, more than the 20 that can be explained"):
        summary(tmp_path, *steps(3))


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


NAME = '<script>alert(1)</script>" onfocus="x`{{ 7 }}'


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The report's section on profiles: of an ordinary trace, one that is gone, one of odd names, and a large one."""
    folder = tmp_path_factory.mktemp("shown")
    write(folder / "traces" / "a.pt.trace.json.gz", *steps(5))
    write(folder / "named.json.gz", call(0, 100), span(NAME, 5, 75, "user_annotation"), span("aten::mm", 80, 10))
    many = [
        span(f"aten::{'long_name_' * 5}{one}", 10_000 * place + 20 * one, 19, **{"Input Dims": [[one, 3]]})
        for place in range(5)
        for one in range(400)
    ]
    write(folder / "large.json.gz", *(call(10_000 * place, 9000) for place in range(5)), *many)
    traces = ["traces/a.pt.trace.json.gz", "traces/gone.json.gz", "named.json.gz", "large.json.gz"]
    page = render(load(profiled(folder, traces)))
    return page[page.index('id="profiles"') : page.index('id="cases"')].replace("\xa0", " ")


def test_the_report_explains_what_it_can_read_and_names_what_it_cannot(shown: str) -> None:
    assert "40 % of a call is matrix products and convolutions, 30 % optimizer" in shown
    assert "<code>traces/gone.json.gz</code> no such file" in shown
    assert shown.count('class="flame"') == 3


def test_the_longest_operator_is_no_annotation(shown: str) -> None:
    assert "the longest operator is <code>aten::mm</code> with 10.0 µs" in shown


def test_a_name_is_text_whatever_stands_in_it(shown: str) -> None:
    assert "alert(1)" in shown
    assert "<script>alert" not in shown
    assert ' onfocus="x' not in shown


def test_a_trace_adds_at_most_100_kb_to_the_page(shown: str) -> None:
    _, *cases = shown.split('<details class="case profile"')
    assert len(cases) == 3
    assert max(len(case.encode()) for case in cases) < 100_000


def test_a_profile_without_time_is_refused(tmp_path: Path) -> None:
    path = profiled(tmp_path, ["a"])
    path.write_text(path.read_text("utf-8").replace('"plain_seconds": 0.0001', '"plain_seconds": 0'), "utf-8")
    (unreadable,) = load(path).unreadable
    assert "profile.plain_seconds: expected a number above 0" in unreadable["reason"]


def places(path: Path) -> tuple[int, int]:
    """Where the page's profiles and its answers begin."""
    page = render(load(path))
    assert page.index('<div class="spent">') < page.index("<main>")
    return page.index('<section id="profiles"'), page.index('<section id="answers"')


def test_profiles_stand_before_answers_that_settle_nothing_and_the_lead_names_them(tmp_path: Path) -> None:
    path = profiled(tmp_path, ["a.json.gz", "a.json.gz"])
    write(tmp_path / "a.json.gz", *steps(5))
    profiles, answers = places(path)
    assert answers < profiles
    document = json.loads(path.read_text("utf-8"))
    for benchmark in document["benchmarks"]:
        for speedup in benchmark["extra_info"]["torchduet"]["speedups"]:
            speedup.update(verdict="unclear", low=0.5, ratio=1.0, high=2.0)
    path.write_text(json.dumps(document), "utf-8")
    profiles, answers = places(path)
    assert profiles < answers


def test_the_lead_says_what_takes_the_time_of_two_cases_and_how_many_more_were_profiled(tmp_path: Path) -> None:
    path = profiled(tmp_path, ["a.json.gz"] * 3)
    write(tmp_path / "a.json.gz", *steps(5))
    page = render(load(path)).replace("\xa0", " ")
    lead = page[page.index('<div class="spent">') : page.index("</header>")]
    assert "and 1 more profile</span>" in lead
    assert lead.partition("parts-key")[0].count("<li>") == 2
    assert "<strong>40 % matrix products and convolutions</strong>, 30 % optimizer</span>" in lead
    shares = [float(share) for share in re.findall(r"flex-grow: ([\d.]+)", lead)]
    assert sum(shares) == pytest.approx(2, abs=0.01)  # each bar is a whole call
    assert shares[:2] == [0.4, 0.1]  # in the order of the key


def test_the_last_lines_of_a_run_say_what_takes_the_time(tmp_path: Path) -> None:
    path = profiled(tmp_path, ["a.json.gz"])
    write(tmp_path / "a.json.gz", *steps(5))
    *_, last = closing(str(path))
    case = load(path).records[0]["case"]["id"]
    assert last.strip().startswith(
        f"Profiled {case}: 40 % matrix products and convolutions, 30 % optimizer, most of all "
    )
    assert re.search(r"most of all \S+ with \S+ µs per call$", last)


def test_a_share_that_is_next_to_nothing_is_not_named(tmp_path: Path) -> None:
    path = profiled(tmp_path, ["a.json.gz"])
    write(
        tmp_path / "a.json.gz",
        *(event for at in range(5) for event in (call(200 * at, 100), span("aten::mm", 200 * at, 99.9))),
    )
    page = render(load(path)).replace("\xa0", " ")
    assert "<strong>100 % matrix products and convolutions</strong></span>" in page


def test_of_a_duet_bs_profile_is_held_against_as(tmp_path: Path) -> None:
    path = profiled(tmp_path, ["a.json.gz", "a.json.gz"])
    write(tmp_path / "a.json.gz", *steps(5))
    write(tmp_path / "b.json.gz", call(0, 200), span("aten::mm", 5, 190))
    document = make_duet(json.loads(path.read_text("utf-8")))
    for benchmark, trace in zip(document["benchmarks"], ["b.json.gz", "gone.json.gz"], strict=False):
        record = benchmark["extra_info"]["torchduet"]
        record["against"]["profile"] = record["profile"] | {"trace": trace, "interrupted": 0.5}
    path.write_text(json.dumps(document), "utf-8")
    found = section(load(path))
    assert found is not None
    (heading, says), (_, gone) = (profile.comparisons[-1] for profile in found["profiles"])
    assert heading == "torch 2.13.0 against torch 2.12.0"
    assert "matrix products and convolutions 40.0 µs → 190 µs" in " ".join(says)
    assert "In 50 % of the profiled calls of torch 2.13.0 other processes took a core" in " ".join(says)
    assert "There is no profile of torch 2.13.0 here: gone.json.gz no such file" in gone[0]
