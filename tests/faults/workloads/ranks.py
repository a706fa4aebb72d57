"""Workloads that do to one of their ranks, or to all of them, what code can do to a process; and some that do nothing.

A rank that is killed dies at a certain message of the family's worker, or some moments later.
"""

import ctypes
import os
import random
import signal
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

from torchduet import Implementation, Suite
from torchduet.bench.ranks import group, local, pool
from torchduet.bench.ranks.messages import Do, Order
from torchduet.bench.ranks.stages import RankStages
from torchduet.suites.workload import Unavailable

suite = Suite("ranks", "What code can do to a rank")
Fault = Callable[[], object]
PATIENCE = float(os.environ.get("PATIENCE_WITH_RANKS", "4"))  # seconds, so that many can be tried
ELSEWHERE = ("/dev/full", "/proc/there/is/none")  # files of which nothing can be made


class Here:
    """This rank; none in other processes."""

    visit, family, rank, messages = 0, "", -1, Counter[str]()


def shorten() -> None:
    """Wait for ranks as long as the tests have patience."""
    pool.ANSWER_SECONDS = PATIENCE
    pool.JOIN_SECONDS = PATIENCE + 2
    pool.AFTER_ERROR_SECONDS, pool.WINDOW_SECONDS = 2.0, 1.0
    pool.COLLECTIVE_SECONDS = PATIENCE - 1


def kill_soon() -> None:
    """SIGKILL, within some milliseconds."""
    print(f"last words of rank {Here.rank}", flush=True)
    seconds = random.Random(Here.family).uniform(0.0, 5e-3)
    if Here.family == "finishing":
        os.kill(os.getpid(), signal.SIGKILL)  # its answer is the last: later, nothing is lost
    threading.Timer(seconds, lambda: os.kill(os.getpid(), signal.SIGKILL)).start()


def dwell(seconds: float) -> None:
    """Say who waits, and wait."""
    place = Path(os.environ["HANGING"])
    new = place.with_suffix(f".{os.getpid()}")
    new.write_text(f"{os.getpid()} {os.getppid()}")
    new.replace(place)
    time.sleep(seconds)


def serve(link: Any, order: Order, rank: int, log: str) -> None:
    """A rank that knows what it is."""
    Here.visit, Here.family, Here.rank = order.number, order.cases[0].workload, rank
    original_serve(link, order, rank, log)


def join(*arguments: Any, **named: Any) -> Any:
    """Join the group, unless something comes between."""
    if Here.family in ("joining", "sleeps_joining") and Here.rank == 1:
        kill_soon() if Here.family == "joining" else time.sleep(3600)
    places = {"store_on_a_full_disk": ELSEWHERE[0], "store_without_a_folder": ELSEWHERE[1]}
    if Here.family in places:
        named["store"] = places[Here.family]
    if Here.family == "store_is_a_folder":
        named["store"] = tempfile.gettempdir()
    return original_join(*arguments, **named)


def hooked(name: str) -> Callable[[RankStages, Do], Any]:
    """What a rank does at a message, after what its family has in mind."""
    original = getattr(RankStages, name)

    def method(stages: RankStages, do: Do) -> Any:
        Here.messages[name] += 1
        if Here.family == f"interrupted_{name}" and Here.messages["fresh"]:
            dwell(2.0)
        if Here.rank == 1 and (moment := MOMENTS.get(Here.family)) and moment(name, Here.messages):
            kill_soon()
        return original(stages, do)

    return method


