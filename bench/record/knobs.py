"""The knobs by which the cases of a workload differ: how each is written in files, and what it is called.

A new knob is an entry of ``KNOBS``; what it does to a call is in :mod:`torchduet.bench.timing.conversions`. What only
the measuring side needs (how many workers are possible, which settings need a GPU) is in
:mod:`torchduet.bench.cases.knobs`. Imports the standard library only: ``reports`` imports this module, too.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

IMPLEMENTATION = "implementation"
RANKS = "ranks"
COMMUNICATION = "communication"  # in place of a knob: a case with and without its communication
PURE_SUFFIX = "-pure"  # ends the precisions to which the inputs are converted
PART: Final[Literal["part"]] = "part"  # role of a case that leaves the communication out


def _same(setting: str) -> str:
    return setting


@dataclass(frozen=True)
class Knob:
    """One knob, as files and reports show it.

    Attributes:
        name: its key in ``params`` and speed-ups; its option is ``--name``.
        heading: its column's heading in a table.
        about: the meaning of its column in exported tables.
        rank: its position among the answers, ascending.
        reference: the reference's setting; None if that depends on the workload.
        optional: a case's record, id and ``params`` leave it out at the reference's setting, or if the workload does
            not have it; so do files that are older than the knob.
        own_key: it has a key of its own in a case's record; other knobs are under ``settings`` there.
        values: its settings, if these are words that ``suites`` does not list (it lists modes and precisions).
        option: the values of its option, for ``--help``; empty: it has no option.
        prefix: precedes its setting in ids.
        numeric: its settings are whole numbers.
        written: its settings are names that a workload's author writes, of any length.
        subjects: setting → its name as the subject of a sentence.
        subject: the name of any other setting there, from the setting and its baseline.
        spoken: a setting's name in a list of settings of several knobs.
        collected: (title, baseline) of the one answer for all of its settings; None: an answer for each setting.
        also_against: setting → another setting, beside the reference's, that a case with it is held against.
    """

    name: str
    heading: str
    about: str
    rank: int
    reference: str | None = None
    optional: bool = False
    own_key: bool = False
    values: tuple[str, ...] = ()
    option: str = ""
    prefix: str = ""
    numeric: bool = False
    written: bool = False
    subjects: Mapping[str, str] = field(default_factory=dict)
    subject: Callable[[str, str], str] | None = None
    spoken: Callable[[str], str] = _same
    collected: tuple[str, str] | None = None
    also_against: Mapping[str, str] = field(default_factory=dict)

    @property
    def flag(self) -> str:
        """``--memory-format`` of ``memory_format``."""
        return f"--{self.name.replace('_', '-')}"

    @property
    def absent(self) -> str:
        """The setting of a case whose record leaves it out: the reference's; empty if the workload lacks the knob."""
        return self.reference or ""

    def of(self, case: Mapping[str, Any]) -> str:
        """The setting in a case's record."""
        settings = case if self.own_key else case.get("settings", {})
        return str(settings.get(self.name, self.absent))

    def word(self, setting: str) -> str:
        """A setting's word in ids; empty if they leave it out."""
        return "" if self.optional and setting == self.absent else f"{self.prefix}{setting}"

    def read(self, word: str) -> str | None:
        """The setting of an optional knob's word; None for a word of another knob."""
        if self.prefix:
            return word.removeprefix(self.prefix) if word.startswith(self.prefix) else None
        return word if word in self.values and word != self.absent else None

    def titled(self, setting: str, baseline: str) -> str:
        """A setting's name as the subject of a sentence; code is between backticks."""
        if setting in self.subjects:
            return self.subjects[setting]
        return self.subject(setting, baseline) if self.subject else f"{self.name.replace('_', ' ')} {code(setting)}"


def code(name: str) -> str:
    """A name as code between backticks; backticks within it are replaced."""
    return "`" + re.sub(r"\s+", " ", name.replace("`", "'")) + "`"


def number_format(precision: str) -> str:
    """``bf16`` of ``bf16`` and of ``bf16-pure``: what a precision multiplies in, by autocast or by its inputs' type."""
    return precision.removesuffix(PURE_SUFFIX)


def _precision(setting: str, baseline: str) -> str:
    """A pure precision as the subject of a sentence."""
    pure = setting.endswith(PURE_SUFFIX) and f"pure {number_format(setting)}"
    if not pure:
        return f"precision {code(setting)}"
    return f"{pure} instead of autocast" if baseline == number_format(setting) else pure


