"""The two sides of a duet, and the result of each case."""

from __future__ import annotations

from typing import Annotated, NotRequired, TypedDict

from torchduet.bench.record.schema.bounds import Amount, Count, Length, Positive
from torchduet.bench.record.schema.passes import ProfileRecord
from torchduet.bench.record.schema.timing import IntervalRecord
from torchduet.bench.record.schema.words import Stage, Verdict


class ScreeningRecord(TypedDict):
    """The result of the first stage of a duet, by a writer that confirmed some cases by further pairs alone."""

    ratio: float
    low: float | None
    high: float | None
    confidence: float
    pairs: int


class AgainstRecord(TypedDict):
    """Side B of a duet held against side A in this case; ``blocks[pair][turn]``, the two paired turn by turn."""

    stage: Stage
    verdict: Verdict  # of B held against A
    ratio: Positive  # A's time / B's time: above 1 means that B is faster
    low: Positive | None  # None: too few pairs for an interval
    high: float | None
    confidence: float  # the level of the verdict, after Holm's procedure
    threshold: Positive
    pairs: int
    pair_ratios: NotRequired[Annotated[list[Positive], Length("pair")]]  # each pair's own estimate of the ratio
    pair_errors: NotRequired[list[Amount | None]]  # standard error of its logarithm, by the pair's placements alone
    interval: NotRequired[IntervalRecord]  # with pair_ratios only
    base_seconds: Positive  # per call: A
    seconds: Positive  # per call: B
    base_blocks: list[list[float]]
    blocks: list[list[float]]
    screening: NotRequired[ScreeningRecord]
    note: NotRequired[str]
    profile: NotRequired[ProfileRecord]  # side B's
    base_peak_bytes: NotRequired[Count]  # the most memory that a call held at once beyond its inputs: A
    peak_bytes: NotRequired[Count]  # the same of B
    control: NotRequired[bool]  # it imports none of the changed files (--only-changed)


class SideRecord(TypedDict):
    """One side of a duet."""

    label: str  # what distinguishes it from the other side: "torch 2.12.0", "OMP_NUM_THREADS=1"
    python: str  # the interpreter's path
    python_version: str
    torch: str
    cuda: str | None
    env: dict[str, str]  # set on this side alone
    rev: str | None  # git revision of the user's suites; None: the files as they are
    settings: NotRequired[dict[str, str]]  # of PyTorch, set on this side alone (--against-setting)
    commit: NotRequired[str]  # hash of the commit that its files are from, or are based on
    uncommitted: NotRequired[Count]  # files that differ from that commit
    imported: NotRequired[dict[str, str]]  # module of the user's repository → its file there, from the root


class DuetRecord(TypedDict):
    """A run of two sides: A is the side that ``--against…`` names, the base; B is the interpreter that ran pytest.

    In files of earlier writers A and B are the other way round; the labels name each side.
    """

    base: SideRecord  # A
    against: SideRecord  # B
    screened: int  # cases
    confirmed: int  # those with enough pairs for a verdict
    confidence: float
    threshold: float