# Family → whether its rank 1 is killed soon after a message: the stage of its life that this is.
MOMENTS: dict[str, Callable[[str, Counter[str]], bool]] = {
    "preparing": lambda name, seen: name == "prepare" and seen["prepare"] == 1,
    "second_first_call": lambda name, seen: name == "prepare" and seen["prepare"] == 2,
    "warming_up": lambda name, seen: name == "block" and seen["block"] == 3,
    "deciding": lambda name, _: name == "decide",
    "moving_inputs": lambda name, seen: name == "fresh" and seen["fresh"] == 2,
    "settling": lambda name, seen: name == "settle" and seen["settle"] == 3,
    "in_a_block": lambda name, seen: name == "block" and seen["fresh"] == 2,
    "in_the_control": lambda name, seen: name == "call" and seen["fresh"] > 0,
    "in_the_memory_pass": lambda name, _: name == "memory",
    "verifying": lambda name, _: name == "verify",
    "killed_in_a_later_visit": lambda name, _: name == "block" and Here.visit > 0,
    "profiled": lambda name, _: name == "profile",
    "finishing": lambda name, _: name == "finish",
}

original_serve, original_join = local.serve, group.join
if not hasattr(RankStages, "hooked"):  # this file may be imported twice in one process
    RankStages.hooked = True  # type: ignore[attr-defined]
    local.serve, group.join = serve, join  # type: ignore[assignment]
    for stage in ("prepare", "call", "block", "fresh", "settle", "decide", "verify", "memory", "profile", "finish"):
        setattr(RankStages, stage, hooked(stage))
    shorten()


def rows(device: torch.device, ranks: int) -> tuple[Tensor]:
    return (torch.arange(8.0 * ranks, device=device).reshape(ranks, 8),)


def own_row(x: Tensor, rank: int) -> tuple[Tensor]:
    return (x[rank].clone(),)


def total(x: Tensor) -> Tensor:
    return x.sum(0)


def all_reduce(x: Tensor) -> Tensor:
    y = x.clone()
    dist.all_reduce(y)
    return y


def add(name: str, faulty: Callable[[Tensor], Tensor], *, first: Any = all_reduce, **other: Any) -> None:
    """A family of a harmless case and a faulty one."""
    given: dict[str, Any] = {"inputs": rows, "shard": own_row, "joint": total, "ranks": [2], "modes": ["eager"]}
    if first is not all_reduce:
        given["joint"] = None
    suite.compare(name, {"harmless": first, "faulty": faulty}, about=name, **(given | other))


def before(
    fault: Fault, ranks: tuple[int, ...] = (1,), call: int = 1, *, first_only: bool = False
) -> Callable[[Tensor], Tensor]:
    """All-reduce, with a fault before it in some ranks, from one call on."""
    calls: list[None] = []

    def faulty(x: Tensor) -> Tensor:
        calls.append(None)
        if len(calls) >= call and Here.rank in ranks and not (first_only and len(calls) > 1):
            print(f"last words of rank {Here.rank}", flush=True)
            fault()
        return all_reduce(x)

    return faulty


def after(fault: Fault, ranks: tuple[int, ...] = (1,)) -> Callable[[Tensor], Tensor]:
    """All-reduce, with a fault after it."""

    def faulty(x: Tensor) -> Tensor:
        y = all_reduce(x)
        if Here.rank in ranks:
            print(f"last words of rank {Here.rank}", flush=True)
            fault()
        return y

    return faulty


def compute() -> None:
    end = time.monotonic() + pool.JOIN_SECONDS + 1.0
    while time.monotonic() < end:
        pass


def refuse() -> None:
    raise ValueError("not in this rank")


def lack() -> None:
    raise Unavailable("this rank lacks something")


def hide_behind_a_child() -> None:
    if os.fork() == 0:
        time.sleep(3600)  # holds the pipes of its parent open
        os._exit(0)
    os.kill(os.getpid(), signal.SIGKILL)


def print_megabytes() -> None:
    for _ in range(100):
        os.write(1, b"spam " * 200_000)
    raise RuntimeError("printed 100 MB")


def control() -> None:
    print("\x1b[2J\x1b[31mred\u202e", flush=True)
    raise ValueError("\x1b]0;title\x07 \x1b[31mred")


def close_files() -> None:
    os.closerange(3, 1024)
    time.sleep(3600)


def interrupt() -> None:
    raise KeyboardInterrupt


def leave_thread() -> None:
    if threading.active_count() < 3:
        threading.Thread(target=time.sleep, args=(3600,)).start()


