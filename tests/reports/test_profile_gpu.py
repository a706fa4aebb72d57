"""Of a case on a GPU the profile says first what the GPU does, then what the host does, and that it waits."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.reports.gpu_tracing import ADD, GEMM, Events, gpu_bound, launch_bound, launched, on_stream, runtime
from tests.reports.remeasured import remeasured
from tests.reports.test_profile import NEXT
from tests.reports.tracing import call, span, steps, write
from tests.reports.with_gpu import make_gpu_run
from torchduet.reports.compare.brief import markdown as brief
from torchduet.reports.compare.match import compare
from torchduet.reports.compare.profiles import explanations
from torchduet.reports.compare.thresholds import Thresholds
from torchduet.reports.html.run_page import render
from torchduet.reports.markdown.run import markdown
from torchduet.reports.profile.balance import balance
from torchduet.reports.profile.balance import sentences as balance_sentences
from torchduet.reports.profile.categories import (
    COPY,
    ELEMENTWISE,
    LAUNCHING,
    OPTIMIZER,
    OTHER,
    PYTHON,
    WAITING,
)
from torchduet.reports.profile.categories import GEMM as PRODUCTS
from torchduet.reports.profile.device import (
    IDLE_DATA,
    IDLE_LAUNCHING,
    IDLE_OPERATORS,
    IDLE_PYTHON,
    IDLE_WAITING,
    Device,
)
from torchduet.reports.profile.device_words import answer
from torchduet.reports.profile.device_words import sentences as device_sentences
from torchduet.reports.profile.difference import sentences
from torchduet.reports.profile.kernels import COMMUNICATION, TRANSFER
from torchduet.reports.profile.summary import Summary, summarise
from torchduet.reports.profile.trace import read
from torchduet.reports.read.run_file import load


def summary(folder: Path, *events: dict[str, Any]) -> Summary:
    return summarise(read(write(folder / "a.pt.trace.json.gz", *events)), "case", "cuda:0")


def gpu(folder: Path, *events: dict[str, Any]) -> Device:
    device = summary(folder, *events).device
    assert device is not None
    return device


def micro(seconds_of: Any) -> dict[str, float]:
    """Microseconds without those that round to 0."""
    return {name: round(1e6 * seconds, 3) for name, seconds in seconds_of.items() if seconds > 1e-10}


def said(device: Device, launch_bound: bool | None = None) -> str:
    return " ".join([answer(device), *device_sentences(device, launch_bound=launch_bound)])


def test_waiting_for_a_gpu_is_not_python(tmp_path: Path) -> None:
    found = summary(tmp_path, *gpu_bound())
    assert micro(found.categories) == {PYTHON: 8, PRODUCTS: 7, LAUNCHING: 5, WAITING: 980}
    assert sum(found.categories.values()) == pytest.approx(found.seconds)


def test_a_gpu_bound_call_is_said_to_compute(tmp_path: Path) -> None:
    found = gpu(tmp_path, *gpu_bound())
    idle = {IDLE_WAITING: 10, IDLE_PYTHON: 8, IDLE_LAUNCHING: 5, IDLE_OPERATORS: 7}
    assert micro(found.parts) == {PRODUCTS: 970, **idle}
    assert answer(found) == (
        "The GPU computes for 97 % of a call: matrix products and convolutions 97 %. It idles for 3 %."
    )


def test_a_launch_bound_call_is_said_to_idle_and_why(tmp_path: Path) -> None:
    found = gpu(tmp_path, *launch_bound())
    assert micro(found.parts)[ELEMENTWISE] == 20
    assert found.idle_share == pytest.approx(0.8)
    assert sum(found.parts.values()) == pytest.approx(100e-6)
    text = said(found, launch_bound=True)
    assert text.startswith("The GPU idles for 80 % of a call: it waits for the host, 2")
    assert "while operators run on the host" in text
    assert "while the host launches" in text
    assert "It computes for 20 %." in text
    assert "A call runs 4 kernels, copies and fills on the GPU; the longest is `vectorized_elementwise_kernel<4" in text
    assert "with 20.0 µs in 4 runs." in text
    assert "Launching limits the timed calls, too." in text
    assert "Timed calls follow one another" in said(found, launch_bound=False)


def test_a_call_is_what_it_launches_wherever_that_runs(tmp_path: Path) -> None:
    """Kernels of a call that did not wait run on after it; those that another piece of code launched are not its."""
    found = gpu(
        tmp_path,
        runtime("cudaLaunchKernel", -20, 5, 9),
        on_stream(ADD, 2, 10, 9),  # such as inputs that are put back before the call
        call(0, 100),
        *launched(GEMM, 10, 50, 100, 1),  # 50 µs longer than the call
        *launched(ADD, 20, 150, 30, 2),  # after it
    )
    assert micro(found.parts) == {PRODUCTS: 100, ELEMENTWISE: 30, IDLE_PYTHON: 40, IDLE_LAUNCHING: 10}
    assert found.seconds == pytest.approx(180e-6)
    assert found.launched == 2


def test_kernels_without_a_launch_in_the_trace_belong_to_the_call_in_which_they_start(tmp_path: Path) -> None:
    found = gpu(tmp_path, call(0, 100), on_stream(ADD, 10, 20), on_stream(ADD, 120, 20))
    assert micro(found.parts) == {ELEMENTWISE: 20, IDLE_PYTHON: 80}


def test_a_call_without_time_is_said_to_idle_for_none(tmp_path: Path) -> None:
    found = gpu(tmp_path, call(0, 0), on_stream(ADD, 5, 3))
    assert said(found) == "The GPU computes for 0 % of a call. No kernel in the trace belongs to a call."


def test_kernels_that_run_at_the_same_time_share_it(tmp_path: Path) -> None:
    found = gpu(
        tmp_path,
        call(0, 100),
        *launched(GEMM, 0, 10, 60, 1, stream=7),
        *launched(ADD, 5, 30, 40, 2, stream=20),
        *launched(
            "ncclDevKernel_AllReduce_Sum_f32_RING_LL(ncclDevKernelArgsStorage<4096ul>)", 10, 30, 20, 3, stream=24
        ),
    )
    nccl = 20 / 3
    assert micro(found.work) == pytest.approx(
        {PRODUCTS: 20 + nccl + 10, ELEMENTWISE: nccl + 10, COMMUNICATION: nccl}, abs=1e-3
    )
    assert found.streams == 3
    assert found.busy == pytest.approx(60e-6)
    assert [round(1e6 * kernel.own) for kernel in found.kernels] == [60, 40, 20]
    assert "Kernels on 3 streams run at the same time: theirs add up to 120 µs in 60.0 µs." in said(found)


def test_a_graph_launch_starts_many_kernels(tmp_path: Path) -> None:
    """All kernels of a graph have the correlation of its launch."""
    events = [call(0, 100), runtime("cudaGraphLaunch", 2, 6, 5)]
    events += [on_stream(ADD, 10 + 4 * place, 4, 5) for place in range(20)]
    found = gpu(tmp_path, *events, runtime("cudaDeviceSynchronize", 10, 88))
    assert (found.graphs, found.in_graphs, found.launched) == (1, 20, 20)
    assert micro(found.parts)[ELEMENTWISE] == 80
    assert "1 launch of a CUDA graph starts 20 of them." in said(found)


def test_a_graph_whose_kernels_are_missing_is_named(tmp_path: Path) -> None:
    found = gpu(tmp_path, call(0, 100), runtime("cudaGraphLaunch", 2, 6, 5), *launched(ADD, 20, 30, 10, 6))
    assert "1 launch of a CUDA graph, but none of the kernels within" in said(found)


@pytest.mark.parametrize(
    ("name", "kind", "category"),
    [
        ("cudaDeviceSynchronize", "cuda_runtime", WAITING),
        ("cudaStreamSynchronize", "cuda_runtime", WAITING),
        ("cudaEventSynchronize", "cuda_runtime", WAITING),
        ("cudaMemcpy", "cuda_runtime", WAITING),
        ("cuStreamSynchronize", "cuda_driver", WAITING),
        ("cuMemcpyDtoH_v2", "cuda_driver", WAITING),
        ("hipDeviceSynchronize", "cuda_runtime", WAITING),
        ("hipMemcpyWithStream", "cuda_runtime", WAITING),
        ("zeEventHostSynchronize", "xpu_driver", WAITING),
        ("urEventWait", "xpu_runtime", WAITING),
        ("aclrtSynchronizeStream", "privateuse1_runtime", WAITING),
        ("cudaStreamWaitEvent", "cuda_runtime", LAUNCHING),
        ("cudaLaunchKernel", "cuda_runtime", LAUNCHING),
        ("cudaLaunchKernelExC", "cuda_runtime", LAUNCHING),
        ("cuLaunchKernel", "cuda_driver", LAUNCHING),
        ("cuLaunchKernelEx", "cuda_driver", LAUNCHING),
        ("cudaGraphLaunch", "cuda_runtime", LAUNCHING),
        ("cudaMemcpyAsync", "cuda_runtime", LAUNCHING),
        ("cudaMalloc", "cuda_runtime", LAUNCHING),
        ("cudaFuncGetAttributes", "cuda_runtime", LAUNCHING),
        ("cudaEventQuery", "cuda_runtime", LAUNCHING),
        ("hipExtModuleLaunchKernel", "cuda_runtime", LAUNCHING),
    ],
)
def test_calls_that_wait_are_told_from_those_that_launch(tmp_path: Path, name: str, kind: str, category: str) -> None:
    """Alone and within an operator; within an optimizer, too."""
    optimizer = span("Optimizer.step#SGD.step", 80, 10, "user_annotation")
    calls = [runtime(name, at, 5, kind=kind) for at in (10, 42, 82)]
    found = summary(tmp_path, call(0, 100), span("aten::odd", 40, 10), optimizer, *calls)
    assert micro(found.categories) == {PYTHON: 75, category: 15, OTHER: 5, OPTIMIZER: 5}


def test_a_copy_to_pageable_memory_waits_for_all_before_it(tmp_path: Path) -> None:
    """``item``: the copy returns when it is done; to pinned memory it returns at once."""
    item = [
        span("aten::_local_scalar_dense", 10, 80),
        runtime("cudaMemcpyAsync", 12, 70, 3),
        on_stream("Memcpy DtoH (Device -> Pageable)", 75, 2, 3, kind="gpu_memcpy"),
        runtime("cudaStreamSynchronize", 83, 5, 4),
    ]
    found = summary(tmp_path / "a", call(0, 100), *launched(GEMM, 2, 10, 60, 1), *item)
    assert micro(found.categories)[WAITING] == 75
    assert "cudaMemcpyAsync (waits)" in [operator.name for operator in found.operators]
    pinned = [event | {"name": event["name"].replace("Pageable", "Pinned")} for event in item]
    assert micro(summary(tmp_path / "b", call(0, 100), *pinned).categories)[WAITING] == 5


def test_a_copy_within_the_gpu_does_not_wait(tmp_path: Path) -> None:
    copy = on_stream("Memcpy DtoD (Device -> Device)", 20, 30, 3, kind="gpu_memcpy")
    found = summary(tmp_path, call(0, 100), runtime("cudaMemcpy", 10, 5, 3), copy)
    assert micro(found.categories) == {PYTHON: 95, LAUNCHING: 5}


def test_a_launch_into_a_full_queue_waits(tmp_path: Path) -> None:
    """CUPTI names the time in which a launch waits for space in the queue; Kineto gives it a process of its own."""
    full = {**span("Command Buffer Full", 21, 48, "overhead"), "pid": -1, "tid": 0}
    launches = [runtime("cudaLaunchKernel", 10, 5, 1), runtime("cudaLaunchKernel", 20, 50, 2)]
    found = summary(tmp_path, call(0, 100), *launches, on_stream(GEMM, 15, 80, 1), full)
    assert micro(found.categories) == {PYTHON: 45, LAUNCHING: 5, WAITING: 50}


def test_copies_between_host_and_gpu_are_no_computing(tmp_path: Path) -> None:
    copy = on_stream("Memcpy HtoD (Pageable -> Device)", 15, 60, 1, kind="gpu_memcpy")
    fill = on_stream("Memset (Device)", 80, 5, 2, kind="gpu_memset")
    found = gpu(
        tmp_path,
        call(0, 100),
        *(runtime("cudaMemcpyAsync", 10, 4, 1), copy, runtime("cudaMemsetAsync", 16, 4, 2), fill),
        *(runtime("cudaDeviceSynchronize", 30, 70), {**copy, "cat": "gpu_user_annotation"}),
    )
    assert micro(found.work) == {TRANSFER: 60, COPY: 5}
    assert (
        answer(found)
        == "The GPU copies to or from the host for 60 % of a call. It idles for 35 % and computes for 5 %."
    )


def test_a_gpu_that_waits_for_data_is_told_so(tmp_path: Path) -> None:
    wait = span(NEXT.format("Multi").replace("Process", "Processing"), 0, 80, "user_annotation")
    found = gpu(tmp_path, call(0, 100), wait, *launched(ADD, 82, 90, 10, 1))
    assert micro(found.parts)[IDLE_DATA] == 80
    assert "80 % while the host waits for data" in answer(found)


def test_what_an_optimizer_launches_is_its(tmp_path: Path) -> None:
    step = span("Optimizer.step#SGD.step", 10, 30, "user_annotation")
    found = gpu(tmp_path, call(0, 100), step, *launched(ADD, 15, 50, 20, 1), *launched(ADD, 45, 70, 20, 2))
    assert micro(found.work) == {OPTIMIZER: 20, ELEMENTWISE: 20}


def test_polling_in_the_background_is_no_time_of_a_call(tmp_path: Path) -> None:
    polling = [runtime("cudaEventQuery", 10, 30, thread=-1029147072)]
    found = summary(tmp_path, *gpu_bound(), *polling)
    assert sum(found.categories.values()) == pytest.approx(found.seconds)
    assert "cudaEventQuery" not in [operator.name for operator in found.operators]


def test_amds_names_are_read(tmp_path: Path) -> None:
    """ROCm's calls of HIP are of the category cuda_runtime, too."""
    product = "Cijk_Alik_Bljk_SB_Bias_AS_SAV_UserArgs_MT64x16x32_MI16x16x1_SN_LDSB0"
    found = summary(
        tmp_path,
        call(0, 100),
        span("aten::copy_", 1, 30),
        runtime("hipMemcpyWithStream", 5, 20, 1),
        on_stream("Memcpy HtoD (Host -> Device)", 10, 10, 1, kind="gpu_memcpy"),
        runtime("hipExtModuleLaunchKernel", 35, 5, 2),
        on_stream(product, 45, 50, 2),
        runtime("hipDeviceSynchronize", 42, 55, 3),
    )
    assert found.device is not None
    assert micro(found.categories)[WAITING] == 75
    assert micro(found.device.work) == {PRODUCTS: 50, TRANSFER: 10}


