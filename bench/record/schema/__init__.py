"""The record: the fields of ``run.json`` beside pytest-benchmark's own, and their version.

Every benchmark's ``extra_info["torchduet"]`` is a :class:`Record`; the file's top level has a
``"torchduet"`` key with a :class:`RunRecord`. Times are seconds, sizes bytes, ratios dimensionless.
Written by ``bench``, read by ``reports``; imports the standard library only. Files are validated against the
annotations: types, closed sets of words, and bounds.
"""

from torchduet.bench.record.schema.bounds import MAX_PLACEMENTS, MIN, Length, Range
from torchduet.bench.record.schema.case import CaseRecord, NotMeasured, Unavailable
from torchduet.bench.record.schema.duet import AgainstRecord, DuetRecord, ScreeningRecord, SideRecord
from torchduet.bench.record.schema.machine import CeilingRecord, GpuRecord, NoiseRecord, PassingRecord, PilotRecord
from torchduet.bench.record.schema.passes import (
    EnergyRecord,
    HeadroomRecord,
    ProfileRecord,
    PythonFunction,
    PythonRecord,
    SustainedRecord,
)
from torchduet.bench.record.schema.reproduction import (
    AgreementOfRecord,
    AgreementRecord,
    DuetCheckRecord,
    ReproductionRecord,
    ShareRecord,
)
from torchduet.bench.record.schema.run import Record, ResumedRecord, RunRecord, SecondsRecord
from torchduet.bench.record.schema.self_check import KindRecord, RateRecord, RatesRecord, SelfCheckRecord, TrialRecord
from torchduet.bench.record.schema.timing import (
    CheckRecord,
    CompileRecord,
    CostRecord,
    DeviceSpeedupRecord,
    FirstCallRecord,
    GraphBreak,
    IntervalRecord,
    MeterRecord,
    SpeedupRecord,
    TimingRecord,
    VisitRecord,
)
from torchduet.bench.record.schema.visits import PriorRecord, VisitsRecord
from torchduet.bench.record.schema.words import (
    CLOCK_REASONS,
    DISTURBED,
    GRADES,
    GROUPS,
    IMPORTING,
    KEY,
    KINDS,
    LOADER_ENDS,
    LOADER_STARTS,
    NOISY,
    OPEN,
    PROFILED_CALL,
    QUIET,
    SCHEMA,
    VERDICTS,
    Grade,
    PriorOf,
    PriorSource,
    Stage,
    StopReason,
    Verdict,
)

JOURNAL = b'{"crc32":"'  # the first bytes of a journal

__all__ = [
    "CLOCK_REASONS",
    "DISTURBED",
    "GRADES",
    "GROUPS",
    "IMPORTING",
    "JOURNAL",
    "KEY",
    "KINDS",
    "LOADER_ENDS",
    "LOADER_STARTS",
    "MAX_PLACEMENTS",
    "MIN",
    "NOISY",
    "OPEN",
    "PROFILED_CALL",
    "QUIET",
    "SCHEMA",
    "VERDICTS",
    "AgainstRecord",
    "AgreementOfRecord",
    "AgreementRecord",
    "CaseRecord",
    "CeilingRecord",
    "CheckRecord",
    "CompileRecord",
    "CostRecord",
    "DeviceSpeedupRecord",
    "DuetCheckRecord",
    "DuetRecord",
    "EnergyRecord",
    "FirstCallRecord",
    "GpuRecord",
    "Grade",
    "GraphBreak",
    "HeadroomRecord",
    "IntervalRecord",
    "KindRecord",
    "Length",
    "MeterRecord",
    "NoiseRecord",
    "NotMeasured",
    "PassingRecord",
    "PilotRecord",
    "PriorOf",
    "PriorRecord",
    "PriorSource",
    "ProfileRecord",
    "PythonFunction",
    "PythonRecord",
    "Range",
    "RateRecord",
    "RatesRecord",
    "Record",
    "ReproductionRecord",
    "ResumedRecord",
    "RunRecord",
    "ScreeningRecord",
    "SecondsRecord",
    "SelfCheckRecord",
    "ShareRecord",
    "SideRecord",
    "SpeedupRecord",
    "Stage",
    "StopReason",
    "SustainedRecord",
    "TimingRecord",
    "TrialRecord",
    "Unavailable",
    "Verdict",
    "VisitRecord",
    "VisitsRecord",
]
