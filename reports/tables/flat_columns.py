"""Describes the columns of exported tables with their units, in the order in which they are written."""

from __future__ import annotations

from torchduet.bench.record.knobs import KNOBS

_RUN = {
    "run": "name of the run's file",
    "started": "when the run began, ISO 8601; of pytest-benchmark: when it was saved",
}
_COMPARED = {
    "ratio": "baseline's time / this case's time: above 1 means that this case is faster",
    "low": "lower end of the ratio's interval; empty with too few visits (in files without visits: placements)",
    "high": "upper end of the ratio's interval",
}
_KERNELS = {
    "kernel_ratio": "the same of the device's own work, without the gaps between launches; empty where not measured",
    "kernel_low": "lower end of its interval",
    "kernel_high": "upper end of its interval",
    "kernel_verdict": "faster, slower, same or unclear, of the device's own work",
}
COLUMNS: dict[str, dict[str, str]] = {
    "cases": {
        **_RUN,
        "id": "the case, unique within a run",
        "family": "all cases timed together",
        "suite": "the suite; of pytest-benchmark: the file",
        "workload": "what is computed; of pytest-benchmark: the test function",
        "size": "the size in words; of pytest-benchmark: the parameters' id",
        "size_*": "one column per axis of any workload, e.g. size_n; empty where a workload lacks it",
        **{knob.name: knob.about for knob in KNOBS},
        "reference": "whether it is its family's reference",
        "seconds": "seconds per call; of pytest-benchmark: the median of its rounds",
        "seconds_low": "lower end of its interval, seconds; it covers other processes and minutes, not other days",
        "seconds_high": "upper end of its interval, seconds",
        "against": "id of the reference that ratio, low, high and verdict compare it with",
        **_COMPARED,
        "verdict": "faster, slower, same or unclear",
        **_KERNELS,
        "threshold": "the change that the interval must exceed, as a share",
        "flops_per_second": "floating-point operations per second",
        "bytes_per_second": "bytes moved per second",
        "samples_per_second": "samples per second",
        "sample_unit": "what is counted in samples, such as tokens; empty if the author counts none",
        "bound_by": "what bounds it on this machine: compute, memory, overhead",
        "share_of_ceiling": "the least possible time by that bound / its time",
        "first_call_seconds": "seconds until the first result, compilation included",
        "relative_error": "relative Frobenius error against float64, or against held_against",
        "checked": "what of its result was checked: values, shapes or nothing",
        "held_against": "what its result was held against; empty if it was not checked",
        "computes_in": "the dtype that its code computes in, if not that of its precision",
        "marks": "what to see beside its figures, such as that it was not checked; † is a note",
        "notes": "notes on the case, separated by semicolons",
        "peak_bytes": "the most memory that a call held beyond its inputs, bytes; with ranks: that a process allocated "
        "from set-up through two calls",
        "joules": "energy per call, joules",
        "device_seconds": "seconds of the device's own work per call, without the gaps between launches",
        "host_seconds": "seconds until a call had launched its work",
        "sustained_seconds": "seconds per call alone and without pause, on an accelerator",
        "sustained_watts": "its power, watts",
        "sustained_sm_mhz": "the SM clock, MHz",
        "visits": "how many times it was measured by a fresh process; empty in files without visits",
        "placements": "how many times it was measured on fresh allocations, in all visits",
        "blocks": "timed blocks in all; of pytest-benchmark: rounds",
        "calls_per_block": "calls per timed block (iterations of a round)",
        "clock": "the clock that timed it",
        "noise": "quiet, noisy or disturbed: the machine while it was timed",
        "role": "alone: without a process group; part: without communication (this and the next 14: only in runs with "
        "cases of several processes)",
        "backend": "of the process group, such as gloo or nccl",
        "threads_per_rank": "threads of each process",
        "message_bytes": "bytes of a collective: of the larger of what a rank gives and gets (nccl-tests)",
        "message_bandwidth": "algorithm bandwidth: message_bytes / seconds",
        "bus_bandwidth": "bytes per second over the slowest link, by the factors of nccl-tests",
        "scaling": "strong: equal samples; weak: samples in proportion to ranks; mixed: neither",
        "efficiency": "samples per second over those with the fewest ranks, over how many times the ranks, as a share",
        "efficiency_low": "lower end of its interval",
        "efficiency_high": "upper end of its interval",
        "exposed_communication": "share of the time that goes without communication, wrapper included",
        "exposed_communication_low": "lower end of its interval",
        "exposed_communication_high": "upper end of its interval",
        "mean_rank_seconds": "seconds per call, of the mean over ranks; seconds is that of the slowest",
        "fastest_rank_seconds": "seconds per call of the fastest rank in each block",
        "skew": "by how much the slowest rank of a block is behind the fastest, as a share of the time",
        "group": "pytest-benchmark's group (as the columns down to drift, only in its own runs)",
        "min_seconds": "the least round, seconds per call",
        "q1_seconds": "first quartile of the rounds, seconds per call",
        "q3_seconds": "third quartile of the rounds, seconds per call",
        "mean_seconds": "mean of the rounds, seconds per call",
        "stddev_seconds": "standard deviation of the rounds, seconds per call",
        "steadiness": "how steady the rounds were: steady, drifting, scattering, few rounds, no rounds kept",
        "drift": "how much longer the second half of the rounds took than the first, as a share",
        "commit": "id of the commit that was checked out",
        "cpu": "the processor",
        "gpu": "the GPU",
        "torch": "version of PyTorch",
        "python": "version of Python",
    },
    "comparisons": {
        **_RUN,
        "id": "the case that is compared with another",
        "suite": "its suite",
        "workload": "its workload",
        "name": "the case in words",
        "setting": "the part of the name that differs from others of its workload",
        "knob": "the one knob that differs; together: several differ; communication: the same step without it; "
        "side: the sides A and B of a duet",
        "value": "this case's setting of the knob",
        "baseline": "the other's setting",
        **_COMPARED,
        "verdict": "faster, slower, same or unclear",
        **_KERNELS,
        "confidence": "confidence of the interval",
        "visits": "visits that the interval rests on, which are its independent values; empty in files without visits",
        "deviation": "standard deviation of one visit's log ratio, as the interval allows for",
        "placements": "paired measurements on fresh allocations, in all visits",
        "threshold": "the change that the interval must exceed, as a share",
        "relative_error": "of this case against float64",
        "marks": "marks of this case and of its baseline, such as that it was not checked",
        "compiled": "whether this case is compiled and its baseline is not",
        "other_work": "whether the two do different work, as without communication, so that it answers nothing",
        "both_compiled": "whether its eager baseline calls compiled code, so that it answers nothing for torch.compile",
        "first_call_seconds": "seconds until this case's first result",
        "pays_after": "calls after which a compilation has paid off",
        "pays_after_low": "pays_after at the upper end of the ratio's interval",
        "pays_after_high": "pays_after at the lower end of the ratio's interval",
        "pays_seconds": "how long the workload has been running by then, seconds",
    },
    "samples": {
        **_RUN,
        "id": "the case",
        "side": "A or B in the pairs of a duet that were judged; empty: the case itself",
        "visit": "number of the visit, from 1 in the order taken; empty in files without visits, and in a duet's pairs",
        "placement": "number of the placement in all visits (of a duet: pair of processes), from 1 in the order taken",
        "round": "number of the block in its placement, from 1 in the order taken",
        "seconds": "seconds per call in this block",
    },
    "unmeasured": {
        **_RUN,
        "id": "the case",
        "status": "failed, skipped or unreached",
        "reason": "why it has no time",
    },
}


def described() -> str:
    """All columns of all tables with their meanings, as text."""
    width = max(len(name) for columns in COLUMNS.values() for name in columns)
    lines = []
    for table, columns in COLUMNS.items():
        lines += [f"{table}:", *(f"  {name:{width}}  {meaning}" for name, meaning in columns.items()), ""]
    return "\n".join(lines)
