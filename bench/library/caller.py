"""The calling program's process: what measuring in it changes is put back."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from types import FrameType

from torchduet.bench.host import suspension
from torchduet.bench.host.signals import StopRequest
from torchduet.bench.host.temporary import HEADERS
from torchduet.bench.inputs.restoring import generators_kept
from torchduet.bench.state.own_state import restored
from torchduet.bench.timing.dynamo import precompile_headers_again, put_back_classes
from torchduet.bench.workers.messages import STOP_REQUESTED

OF_COMPILER = ("TORCHINDUCTOR_CACHE_DIR", "TRITON_CACHE_DIR", HEADERS)


class CallerStop(StopRequest):
    """Ctrl-C in the calling program: what is being timed is finished, in this process, too."""

    def _handle(self, number: int, frame: FrameType | None) -> None:
        STOP_REQUESTED.set()
        super()._handle(number, frame)


@contextlib.contextmanager
def measuring_here() -> Iterator[CallerStop]:
    """Measure in this process: everything is as before afterwards, random numbers and signal handlers included."""
    stop = CallerStop()
    with generators_kept(), _compiler(), restored():
        suspension.listen()
        stop.listen()
        STOP_REQUESTED.clear()
        try:
            yield stop
        finally:
            STOP_REQUESTED.clear()
            stop.restore()
            put_back_classes()


@contextlib.contextmanager
def _compiler() -> Iterator[None]:
    """The compiler's folders, and what a visit replaces in it."""
    before = {name: os.environ.get(name) for name in OF_COMPILER}
    try:
        yield
    finally:
        changed = any(os.environ.get(name) != value for name, value in before.items())
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
        precompile_headers_again()
        if changed and "torch._inductor.utils" in sys.modules:
            from torch._inductor.utils import clear_caches

            clear_caches()