def test_a_comparison_speaks_of_kernels_first(tmp_path: Path) -> None:
    compiled = [
        *(call(0, 100), span("Torch-Compiled Region: 0/0", 2, 40)),
        *launched("triton_poi_fused_add_0", 8, 14, 12, 1),
        runtime("cudaDeviceSynchronize", 50, 48),
    ]
    found = list(
        sentences(summary(tmp_path / "e", *launch_bound()), summary(tmp_path / "c", *compiled), "eager", "`x`")
    )
    assert found[0] == (
        "On the GPU, `x` runs 1 kernel, copy or fill per call instead of the 4 of eager: it is busy for 12.0 µs "
        "instead of 20.0 µs, and idles for 88 % of a call instead of 80 %."
    )
    assert "By kind of kernel: element by element 20.0 µs → none; fused kernels none → 12.0 µs." in found
    assert "The longest fused kernel: `triton_poi_fused_add_0`, 12.0 µs." in found
    assert any(sentence.startswith("On the host, by category, under the profiler: ") for sentence in found)
    same = list(sentences(summary(tmp_path / "1", *gpu_bound()), summary(tmp_path / "2", *gpu_bound()), "A", "B"))
    assert "The matrix products and convolutions did not change (970 µs and 970 µs)." in same


def test_a_profile_with_a_gpu_adds_up(tmp_path: Path) -> None:
    timing = {"seconds": 975e-6, "blocks": [[975e-6] * 3]}
    record: Any = {"case": {"device": "cuda:0"}, "timing": timing, "profile": {"plain_seconds": 990e-6}}
    sums = balance(record, summary(tmp_path, *gpu_bound()))
    assert sums.rest == pytest.approx(8e-6)
    assert sums.total == pytest.approx(1e-3)
    record["profile"]["plain_seconds"] = 500e-6
    slowed = " ".join(balance_sentences(balance(record, summary(tmp_path, *gpu_bound()))))
    assert "short ones seem longer, and the GPU seems to idle longer." in slowed


