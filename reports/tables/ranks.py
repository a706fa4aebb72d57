"""The figures of a case that runs in several processes: efficiency, exposed communication, skew, bandwidths.

Each is a pure function of records. Which cases they are asked of, and their words, are left to ``findings.processes``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from torchduet.bench.record.knobs import COMMUNICATION, PART, RANKS
from torchduet.bench.record.schema import Record, SpeedupRecord
from torchduet.bench.record.statistics import THRESHOLD, side_of
from torchduet.reports.tables.pairs import PairRatio, verdict_withheld

Scaling = Literal["strong", "weak", "mixed"]


SAME_WORK = 0.1  # of the slowest rank's time: a rank that takes less does other work, or none


@dataclass(frozen=True)
class Estimate:
    """A figure with its 99 % interval; None: no interval."""

    value: float
    low: float | None
    high: float | None

    def times(self, factor: float) -> Estimate:
        """All of it times a positive factor."""
        low, high = (None if end is None else end * factor for end in (self.low, self.high))
        return Estimate(self.value * factor, low, high)


@dataclass(frozen=True)
class Efficiency:
    """How well a case uses its ranks, held against the same case in fewer.

    Attributes:
        share: of what as many times the ranks would give at best: 1 is ideal.
        throughput: samples per second over those of the baseline, also called the (scaled) speed-up.
        verdict: of the throughput: faster, slower, same or unclear.
    """

    scaling: Scaling
    share: Estimate
    throughput: Estimate
    verdict: str


def ranks_of(record: Record) -> int:
    """The number of ranks of a case; 0 where its workload has no such knob."""
    return record["case"].get("ranks", 0)


def leaves_communication_out(record: Record) -> bool:
    """Whether each rank computes its own part only."""
    return record["case"].get("role") == PART


def speedup_of(record: Record, knob: str) -> SpeedupRecord | None:
    """The comparison of a case by a knob, or by ``COMMUNICATION``."""
    return next((speedup for speedup in record["speedups"] if speedup["knob"] == knob), None)


def efficiency(baseline: Record, case: Record, pair: PairRatio) -> Efficiency | None:
    """How well a case uses n ranks, where its baseline has m of them: r · (samples_n / samples_m) · m / n.

    With equal samples (strong scaling: a problem divided among the ranks) that is r · m / n; with n / m times as many
    (weak scaling: every rank brings work of its own) it is r. Amdahl (AFIPS 1967) and Gustafson (CACM 31(5), 1988)
    describe the two.

    Args:
        pair: the baseline's time / the case's time, in alternation, with its interval.

    Returns:
        None where the cost of either does not count samples, as efficiency is not known then.
    """
    own, others = (record["cost"].get("samples") for record in (case, baseline))
    ranks, fewer = ranks_of(case), ranks_of(baseline)
    if not own or not others or not ranks or not fewer:
        return None
    scaling: Scaling = "strong" if own == others else "weak" if own * fewer == others * ranks else "mixed"
    throughput = Estimate(pair.ratio, pair.low, pair.high).times(own / others)
    verdict = pair.verdict if own == others else _verdict(throughput, verdict_withheld(case) or pair.withheld)
    return Efficiency(scaling, throughput.times(fewer / ranks), throughput, verdict)


def _verdict(throughput: Estimate, withheld: bool) -> str:
    if withheld or not throughput.low or throughput.high is None or not math.isfinite(throughput.high):
        return "unclear"
    return side_of(math.log(throughput.low), math.log(throughput.high), THRESHOLD)


def exposed(speedup: SpeedupRecord) -> Estimate:
    """The exposed communication of a step, as a share of its time: 1 − t_local / t_case.

    It is the part that computation does not hide, and the overhead of the wrapper with it: the same step without
    communication lacks both. It is below 0 where the step without communication takes longer.

    It is too low for a sharded optimiser, such as FSDP's, by the time that sharding saves: each rank updates its own
    shard of the parameters, while the step without communication updates all of them. With DDP both update all.

    Args:
        speedup: by ``COMMUNICATION``: its ratio is t_local / t_case.
    """
    low, high = speedup["low"], speedup["high"]
    return Estimate(
        1 - speedup["ratio"], None if high is None else 1 - high, None if low is None or high is None else 1 - low
    )


def skew(record: Record) -> float | None:
    """By how much the slowest rank of a block is behind the fastest, as a share of the time.

    None with one rank, and where ranks do different work, as in a remote procedure call: there is nothing to be behind.
    Both are medians over the blocks of the first visit. The time is that of the rank which is slowest in the median.
    """
    ranks = record.get("ranks")
    if ranks is None or len(ranks["seconds"]) < 2 or min(ranks["seconds"]) < SAME_WORK * max(ranks["seconds"]):
        return None
    return ranks["skew"] / max(ranks["seconds"])


def bandwidth(record: Record, of: Literal["message", "bus"]) -> Estimate | None:
    """Bytes per second of a collective; None where its cost does not say how many bytes.

    ``message``: the algorithm bandwidth, bytes of the message / time. ``bus``: the bus bandwidth, which also counts how
    often a byte has to cross the slowest link, so that it can be compared between collectives, numbers of ranks, and
    with the hardware's peak. Source: nccl-tests, doc/PERFORMANCE.md.
    """
    moved, timing = record["cost"].get(of), record["timing"]
    if not moved:
        return None
    low, high = timing["low"], timing["high"]
    if low is None or high is None:
        return Estimate(moved / timing["seconds"], None, None)
    return Estimate(moved / timing["seconds"], moved / high, moved / low)


def other_work(record: Record, baseline: Record | None, speedup: SpeedupRecord) -> bool:
    """Whether two cases do different work, or may do so: then their ratio of times says nothing of a knob.

    So it is where one of them leaves its communication out. Cases of different numbers of ranks do the same work only
    if both count the same samples: each rank may bring work of its own, and a collective moves other bytes.
    """
    if speedup["knob"] == COMMUNICATION or leaves_communication_out(record):
        return True
    if baseline is None:
        return ranks_of(record) > 1 and speedup["knob"] in (RANKS, "reference")
    own, others = (of["cost"].get("samples") for of in (record, baseline))
    if ranks_of(record) != ranks_of(baseline):
        return not own or own != others
    return bool(own and others and own != others)
