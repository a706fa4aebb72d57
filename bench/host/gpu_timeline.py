"""Samples each GPU's power, clocks, temperature and load from the run's start to its end, in a thread."""

from __future__ import annotations

import threading
from bisect import bisect_right
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import pairwise
from statistics import median
from time import monotonic

from torchduet.bench.host.nvml import COUNTERS, FACTS, READINGS, Device
from torchduet.bench.record.gpu_samples import MAX_SAMPLES, GpuNews, with_samples
from torchduet.bench.record.schema import GpuRecord

INTERVAL = 0.1  # seconds between samples
POLL_SECONDS = 0.002  # while the counters' update periods are measured
POLLING_SECONDS = 20.0  # at most: an idle GPU's readings may never change
CHANGES = 21  # of a counter; the median time between them is its period


class Periods:
    """How often a GPU's counters take a new value, measured by polling them.

    Yang, Adamek & Armour (2024), *Part-time power measurements: nvidia-smi's lack of attention*: the period
    differs from model to model and is documented for no model.
    """

    def __init__(self) -> None:
        self._last: dict[str, float | int | str] = {}
        self._changes: dict[str, list[float]] = {name: [] for name in COUNTERS}

    def add(self, at: float, values: Mapping[str, float | int | str]) -> None:
        """Add the counters' values as of ``at`` (seconds)."""
        for name, value in values.items():
            if name in self._last and self._last[name] != value:
                self._changes[name].append(at)
            self._last[name] = value

    def known(self, missing: Mapping[str, str]) -> bool:
        """Whether every readable counter has changed often enough for its period to be known."""
        return all(name in missing or len(changes) >= CHANGES for name, changes in self._changes.items())

    def seconds(self) -> dict[str, float]:
        """Counter → the median seconds between two of its values; without counters that hardly changed."""
        return {
            name: median(later - earlier for earlier, later in pairwise(changes))
            for name, changes in self._changes.items()
            if len(changes) >= CHANGES
        }


class _Gpu:
    """One GPU's samples."""

    def __init__(self, name: str, device: Device | None, why: str) -> None:
        self.name, self.device = name, device
        self.why = "" if device else why
        self.facts = device.read(FACTS) if device else {}
        self.columns: dict[str, list[float | None]] = {name: [] for name in READINGS}
        self.periods = Periods()

    def polling(self) -> bool:
        """Whether the periods of its counters are still being measured."""
        return self.device is not None and not self.device.lost and not self.periods.known(self.device.missing)

    def poll(self, at: float) -> None:
        if self.device:
            self.periods.add(at, self.device.read(COUNTERS))

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
            update_seconds={name: float(f"{value:.3g}") for name, value in self.periods.seconds().items()},
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
    """

    def __init__(
        self, devices: Mapping[str, Device | None], why: str = "", now: Callable[[], float] = monotonic
    ) -> None:
        self._gpus = [_Gpu(name, device, why) for name, device in devices.items()]
        self._now = now
        self._begun = self._polled_from = now()
        self._interval = INTERVAL
        self._at: list[float] = []
        self._reported_until = -1.0  # the time of the last sample that news() returned
        self._reported: list[GpuRecord] = []  # the records without samples that it returned
        self._lock = threading.Lock()
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def start(self) -> None:
        """Start sampling, if NVML has any of the GPUs."""
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
            polling = self._now() - self._polled_from < POLLING_SECONDS and any(gpu.polling() for gpu in self._gpus)
            if polling:
                for gpu in self._gpus:
                    gpu.poll(self._now() - self._begun)
            self._end.wait(POLL_SECONDS if polling else max(0.0, due - (self._now() - self._begun)))

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
            for gpu in self._gpus:
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
