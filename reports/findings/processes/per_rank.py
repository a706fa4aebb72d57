"""What each rank of a case took: its time, the skew between ranks, its peak of memory; and a rank that is slower."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import fmean, median

from torchduet.bench.record.schema import RanksRecord, Record
from torchduet.bench.record.statistics import THRESHOLD
from torchduet.reports.findings.processes.names import Names
from torchduet.reports.findings.processes.words import share
from torchduet.reports.read.run_file import Run
from torchduet.reports.tables.frames import anchor
from torchduet.reports.tables.ranks import SAME_WORK, ranks_of, skew
from torchduet.reports.text import units

MAX_SHOWN = 8  # ranks whose times a cell lists
MAX_NAMED = 4  # cases that sentences name
MIN_SHARE = 0.8  # of the blocks in which a rank that is named was the slowest
CHANCE = 1e-4  # that any of n ranks alike is the slowest so often


@dataclass(frozen=True)
class Row:
    """A case with its ranks.

    Attributes:
        times: each rank's time, in words.
        skew: as a share of the time; None with one rank, and where the ranks do different work.
        slow: the number of a rank that is slower than the others beyond noise, from 0, or None.
        peak: the most memory of any rank in bytes; ``least_peak`` the least.
        alone: it runs without a process group; then ``peak`` is that of its one process.
    """

    name: str
    anchor: str
    record: Record
    ranks: RanksRecord | None
    times: str
    skew: float | None
    slow: int | None
    peak: int | None
    least_peak: int | None

    @property
    def alone(self) -> bool:
        """Whether it runs without a process group."""
        return self.ranks is None


def rows(run: Run, names: Names) -> list[Row]:
    """Every case with ranks; without a process group those that have a peak of memory, all that a row could show."""
    return [
        _row(record, anchor(index), names)
        for index, record in enumerate(run.records)
        if "ranks" in record or (record["case"].get("role") == "alone" and "peak_bytes" in record)
    ]


def _row(record: Record, case_anchor: str, names: Names) -> Row:
    ranks = record.get("ranks")
    peaks = list(ranks.get("peak_bytes", [])) if ranks else []
    if not ranks and "peak_bytes" in record:
        peaks = [record["peak_bytes"]]
    name = names.case(record) if ranks else f"{names.family(record)} · {names.way(record)} · no process group"
    return Row(
        name=name,
        anchor=case_anchor,
        record=record,
        ranks=ranks,
        times=_times(ranks["seconds"]) if ranks else "",
        skew=skew(record),
        slow=slow_rank(ranks) if ranks else None,
        peak=max(peaks, default=None),
        least_peak=min(peaks, default=None),
    )


def _times(seconds: Sequence[float]) -> str:
    shown = ", ".join(units.seconds(value).replace(" ", "\u00a0") for value in seconds[:MAX_SHOWN])
    return shown + (f" and {len(seconds) - MAX_SHOWN} more" if len(seconds) > MAX_SHOWN else "")


def slow_rank(ranks: RanksRecord) -> int | None:
    """The rank that is slower than the others beyond noise, from 0; None if there is none, or it cannot be said.

    Ranks are held against each other block by block, as drift of the machine meets all of them. Of n ranks alike, each
    is the slowest in about k/n of k blocks. A rank is named if it was the slowest in a share p of at least
    ``MIN_SHARE``, if chance makes any rank so with a probability below ``CHANCE``, and if its median is behind the mean
    of the others' by more than the threshold of verdicts. The probability is bounded by n · exp(−k · d), with
    d = p ln(p n) + (1 − p) ln((1 − p) n / (n − 1)) (Chernoff, Annals of Mathematical Statistics 23, 1952).

    Where ranks wait for each other at the end of a call, as in an all_reduce, their times are equal: none is slower.
    """
    seconds, slowest = ranks["seconds"], ranks.get("slowest", [])
    number, blocks = len(seconds), sum(slowest)
    if number < 2 or len(slowest) != number or not blocks or min(seconds) < SAME_WORK * max(seconds):
        return None
    slow = max(range(number), key=slowest.__getitem__)
    of_blocks = slowest[slow] / blocks
    others = [value for rank, value in enumerate(seconds) if rank != slow]
    behind = seconds[slow] / fmean(others) - 1
    if of_blocks < MIN_SHARE or behind <= THRESHOLD:
        return None
    return slow if number * math.exp(-blocks * _divergence(of_blocks, 1 / number)) < CHANCE else None


def _divergence(share: float, expected: float) -> float:
    """The Kullback-Leibler divergence of two probabilities of one event, ``share`` from ``expected``."""
    rest = (1 - share) * math.log((1 - share) / (1 - expected)) if share < 1 else 0.0
    return share * math.log(share / expected) + rest


def skew_sentences(found: Sequence[Row], names: Names) -> Iterator[str]:
    """The skew in the median and at most, and the ranks that are slower."""
    several = [(row.skew, row) for row in found if row.skew is not None]
    if not several:
        return
    most, row = max(several, key=lambda pair: pair[0])
    if len(several) == 1:
        yield f"The slowest rank is behind the fastest by {share(most)} of the time of {names.spoken(row.record)}."
    else:
        middle = median(value for value, _ in several)
        yield (
            f"The slowest rank is behind the fastest by {share(middle)} of the time in the median of {len(several)} "
            f"cases, by {share(most)} at most ({names.spoken(row.record)})."
        )
    slower = [row for row in found if row.slow is not None]
    for row in slower[:MAX_NAMED]:
        if row.ranks is not None and row.slow is not None:
            seconds = row.ranks["seconds"]
            others = [value for rank, value in enumerate(seconds) if rank != row.slow]
            behind = seconds[row.slow] / (sum(others) / len(others)) - 1
            yield (
                f"Rank {row.slow} is slower than the other{'s' if len(others) > 1 else ''} in "
                f"{names.spoken(row.record)}: by {share(behind)}, beyond noise."
            )
    if (more := len(slower) - MAX_NAMED) > 0:
        yield f"{more} more {'case has' if more == 1 else 'cases have'} a rank that is slower; see the table."


def memory_sentences(found: Sequence[Row], names: Names) -> Iterator[str]:
    """The least and the most memory of a rank among the cases with most ranks, beside one process.

    A sentence is of one workload, kind of device and precision, as cases that differ in these hold other amounts.
    """
    alike: dict[tuple[str, str, str], list[Row]] = {}
    for row in found:
        case = row.record["case"]
        if row.peak is not None:
            key = case["family"], case["device"].split(":")[0], case["precision"]
            alike.setdefault(key, []).append(row)
    found_in = 0
    for rows_of in alike.values():
        ranked = [row for row in rows_of if not row.alone and row.record["case"].get("role") != "part"]
        if not ranked:
            continue
        found_in += 1
        if found_in > MAX_NAMED:
            continue
        number = max(ranks_of(row.record) for row in ranked)
        with_most = [row for row in ranked if ranks_of(row.record) == number]
        ordered = sorted(with_most, key=lambda row: row.peak or 0)
        alone = next((row for row in rows_of if row.alone), None)
        beside = f"; one process without a group holds {units.size(alone.peak)}" if alone and alone.peak else ""
        least, most = ordered[0], ordered[-1]
        words = f"{units.size(least.peak or 0)} in {names.spoken(least.record)}"
        if most is not least:
            words += f", {units.size(most.peak or 0)} in {names.spoken(most.record)}"
        yield f"A rank holds at most {words}{beside}."
    if (more := found_in - MAX_NAMED) > 0:
        yield f"The table has {units.plural(more, 'more such comparison')} of memory."
