"""Samples each GPU's power, clocks, temperature and load from the run's start to its end, in a thread."""

from __future__ import annotations

import threading
from bisect import bisect_right
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from statistics import median
from time import monotonic

from torchduet.bench.host.gpu_clocks.state import locked_words, unlocked_words
from torchduet.bench.host.nvml import COUNTERS, FACTS, READINGS, Device
from torchduet.bench.record.gpu_samples import MAX_SAMPLES, GpuNews, with_samples
from torchduet.bench.record.schema import GpuRecord

INTERVAL = 0.1  # seconds between samples
POLL_SECONDS = 0.005  # while the counters' update periods are measured
POLLING_SECONDS = 20.0  # of polling at most, while the GPU is in use: an idle GPU's counters may not change
IDLE = 0x1  # NVML's clocks event reason "nothing is running on the GPU"
CHANGES = 21  # of a counter; the median time between them is its period


class Periods:
    """How often a GPU's counters take a new value, measured by polling them.

    Yang, Adamek & Armour (2024), *Part-time power measurements: nvidia-smi's lack of attention*: the period
    differs from model to model and is documented for no model.
    """

    def __init__(self) -> None:
        self._last: dict[str, float | int | str] = {}
        self._changed: dict[str, float] = {}  # counter → when it last changed, as of this stretch of polling
        self._intervals: dict[str, list[float]] = {name: [] for name in COUNTERS}

    def add(self, at: float, values: Mapping[str, float | int | str]) -> None:
        """Add the counters' values as of ``at`` (seconds)."""
        for name, value in values.items():
            if name in self._last and self._last[name] != value:
                if name in self._changed:
                    self._intervals[name].append(at - self._changed[name])
                self._changed[name] = at
            self._last[name] = value

    def pause(self) -> None:
        """Polling is interrupted: the time until the next change is no period."""
        self._last.clear()
        self._changed.clear()

    def known(self, missing: Collection[str]) -> bool:
        """Whether every readable counter has changed often enough for its period to be known."""
        return all(name in missing or len(times) >= CHANGES - 1 for name, times in self._intervals.items())

    def seconds(self) -> dict[str, float]:
        """Counter → the median seconds between two of its values; without counters that hardly changed."""
        return {name: median(times) for name, times in self._intervals.items() if len(times) >= CHANGES - 1}


class _Gpu:
    """One GPU's samples."""

    def __init__(self, name: str, device: Device | None, why: str) -> None:
        self.name, self.device = name, device
        self.why = "" if device else why
        self.facts = device.read(FACTS) if device else {}
        if device:
            self.facts["clocks"] = unlocked_words(self.facts)
        self.columns: dict[str, list[float | None]] = {name: [] for name in READINGS}
        self.periods = Periods()
        self.earlier: dict[str, float] = {}  # the periods that an earlier process of this run has measured
        self.polled = 0.0  # seconds

    def polling(self) -> bool:
        """Whether to poll its counters now: it is in use, and their periods are not known yet."""
        if self.device is None or self.device.lost or self.polled >= POLLING_SECONDS:
            return False
        return not self.periods.known({*self.device.missing, *self.earlier}) and self.in_use()

    def in_use(self) -> bool:
        """Whether it computed something as of the last sample; a slice of a GPU may have no utilisation."""
        used, reasons = (self.columns[name][-1:] for name in ("utilisation", "reasons"))
        if used and used[0] is not None:
            return used[0] > 0
        return not (reasons and reasons[0] is not None and int(reasons[0]) & IDLE)

    def poll(self, at: float) -> None:
        if self.device:
            self.periods.add(at, self.device.read(COUNTERS))

    def update_seconds(self) -> dict[str, float]:
        """The periods of its counters."""
        measured = {name: float(f"{value:.3g}") for name, value in self.periods.seconds().items()}
        return {**self.earlier, **measured}

    def sample(self) -> None:
        values = self.device.read(READINGS) if self.device else {}
        for name, column in self.columns.items():
            value = values.get(name)
            column.append(None if value is None else float(value))

    def thin(self) -> None:
        for name, column in self.columns.items():
            self.columns[name] = column[::2]

    def record(self, at: Sequence[float]) -> GpuRecord:
        return with_samples(self.record_without_samples(), at, self.columns)

    def record_without_samples(self) -> GpuRecord:
        lost = self.device.lost if self.device else self.why
        record = GpuRecord(
            device=self.name,
            facts=dict(self.facts),
            slice=bool(self.device and self.device.is_slice),
            update_seconds=self.update_seconds(),
            missing=dict(self.device.missing) if self.device else {},
            at=[],
            samples={},
        )
        if lost:
            record["lost"] = lost
        return record


