"""Says in sentences what a GPU does within a call."""

from __future__ import annotations

from collections.abc import Iterator

from torchduet.reports.profile.device import (
    IDLE,
    IDLE_DATA,
    IDLE_LAUNCHING,
    IDLE_OPERATORS,
    IDLE_PYTHON,
    IDLE_WAITING,
    Device,
)
from torchduet.reports.profile.kernels import TRANSFER, short_name
from torchduet.reports.text import units

WORTH_NAMING = 0.01  # of a call
MAX_NAMED = 3
SIDE_BY_SIDE = 0.05  # of the busy time: less is not worth a sentence
REASONS = {
    IDLE_PYTHON: "Python runs",
    IDLE_OPERATORS: "operators run on the host",
    IDLE_LAUNCHING: "the host launches",
    IDLE_DATA: "the host waits for data",
    IDLE_WAITING: "the host already waits for it",
}
FOR_THE_HOST = (IDLE_PYTHON, IDLE_OPERATORS, IDLE_LAUNCHING, IDLE_DATA)


def answer(device: Device) -> str:
    """The first sentence of a GPU's profile: what takes the most of a call, and of what it consists."""
    states = (("computes", device.computing), ("copies", device.copying), ("idles", device.idle))
    first, *others = sorted(states, key=lambda state: -state[1])
    also = [_state(*other, device) for other in others if other[1] > 0 and other[1] >= WORTH_NAMING * device.seconds]
    text = f"The GPU {_state(*first, device)} of a call{_of_what(first[0], device)}"
    return f"{text}. It {' and '.join(also)}." if also else f"{text}."


def headline(device: Device) -> str:
    """What takes the most of a call, in a few words: ``the GPU idles for 80 %``, ``71 % attention``."""
    if device.idle >= max(device.computing, device.copying) or not device.work:
        return f"the GPU {_state('idles', device.idle, device)}"
    kind, seconds = next(iter(device.work.items()))
    return f"{units.percent(seconds / device.seconds)} {kind}"


def sentences(device: Device, *, launch_bound: bool | None) -> Iterator[str]:
    """The longest kernel, CUDA graphs, concurrent kernels; whether the timed calls idle as well.

    Args:
        launch_bound: of the timed calls; None where this was not measured.
    """
    if device.kernels:
        longest = device.kernels[0]
        runs = "1 run" if round(longest.calls, 2) == 1 else f"{longest.calls:.3g} runs"
        yield (
            f"A call runs {activities(device.launched)} on the GPU; the longest is "
            f"`{short_name(longest.name)}` with {units.seconds(longest.own)} in {runs}."
        )
    else:
        yield "No kernel in the trace belongs to a call."
    if device.graphs:
        many = round(device.graphs) > 1
        launches = f"{_number(device.graphs)} launch{'es' * many} of a CUDA graph"
        if device.in_graphs:
            yield f"{launches} {'start' if many else 'starts'} {_number(device.in_graphs)} of them."
        else:
            yield (f"The trace has {launches}, but none of the kernels within: the GPU idles less than is shown here.")
    total = sum(kernel.own for kernel in device.kernels)
    if device.busy and total - device.busy > SIDE_BY_SIDE * device.busy:
        yield (
            f"Kernels on {device.streams} streams run at the same time: theirs add up to {units.seconds(total)} in "
            f"{units.seconds(device.busy)}. Kinds that run at the same time share that time equally."
        )
    if device.idle_share >= WORTH_NAMING and launch_bound is not None:
        yield (
            "Launching limits the timed calls, too."
            if launch_bound
            else "Each profiled call was waited for. Timed calls follow one another: the GPU idles less in them."
        )


def activities(number: float) -> str:
    """``4 kernels, copies and fills``."""
    return f"{_number(number)} kernels, copies and fills" if round(number, 1) != 1 else "1 kernel, copy or fill"


def no_activity() -> str:
    """For a case of a GPU whose trace has only the host's part."""
    return (
        "The trace has no activity of the GPU: the profiler recorded the host alone. Check that no other profiler "
        "runs, and that the driver permits profiling (ERR_NVGPUCTRPERM in NVIDIA’s documentation)."
    )


def _state(verb: str, seconds: float, device: Device) -> str:
    to = " to or from the host" if verb == "copies" else ""
    return f"{verb}{to} for {units.percent(seconds / device.seconds if device.seconds else 0.0)}"


def _of_what(verb: str, device: Device) -> str:
    if verb == "computes":
        parts = [(kind, seconds) for kind, seconds in device.work.items() if kind != TRANSFER]
        named = [f"{kind} {units.percent(seconds / device.seconds)}" for kind, seconds in _largest(parts, device)]
        return f": {', '.join(named)}" if named else ""
    if verb == "idles":
        parts = [(kind, device.parts.get(kind, 0.0)) for kind in IDLE]
        named = [
            f"{units.percent(seconds / device.seconds)} while {REASONS[kind]}"
            for kind, seconds in _largest(parts, device)
        ]
        for_the_host = sum(device.parts.get(kind, 0.0) for kind in FOR_THE_HOST)
        waits = "it waits for the host, " if for_the_host > device.idle / 2 else ""
        return f": {waits}{', '.join(named)}" if named else ""
    return ""


def _largest(parts: list[tuple[str, float]], device: Device) -> list[tuple[str, float]]:
    ordered = sorted(parts, key=lambda part: -part[1])
    return [part for part in ordered[:MAX_NAMED] if part[1] > 0 and part[1] >= WORTH_NAMING * device.seconds]


def _number(value: float) -> str:
    return f"{round(value):,}" if value >= 1 or not value else f"{value:.1f}"
