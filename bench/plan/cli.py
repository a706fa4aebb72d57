"""Declares the options of ``pytest bench/``; parsing their values is left to ``options``."""

from __future__ import annotations

from typing import Any

from torchduet.bench.cases import knobs
from torchduet.bench.cases.copies import SLOWDOWNS
from torchduet.bench.host import run_lock
from torchduet.bench.host.gpu_clocks import locking
from torchduet.bench.plan.budget import TIER_BUDGET
from torchduet.bench.plan.options import PROFILE_EXTRAS, Options, parse
from torchduet.suites.registry import names

VALUES: tuple[tuple[str, str, str], ...] = (
    (
        "--tier",
        "TIER",
        "sizes and variants: quick (default), default (minutes) or full (the tutorials' largest sizes); "
        "each includes the one before",
    ),
    *((knob.flag, "LIST", knobs.help_of(knob)) for knob in knobs.OPTIONS),
    (
        "--data",
        "SOURCE",
        "images for the suite training: an mnist.npz, a torchvision folder, openml:mnist_784 or openml:Fashion-MNIST "
        "(default: scikit-learn's digits)",
    ),
    (
        "--threads",
        "N",
        "intra-op threads of PyTorch, a whole number (default: all cores this process may use)",
    ),
    (
        "--cache",
        "STATE",
        "hot (default), or cold: before each call the GPU's L2 or the CPU's last-level cache is filled with "
        "other data, untimed",
    ),
    (
        "--budget",
        "TIME",
        "time for the whole run after start-up, e.g. 90s, 10m, 1h (default: "
        + ", ".join(f"{tier} {seconds:.0f}s" for tier, seconds in TIER_BUDGET.items())
        + ")",
    ),
    (
        "--shard",
        "K/N",
        "measure the K-th of N shards, of whole families that take about equally long, the same on every machine; "
        "auto: K and N from the variables of GitLab, Kubernetes, Slurm arrays and others, or from "
        "TORCHDUET_SHARD_INDEX (from 0) and TORCHDUET_SHARD_TOTAL (default: the whole suite)",
    ),
    (
        "--shard-by",
        "FILE",
        "an earlier run, whole or merged, by whose seconds per family --shard balances (default: the plan's guess)",
    ),
    (
        "--profile-with",
        "LIST",
        f"what --profile records in addition to operators, shapes and memory: {', '.join(PROFILE_EXTRAS)} "
        "(default: none)",
    ),
    (
        "--trace-dir",
        "DIR",
        "folder for --profile's traces, with a folder for each case (default: RUN-traces, beside the run's file)",
    ),
    (
        "--hang-after",
        "TIME",
        "after this time without a report a worker is killed with its children, and its family fails "
        "(default: as long as the budget, from 3m to 10m)",
    ),
    (
        "--slowdowns",
        "LIST",
        "by how much --aa slows copies down, e.g. 3%%,10%%, or none "
        f"(default: {','.join(f'{100 * (factor - 1):.0f}%%' for factor in SLOWDOWNS)})",
    ),
)

PROFILE = (
    "--profile",
    "WHAT",
    "after all timing, call cases again under torch.profiler: all (default), slowest:N, or a glob over case ids "
    "such as 'mlp.*'; takes time beyond the budget",
)

WARM_START = (
    "--warm-start",
    "WHAT",
    "after all timing, take the first call of compiled cases again in new processes, with an empty and with a filled "
    "cache: all (default), slowest:N, or a glob over case ids; takes time beyond the budget (default: of a few cases "
    "from --tier default on, within the budget; none: of none)",
)

LOCK_CLOCKS = (
    locking.OPTION,
    "MHZ",
    "lock the SM clocks of the GPUs that are measured, at the base clock or this number of MHz, and unlock them at the "
    "end of the run, even if it is killed, but not where its whole container is: nvidia-smi -rgc unlocks them then; "
    "needs root (default: not locked)",
)

FLAGS: tuple[tuple[str, str], ...] = (
    ("--energy", "measure joules per call, too: of the GPU by NVML, of the CPU by RAPL; takes 5 s more per case"),
    (
        "--headroom",
        "find the largest batch that fits into the GPU's memory, of eager cases with an axis `batch`; up to 20 s each",
    ),
    ("--profile-python", "with --profile: sample Python's own stack, too, for a second per case (needs pyinstrument)"),
    ("--aa", "measure the suite itself: time each case against an A/A copy, and against slowed copies"),
)


CASE = (
    "only cases whose id matches, as reports print it, e.g. 'matmul.square[n=64] cpu *'; * and ? are wildcards, "
    "brackets are literal; may be given several times (default: all cases)"
)


ONCE = (
    "of `torchduet run`: call the one case that --case names in this process, for a profiler around it (nsys, ncu, "
    "perf, py-spy), prepared as for its timing; nothing is measured or checked"
)


CALLS = (
    "with --once: how many calls the profiler sees after the warm-up, a whole number, or for how long it sees calls, "
    "e.g. 5s (default: 1)"
)


RESUME = (
    "continue a run that ended early, from the journal beside its --benchmark-json, without measuring again what it "
    "measured (default: measure all; an unfinished run's journal is kept under another name)"
)


WHEN_BUSY = (
    "while another run is measuring on this machine, or other processes compute on a GPU that is to be measured: wait "
    "for the end (default), refuse, or go, with a warning in the record; runs lock the file torchduet.lock in the "
    f"temporary folder, or the file that {run_lock.VARIABLE} names"
)


def add_to(group: Any) -> None:
    """Add all options to a group of pytest's options."""
    group.addoption("--resume", action="store_true", help=RESUME)
    group.addoption("--when-busy", metavar="WHAT", default=run_lock.WAIT, help=WHEN_BUSY)
    for name, metavar, text in VALUES:
        group.addoption(name, metavar=metavar, default="quick" if name == "--tier" else None, help=text)
    group.addoption(
        "--suite",
        metavar="NAME|FILE",
        action="append",
        help=f"a suite ({', '.join(names())}) or a Python file of workloads, whose code is run; "
        "may be given several times (default: all built-in suites)",
    )
    group.addoption("--case", metavar="GLOB", action="append", help=CASE)
    group.addoption("--once", action="store_true", help=ONCE)
    group.addoption("--calls", metavar="N", help=CALLS)
    for (name, metavar, text), const in ((PROFILE, "all"), (WARM_START, "all"), (LOCK_CLOCKS, locking.BASE)):
        group.addoption(name, metavar=metavar, nargs="?", const=const, help=text)
    for name, text in FLAGS:
        group.addoption(name, action="store_true", help=text)


def read(config: Any) -> Options:
    """The options that were given.

    Raises:
        OptionError: a value that cannot be used.
    """
    return parse(**{name.removeprefix("--").replace("-", "_"): config.getoption(name) for name in given()})


def given() -> list[str]:
    """The options whose values :func:`torchduet.bench.plan.options.parse` takes."""
    others = ("--suite", "--case", PROFILE[0], WARM_START[0], LOCK_CLOCKS[0])
    return [*(name for name, *_ in VALUES), *others, *(name for name, _ in FLAGS)]