def profiled(folder: Path, document: Any, *traces: Events) -> Path:
    """The file of a run whose cases of a GPU have these traces."""
    folder.mkdir(exist_ok=True)
    benchmarks = [one for one in document["benchmarks"] if "cuda" in one["extra_info"]["torchduet"]["case"]["device"]]
    for place, (benchmark, events) in enumerate(zip(benchmarks, traces, strict=False)):
        write(folder / f"{place}.json.gz", *events)
        benchmark["extra_info"]["torchduet"]["profile"] = {
            **{"trace": f"{place}.json.gz", "calls": 5, "seconds": 1e-3, "plain_seconds": 1e-3, "stacks": False},
        }
    path = folder / "run.json"
    path.write_text(json.dumps(document), "utf-8")
    return path


def page_of(folder: Path, *traces: Events) -> str:
    """The section on profiles of a run whose cases of a GPU have these traces."""
    page = render(load(profiled(folder, make_gpu_run(), *traces)))
    return page[page.index('id="profiles"') : page.index('id="cases"')].replace("\xa0", " ")


def test_the_page_begins_with_the_gpu(tmp_path: Path) -> None:
    page = page_of(tmp_path, launch_bound(), gpu_bound(), steps(3))
    idle, bound, nothing = page.split('<details class="case profile"')[1:]
    assert '<p class="effect">The GPU idles for 80 % of a call: it waits for the host' in idle
    assert '<p class="effect">The GPU computes for 97 % of a call: matrix products and convolutions 97 %.' in bound
    assert "97 % matrix products and convolutions</span></summary>" in bound
    assert "100 µs: the GPU idles for 80 %</span></summary>" in idle
    assert "On the host, 98 % of a call is waiting for the GPU" in bound
    assert bound.index("<h3>On the GPU</h3>") < bound.index("<h3>On the host</h3>") < bound.index("<h3>By kernel</h3>")
    assert '<p class="effect">The trace has no activity of the GPU: the profiler recorded the host alone.' in nothing
    assert "<h3>By category</h3>" in nothing


