"""A run in several processes that were started together: rank 0 is pytest as usual, and the others follow it.

A process that follows leaves pytest before it is configured: it collects nothing, and no plugin writes anything.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Generator
from typing import TYPE_CHECKING, Any

import pytest

from torchduet.bench.files.streams import forgive, note
from torchduet.bench.host.launch.variables import Launched, LaunchError, launched, set_by_torchrun
from torchduet.bench.host.temporary import RunFolder
from torchduet.bench.plugin.stash import LEADER

if TYPE_CHECKING:
    from torchduet.bench.ranks.messages import Order

QUIET = ("TORCH_CPP_LOG_LEVEL", "ERROR")  # else PyTorch prints a warning for each wait that ends without a message


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_load_initial_conftests() -> Generator[None, Any, Any]:
    """Before pytest captures its streams: a run does not need them, its results are in a file."""
    forgive()
    return (yield)


@pytest.hookimpl(tryfirst=True)
def pytest_cmdline_main(config: pytest.Config) -> int | None:
    """Follow rank 0, or gather those that follow, where this process is one of several."""
    forgive()  # here if this is a conftest.py, which has no hook before
    config.add_cleanup(lambda: _forgive_at_the_end(config))
    try:
        own = launched()
    except LaunchError as error:
        raise pytest.UsageError(str(error)) from None
    if own is None:
        return None
    _change_environment(config)
    if own.rank:
        return _follow(own)
    from torchduet.bench.ranks.leader import Leader
    from torchduet.bench.ranks.store import VARIABLE, described

    try:
        leader = Leader(own)
    except LaunchError as error:
        raise pytest.UsageError(str(error)) from None
    config.add_cleanup(leader.end)
    os.environ[VARIABLE] = described(own)
    config.add_cleanup(lambda: os.environ.__delitem__(VARIABLE))
    config.stash[LEADER] = leader
    return None


def _forgive_at_the_end(config: pytest.Config) -> None:
    """Let pytest print its last lines: the end of its capturing brings back the streams that were there before."""
    capture: Any = config.pluginmanager.getplugin("capturemanager")
    if capture is not None:
        capture.stop_global_capturing()
    forgive()


def _change_environment(config: pytest.Config) -> None:
    """Hide from workers, and from what they import, that there are several processes; undone at the end."""
    before = {name: os.environ.pop(name) for name in set_by_torchrun()}
    config.add_cleanup(lambda: os.environ.update(before))
    os.environ.setdefault(*QUIET)


def _follow(own: Launched) -> int:
    folder = RunFolder()
    from torchduet.bench.workers.environment import for_workers

    os.environ.update(for_workers(folder.path, compiler=False))
    import torchduet.bench.workers.preload as preload  # imports what a worker does: ranks are forked from this process
    from torchduet.bench.ranks.follower import Follower
    from torchduet.bench.ranks.store import VARIABLE, described
    from torchduet.bench.workers.process import like_a_users_process
    from torchduet.suites.workload import COMPILED

    def before(order: Order) -> None:
        if "torch._inductor.compile_fx" not in sys.modules and any(case.mode in COMPILED for case in order.cases):
            preload.compiler()

    try:
        os.environ[VARIABLE] = described(own)
        like_a_users_process()
        Follower(own, folder.path, before).follow()
    except LaunchError as error:
        note(f"torchduet: rank {own.rank}: {error}")
        return 1
    finally:
        folder.cleanup()
    return 0
