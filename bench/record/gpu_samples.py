"""The GPUs' samples over a run: joins the journal's pieces, thins them if there are too many, makes their records."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from statistics import median
from typing import TypedDict

from torchduet.bench.record.schema import GpuRecord, SmClockRecord

NOT_LOCKED = "not locked by this run"  # a GPU's fact "clocks"; more may follow
MAX_SAMPLES = 4000  # at this number every second sample is dropped

Columns = dict[str, list[float | None]]  # reading → its value in each sample


class GpuNews(TypedDict, total=False):
    """A piece of a journal: the samples since the last piece; empty without any.

    ``gpus`` are the GPUs' records without samples, present if any of them has changed.
    """

    at: list[float]
    samples: dict[str, Columns]  # device → readings
    gpus: list[GpuRecord]


def joined(news: Iterable[GpuNews]) -> tuple[list[float], dict[str, Columns]]:
    """The samples of several pieces: their times, and each device's readings; None where a piece lacks a reading."""
    at: list[float] = []
    devices: dict[str, Columns] = {}
    for piece in news:
        times, samples = piece.get("at", []), piece.get("samples", {})
        for device in {**devices, **samples}:
            columns, more = devices.setdefault(device, {}), samples.get(device, {})
            for reading in {**columns, **more}:
                columns.setdefault(reading, [None] * len(at)).extend(more.get(reading, [None] * len(times)))
        at += times
    while len(at) >= MAX_SAMPLES:
        at = at[::2]
        devices = {name: {reading: kept[::2] for reading, kept in columns.items()} for name, columns in devices.items()}
    return at, devices


def with_samples(gpu: GpuRecord, at: Sequence[float], columns: Mapping[str, list[float | None]]) -> GpuRecord:
    """A GPU's record with samples; readings without any value are left out."""
    read = {name: [*column] for name, column in columns.items() if any(value is not None for value in column)}
    return {**gpu, "at": [round(time, 3) for time in at] if read else [], "samples": read}


def gpu_records(news: Sequence[GpuNews]) -> list[GpuRecord]:
    """The GPUs' records from a journal's pieces; a GPU without a record, as in older journals, has only samples."""
    at, devices = joined(news)
    known = {gpu["device"]: gpu for piece in news for gpu in piece.get("gpus", [])}
    unknown = {name: _unknown(name) for name in devices if name not in known}
    return [with_samples(gpu, at, devices.get(name, {})) for name, gpu in {**known, **unknown}.items()]


def _unknown(device: str) -> GpuRecord:
    return GpuRecord(device=device, facts={}, slice=False, update_seconds={}, missing={}, at=[], samples={})


def sm_clock(mhz: Sequence[float]) -> SmClockRecord | None:
    """The range of an SM clock's samples, in MHz; None without any."""
    if not mhz:
        return None
    low, middle, high = (float(f"{value:.4g}") for value in (min(mhz), median(mhz), max(mhz)))
    return SmClockRecord(low=low, median=middle, high=high, samples=len(mhz))