def test_calls_of_no_length_leave_the_rest_of_the_page(tmp_path: Path) -> None:
    none, bound = page_of(
        tmp_path, [call(0, 0), span("aten::add", 0, 0), *launched(ADD, 0, 0, 0, 1)], gpu_bound()
    ).split('<details class="case profile"')[1:]
    assert "0 % of a call is Python" in none
    assert "Corrected for that, own times and the rest add up to 0 ns" in none
    assert "They differ" in none
    assert "The GPU computes for 97 % of a call" in bound


def test_markdown_of_a_run_says_what_the_gpu_does(tmp_path: Path) -> None:
    path = profiled(tmp_path, make_gpu_run(), launch_bound(), gpu_bound(), steps(3))
    text = markdown(load(path)).replace("\xa0", " ")
    assert "- matmul.square\\[n=256\\] cuda eager fp32: The GPU idles for 80 % of a call: it waits for the host" in text
    assert text.count("fp32: The GPU ") == 2
    (tmp_path / "1.json.gz").unlink()
    assert markdown(load(path)).count("fp32: The GPU ") == 1


def test_a_comparison_of_runs_says_how_kernels_changed(tmp_path: Path) -> None:
    name = "matmul.square[n=256] cuda eager fp32"
    base = profiled(tmp_path / "base", remeasured(make_gpu_run(), 1), launch_bound())
    new = profiled(tmp_path / "new", remeasured(make_gpu_run(), 2, slower={name: 2.0}), gpu_bound())
    (one,) = compare(load(base), [load(new)], Thresholds())
    (explanation,) = explanations(one)
    assert explanation.sentences[0].startswith(
        "On the GPU, run.json runs 1 kernel, copy or fill per call instead of the 4 of"
    )
    assert "By kind of kernel: matrix products and convolutions none → 970 µs" in explanation.sentences[1]
    assert "By kind of kernel: matrix products" in brief([one]).replace("\xa0", " ")
    (tmp_path / "new" / "0.json.gz").unlink()
    assert "By kind of kernel" not in brief([one])


def test_a_trace_of_a_gpu_adds_at_most_100_kb_to_the_page(tmp_path: Path) -> None:
    events = [call(0, 9000)]
    for place in range(2000):
        name = f"void at::native::elementwise_kernel<{place}, at::native::{'Functor' * 40}<float> >(int)"
        events += launched(name, 4 * place, 4 * place + 5, 3, place + 1)
    assert len(page_of(tmp_path, events).encode()) < 100_000