class Timeline:
    """Samples the GPUs in a thread of its own, from :meth:`start` to :meth:`stop`.

    Args:
        devices: name → NVML's device; None where NVML does not have it; ``why`` is the reason.
        now: seconds of a clock; samples' times count from its first reading.

    Attributes:
        locked: this run has locked the clocks of a GPU.
    """

    def __init__(
        self, devices: Mapping[str, Device | None], why: str = "", now: Callable[[], float] = monotonic
    ) -> None:
        self._gpus = [_Gpu(name, device, why) for name, device in devices.items()]
        self._now = now
        self._begun = now()
        self._interval = INTERVAL
        self._at: list[float] = []
        self._reported_until = -1.0  # the time of the last sample that news() returned
        self._reported: list[GpuRecord] = []  # the records without samples that it returned
        self._lock = threading.Lock()
        self._end = threading.Event()
        self._polls = True
        self.locked = False
        self._thread = threading.Thread(target=self._run, daemon=True)

    def note_locked_clocks(self, locked: Mapping[str, str]) -> None:
        """Note which GPUs' clocks this run has locked, and at what; call it before :meth:`start`."""
        self.locked = bool(locked)
        for gpu in self._gpus:
            if gpu.device and gpu.name in locked:
                gpu.facts["clocks"] = locked_words(locked[gpu.name])

    def clocks(self) -> dict[str, str]:
        """Each GPU → whether its clocks are locked, in words."""
        return {gpu.name: str(gpu.facts.get("clocks") or f"not known ({gpu.why})") for gpu in self._gpus}

    def start(self, *, polls: bool = True) -> None:
        """Start sampling, if NVML has any of the GPUs.

        Args:
            polls: measure the counters' update periods, which keeps this process busy: not while it times calls itself.
        """
        self._polls = polls
        if any(gpu.device for gpu in self._gpus):
            self._thread.start()

    def stop(self) -> None:
        """Stop sampling, after the sample that is being taken."""
        self._end.set()
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        due = 0.0
        while not self._end.is_set():
            at = self._now() - self._begun
            if at >= due:
                self.sample(at)
                due = at + self._interval
            if self._polls and self.poll(self._end.wait):
                continue
            self._end.wait(max(0.0, due - (self._now() - self._begun)))

    def poll(self, wait: Callable[[float], object]) -> bool:
        """Read the counters of the GPUs in use whose periods are not known, then wait; whether there was such a GPU.

        Only this time counts as polling: not that in which nothing computes on a GPU, as during collection and imports.
        """
        began = self._now()
        polled = [gpu for gpu in self._gpus if gpu.polling()]
        for gpu in self._gpus:
            if gpu in polled:
                gpu.poll(self._now() - self._begun)
            else:
                gpu.periods.pause()
        if polled:
            wait(POLL_SECONDS)
            for gpu in polled:
                gpu.polled += self._now() - began
        return bool(polled)

    def sample(self, at: float) -> None:
        """Take a sample of every GPU, ``at`` seconds into the run."""
        with self._lock:
            self._at.append(at)
            for gpu in self._gpus:
                gpu.sample()
            if len(self._at) >= MAX_SAMPLES:
                self._thin()

    def _thin(self) -> None:
        self._at = self._at[::2]
        for gpu in self._gpus:
            gpu.thin()
        self._interval *= 2

    def news(self) -> GpuNews:
        """The samples since the last call, for the journal, with the GPUs' records if they changed; {} if none."""
        with self._lock:
            first = bisect_right(self._at, self._reported_until)
            if first == len(self._at):
                return {}
            self._reported_until = self._at[-1]
            samples = {gpu.name: {name: values[first:] for name, values in gpu.columns.items()} for gpu in self._gpus}
            news = GpuNews(at=[round(at, 3) for at in self._at[first:]], samples=samples)
            records = [gpu.record_without_samples() for gpu in self._gpus]
            if records != self._reported:
                news["gpus"] = self._reported = records
            return news

    def restore(self, at: float, news: Iterable[GpuNews]) -> None:
        """Continue a run ``at`` seconds into it, with an earlier process' samples; call it before :meth:`start`."""
        self._begun = self._now() - at
        for piece in news:
            self._at += piece["at"]
            periods = {record["device"]: record["update_seconds"] for record in piece.get("gpus", [])}
            for gpu in self._gpus:
                gpu.earlier |= periods.get(gpu.name, {})
                columns = piece["samples"].get(gpu.name, {})
                for name, values in gpu.columns.items():
                    values += columns.get(name, [None] * len(piece["at"]))
            while len(self._at) >= MAX_SAMPLES:
                self._thin()
        self._reported_until = at

    def records(self) -> list[GpuRecord]:
        """Each GPU's record with its samples so far; all of them after :meth:`stop`."""
        with self._lock:
            return [gpu.record(self._at) for gpu in self._gpus]
