"""A call that returns before its work is done is caught after the timing, whoever does the work."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from tests.bench.measured import called_again, families_of
from torchduet.bench.cases.exchange import Task
from torchduet.bench.workers import left_running as module
from torchduet.bench.workers.family import Stages
from torchduet.bench.workers.left_running import left_running
from torchduet.bench.workers.messages import OWN_THREAD

HASTY = """
import threading
from concurrent.futures import ThreadPoolExecutor

pool = ThreadPoolExecutor(1)


def work(x, times=20):
    for _ in range(times):
        y = x @ x
    return y


def inputs(device):
    torch.manual_seed(0)
    return (torch.randn(192, 192, device=device),)


def later(x):
    pool.submit(work, x.clone(), 100)
    return work(x)


def started(x):
    threading.Thread(target=work, args=(x.clone(), 100)).start()
    return work(x)


def joined(x):
    thread = threading.Thread(target=work, args=(x.clone(),))
    thread.start()
    thread.join()
    return work(x)


def submitted(x):
    return pool.submit(work, x).result()


suite.compare("pooled", {"waits": submitted, "hasty": later}, inputs=inputs, **EAGER)
suite.compare("threaded", {"joined": joined, "hasty": started}, inputs=inputs, **EAGER)
"""


def test_threads_that_work_on_after_the_call_are_named(tmp_path: Path) -> None:
    errors = called_again(tmp_path, HASTY)
    hasty = [error for name, error in errors.items() if "hasty" in name]
    others = [error for name, error in errors.items() if "hasty" not in name]
    assert len(hasty) == len(others) == 2
    # A thread that is still busy when the calls are over is named by what puts the process' state back.
    words = ("a thread that it has started works on", "its calls leave a thread running")
    assert all(any(some in str(error) for some in words) for error in hasty), errors
    assert others == [None, None]


QUIET = """
import threading, time

threading.Thread(target=lambda: [time.sleep(0.001) for _ in range(10_000)], daemon=True).start()


@suite.workload(inputs=lambda device: (torch.ones(256, 256, device=device, requires_grad=True),), **EAGER)
def backward(x):
    y = (x @ x).sum()
    return torch.autograd.grad(y, x)[0]
"""


def test_a_thread_that_only_waits_and_those_of_pytorch_are_no_alarm(tmp_path: Path) -> None:
    assert set(called_again(tmp_path, QUIET).values()) == {None}


def test_a_duets_worker_whose_placements_hold_no_blocks_asks_without_an_error(tmp_path: Path) -> None:
    (family,) = families_of(tmp_path, QUIET)
    stages = Stages(Task(family, 0.0, 1, str(tmp_path)), lambda _what, _fraction: None)
    stages.prepare_device("cpu", family.cases)
    for run in stages.runs:
        run.block()
        run.placements.append([])  # the other side's process has them
        assert left_running(run) is None


def test_without_threads_of_its_own_a_case_is_called_a_few_times_and_nothing_waits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "sleep", lambda _: pytest.fail("it waits"))
    own = threading.Thread(target=threading.Event().wait, args=(5.0,), name=OWN_THREAD, daemon=True)
    own.start()
    monkeypatch.setattr(threading, "enumerate", lambda: [threading.current_thread(), own])
    (family,) = families_of(tmp_path, QUIET)
    stages = Stages(Task(family, 0.0, 1, str(tmp_path)), lambda _what, _fraction: None)
    stages.prepare_device("cpu", family.cases)
    assert [left_running(run) for run in stages.runs] == [None]
