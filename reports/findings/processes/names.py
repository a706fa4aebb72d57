"""Names of cases of several processes: those of a table's rows, of a curve, and of a case in a sentence."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

from torchduet.bench.record.knobs import IMPLEMENTATION, NAMES, RANKS, code, ranks
from torchduet.bench.record.schema import Record
from torchduet.reports.tables.ranks import ranks_of
from torchduet.reports.text.settings import setting, setting_words

OTHERS = tuple(name for name in NAMES if name not in (IMPLEMENTATION, RANKS))


class Names:
    """Names the cases of a run: their settings are named as far as cases of their workload differ in them."""

    def __init__(self, records: Iterable[Record]) -> None:
        seen: dict[str, dict[str, set[str]]] = {}
        for record in records:
            knobs = seen.setdefault(workload_of(record), {knob: set() for knob in NAMES})
            for knob, settings in knobs.items():
                settings.add(setting(record, knob))
        self._varied: Mapping[str, Collection[str]] = {
            workload: {knob for knob, settings in knobs.items() if len(settings) > 1}
            for workload, knobs in seen.items()
        }

    def family(self, record: Record) -> str:
        """``distributed.mlp_step batch=256``."""
        return " ".join(filter(None, (workload_of(record), record["case"]["size_label"].replace(",", ", "))))

    def way(self, record: Record) -> str:
        """How it is computed, without its ranks: ``ddp · bf16``."""
        varied = self._varied[workload_of(record)]
        return " · ".join(
            (record["case"]["implementation"], *(setting_words(record, knob) for knob in OTHERS if knob in varied))
        )

    def case(self, record: Record) -> str:
        """``distributed.mlp_step batch=256 · ddp · 2 ranks``."""
        return f"{self.family(record)} · {self.way(record)} · {ranks(str(ranks_of(record)))}"

    def spoken(self, record: Record) -> str:
        """The same in a sentence, as code."""
        return code(self.case(record))


def workload_of(record: Record) -> str:
    """``distributed.mlp_step``."""
    return f"{record['case']['suite']}.{record['case']['workload']}"