def unequal(x: Tensor) -> Tensor:
    y = torch.zeros(8 + 2**18 * Here.rank)
    dist.all_reduce(y)
    return all_reduce(x)


def skipping(x: Tensor) -> Tensor:
    return all_reduce(x) if Here.rank == 0 else x * 2 + 8


def skipping_one_of_two(x: Tensor) -> Tensor:
    return all_reduce(x) if Here.rank == 0 else all_reduce(x) - 0 * all_reduce(x)


def each_waiting(x: Tensor) -> Tensor:
    dist.recv(x.clone(), src=1 - Here.rank)
    return x


def wrong(x: Tensor) -> Tensor:
    return all_reduce(x) + Here.rank


def another_shape(x: Tensor) -> Tensor:
    return all_reduce(x)[: 8 - Here.rank]


def turning_nan() -> Callable[[Tensor], Tensor]:
    calls: list[None] = []

    def faulty(x: Tensor) -> Tensor:
        calls.append(None)
        y = all_reduce(x)
        return y * float("nan") if Here.rank == 1 and len(calls) > 10 else y

    return faulty


for moment in ("joining", *MOMENTS):
    add(moment, all_reduce, memory=True)
add("fine", all_reduce)
add("interrupted_call", all_reduce)
add("interrupted_memory", all_reduce, memory=True)
add("blocked", before(lambda: dwell(3600.0), call=30))
add("computes_for_long", before(compute, ranks=(0, 1), first_only=True))
add("raises_before", before(refuse))
add("raises_after", after(refuse))
add("raises_in_all", before(refuse, ranks=(0, 1)))
add("raises_in_all_later", before(refuse, ranks=(0, 1), call=30))
add("raises_later", before(refuse, call=30))
add("sleeps", before(lambda: time.sleep(3600)))
add("sleeps_joining", all_reduce)
add("sleeps_in_all", before(lambda: time.sleep(3600), ranks=(0, 1)))
add("hangs_in_c", before(lambda: ctypes.PyDLL(None).sleep(3600)))
add("is_stopped", before(lambda: os.kill(os.getpid(), signal.SIGSTOP)))
add("unequal_counts", unequal)
add("skips_a_collective", skipping)
add("makes_one_more", skipping_one_of_two)
add("waits_in_all", each_waiting)
add("exits", before(lambda: os._exit(7)))
add("exits_with_0", before(lambda: os._exit(0)))
add("sys_exit", before(lambda: sys.exit(3)))
add("is_interrupted", before(interrupt))
add("segfaults", before(lambda: ctypes.string_at(0)))
add("aborts", after(os.abort))
add("leaves_a_child", before(hide_behind_a_child))
add("megabytes", before(print_megabytes, ranks=(0, 1)))
add("control_characters", before(control))
add("closes_files", before(close_files))
add("memory_in_one", before(lambda: torch.empty(2**50, dtype=torch.uint8)))
add("changes_its_folder", before(lambda: os.chdir("/")))
add("leaves_a_thread", before(leave_thread))
add("wrong_in_one", wrong)
add("another_shape_in_one", another_shape)
add("turns_nan_in_one", turning_nan())
add("lacks_something_in_one", before(lack))
add("store_is_a_folder", all_reduce)
add("store_without_a_folder", all_reduce)
add("store_on_a_full_disk", all_reduce)


def shard_raises(x: Tensor, rank: int) -> tuple[Tensor]:
    return (x[rank + 1],)


add("shard_is_no_tuple", all_reduce, shard=lambda x, rank: x[rank])
add("shard_raises_in_one", all_reduce, shard=shard_raises)
add("shard_of_other_shapes", all_reduce, shard=lambda x, rank: (x[rank, : 8 - rank],))
add("joint_raises", all_reduce, joint=lambda x: x.no_such_attribute)
add("alone_raises", all_reduce, first=Implementation(lambda x: x.no_such_attribute, alone=True), ranks=[1, 2])
