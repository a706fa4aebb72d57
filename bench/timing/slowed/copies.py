"""Makes a slowed copy of a case that is being timed."""

from __future__ import annotations

from torchduet.bench.timing.clock import Work
from torchduet.bench.timing.device import Device
from torchduet.bench.timing.slowed.spin import spin
from torchduet.bench.timing.timed_case import TimedCase


def slow_down(run: TimedCase, original: TimedCase) -> None:
    """Make ``run`` a copy of ``original``, which is warmed up, slowed down by the factor of its case.

    Where the device has no delay kernel, the host does the extra work after the device has finished. The length of the
    work is fitted within the copy's own blocks.
    """
    case, device = run.prepared.case, run.device
    run.calls, run.warm_up_calls, run.seconds = original.calls, original.warm_up_calls, original.seconds
    run.pacing_seconds, run.idle_waiting, run.launch_seconds = (
        original.pacing_seconds,
        original.idle_waiting,
        original.launch_seconds,
    )
    share = case.slowdown - 1
    on_device = device.has_delay_kernel

    def block(extra: Work | None) -> float:
        run.extra_work = extra if on_device or extra is None else _after_the_calls(extra, device)
        return run.block().seconds * run.calls

    seconds = share * original.seconds * run.calls
    work = device.delay(seconds) if on_device else spin(seconds)
    work.fit(block, share)
    run.extra_work = work if on_device else _after_the_calls(work, device)


def _after_the_calls(work: Work, device: Device) -> Work:
    """``work`` of the host that begins when the device has finished what was launched before."""
    if not device.asynchronous:
        return work

    def synchronized() -> None:
        device.synchronize()
        work()

    return synchronized