def workers(setting: str) -> str:
    """``1 worker``, ``2 workers``; anything but a number is returned unchanged."""
    return _counted(setting, "worker")


def ranks(setting: str) -> str:
    """``1 rank``, ``2 ranks``; anything but a number is returned unchanged."""
    return _counted(setting, "rank")


def _counted(setting: str, noun: str) -> str:
    if not (setting.isascii() and setting.isdigit()):
        return setting
    return f"{int(setting)} {noun}{'s' if int(setting) != 1 else ''}"


# In the order of ids and ``params``.
KNOBS: tuple[Knob, ...] = (
    Knob(
        name=IMPLEMENTATION,
        heading="Implem.",
        about="which way it is computed",
        rank=5,
        own_key=True,
        written=True,
        subject=lambda setting, baseline: f"{code(setting)} instead of {code(baseline)}",
        collected=("Another implementation", "the workload's first implementation"),
    ),
    Knob(
        name="device",
        heading="Device",
        about="cpu, cuda:0, …",
        rank=2,
        own_key=True,
        option="cpu, cuda, cuda:1 …, or another kind of device that PyTorch has here, such as xpu or mps "
        "(default: cpu, and the first of each other kind)",
        subjects=dict.fromkeys(("cuda", "xpu", "mps"), "The GPU"),
    ),
    Knob(
        name="mode",
        heading="Mode",
        about="eager, compile, …",
        rank=0,
        reference="eager",
        own_key=True,
        option="{values} (default: the tier's)",
        subjects={
            "compile": "`torch.compile`",
            "compile-model": "`torch.compile` of the model alone",
            "compile-regions": "`torch.compile` of repeated blocks",
            "compile-dynamic": "`torch.compile(dynamic=True)`",
            "compile-static": "`torch.compile(dynamic=False)`",
        },
    ),
    Knob(
        name="precision",
        heading="Precision",
        about="fp32, bf16, …",
        rank=1,
        reference="fp32",
        own_key=True,
        option="{values} (default: the tier's, as far as the machine has them)",
        subjects={"bf16": "bf16 autocast", "fp16": "fp16 autocast", "tf32": "TF32"},
        subject=_precision,
        also_against={f"{name}{PURE_SUFFIX}": name for name in ("bf16", "fp16")},
    ),
    Knob(
        name="workers",
        heading="Workers",
        about="DataLoader workers, where that is a knob",
        rank=4,
        optional=True,
        own_key=True,
        option="numbers of DataLoader workers, e.g. 0,2,8 (default: the tier's)",
        prefix="workers",
        numeric=True,
        subject=lambda setting, _: f"{setting} DataLoader worker{'s' if setting != '1' else ''}",
        spoken=workers,
        collected=("DataLoader workers", "the fewest workers"),
    ),
    Knob(
        name=RANKS,
        heading="Ranks",
        about="processes of a process group, where that is a knob",
        rank=6,
        optional=True,
        own_key=True,
        option="numbers of processes of a process group, e.g. 1,2,4 (default: the tier's, up to the cores or the GPUs)",
        prefix="ranks",
        numeric=True,
        subject=lambda setting, _: f"Running in {ranks(setting)}",
        spoken=ranks,
        collected=("Ranks", "the fewest ranks"),
    ),
    Knob(
        name="memory_format",
        heading="Memory format",
        about="contiguous or channels_last: how 4-D weights and inputs lie in memory",
        rank=3,
        reference="contiguous",
        optional=True,
        values=("contiguous", "channels_last"),
        option="{values}: how 4-D weights and inputs lie in memory, of workloads that have this knob "
        "(default: the tier's)",
        subjects={"channels_last": "`channels_last`"},
    ),
)
NAMES: tuple[str, ...] = tuple(knob.name for knob in KNOBS)
BY_NAME: Mapping[str, Knob] = {knob.name: knob for knob in KNOBS}
PLAIN: Mapping[str, str] = {knob.name: knob.reference for knob in KNOBS if knob.reference}  # the reference's settings


def settings_of(case: Mapping[str, Any]) -> dict[str, str]:
    """The setting of every knob in a case's record, as text; empty if the workload lacks the knob."""
    return {knob.name: knob.of(case) for knob in KNOBS}
