"""The case of a record, and the reasons of cases without one."""

from __future__ import annotations

from typing import Literal, NotRequired, TypedDict

from torchduet.bench.record.schema.bounds import Count


class CaseRecord(TypedDict):
    """The case of a record."""

    id: str  # "matmul.square[n=1024] cpu compile fp32", unique within a run
    family: str  # "matmul.square[n=1024]": all cases timed together
    suite: str
    workload: str
    about: str
    size: dict[str, int | float | bool | str]
    size_label: str  # "n=1024", "" for a workload without axes
    implementation: str
    device: str
    mode: str
    precision: str
    reference: bool  # the family's reference case
    workers: NotRequired[Count]  # DataLoader workers, if that is a knob of the workload
    ranks: NotRequired[Count]  # processes of a process group, if that is a knob of the workload
    role: NotRequired[Literal["alone", "part"]]  # with ranks: without a process group; without communication
    settings: NotRequired[dict[str, str]]  # of knobs without a key here, if not the reference's
    source: NotRequired[str]  # a built-in suite's name, or its file as it was given; "" for functions of a program


class NotMeasured(TypedDict):
    """A selected case without a record."""

    case: CaseRecord
    reason: str


class Unavailable(TypedDict):
    """A variant this machine cannot run, so that no case of it was selected by default."""

    variant: str  # "cuda", "tf32"
    reason: str
