"""``Timer`` and ``Compare`` with the arguments of ``torch.utils.benchmark``: statements, measured in alternation.

A program that uses PyTorch's benchmark utilities changes one import: ``import torchduet as benchmark``.
"""

from __future__ import annotations

import ast
import itertools
import textwrap
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

from torch.utils.benchmark import Compare as TorchCompare
from torch.utils.benchmark import Measurement as TorchMeasurement
from torch.utils.benchmark.utils.common import TaskSpec

from torchduet.comparing import compare, time
from torchduet.comparison import Comparison
from torchduet.result import ComparisonError
from torchduet.side_functions import code_of, definition_of
from torchduet.table import sentence

MIN_SECONDS = 0.5  # of a measurement: some placements
ROW_SECONDS = 2.0  # of the comparison of a row's statements
_numbers = itertools.count(1)


@dataclass(init=True, repr=False)
class Measurement(TorchMeasurement):
    """The times of one statement; every property of ``torch.utils.benchmark``'s, and the timer that made it.

    ``raw_times`` are seconds of a block of ``number_per_run`` calls, the median of each placement of the inputs.
    """

    timer: Timer | None = None


class Timer:
    """Times a statement, like ``torch.utils.benchmark.Timer`` with the same arguments.

    Tensors that the statement reads from ``globals`` or ``setup`` are copied and moved to fresh memory several times.

    Args:
        stmt: what is timed; a single expression is also checked, and compared with others of its row.
        setup, global_setup: run once, untimed; their names can be used in ``stmt``.
        globals: names for ``stmt``.
        label, sub_label, description: of the table: the whole, the row and the column.
        env: a further name for the row.
        num_threads: intra-op threads.

    Raises:
        SyntaxError: ``stmt`` or ``setup`` is no Python.
        NotImplementedError: another language, or a timer of your own.
    """

    def __init__(
        self,
        stmt: str = "pass",
        setup: str = "pass",
        global_setup: str = "",
        timer: Callable[[], float] | None = None,
        globals: Mapping[str, Any] | None = None,
        label: str | None = None,
        sub_label: str | None = None,
        description: str | None = None,
        env: str | None = None,
        num_threads: int = 1,
        language: Any = "python",
    ) -> None:
        if timer is not None:
            raise NotImplementedError("torchduet.Timer: timer= cannot be given; the clock is that of the device")
        if str(getattr(language, "name", language)).lower() not in ("python", "py"):
            raise NotImplementedError("torchduet.Timer times Python; for C++ use torch.utils.benchmark.Timer")
        self.stmt, self.setup = textwrap.dedent(stmt).strip(), textwrap.dedent(setup).strip()
        self.function, self.returns = _function_of(
            self.stmt, "\n".join(filter(None, (global_setup, self.setup))), globals or {}
        )
        self.spec = TaskSpec(self.stmt, self.setup, global_setup, label, sub_label, description, env, num_threads)

    def timeit(self, number: int = 1_000_000) -> Measurement:
        """Time the statement; how often it is called is decided by its time, not by ``number``."""
        del number
        return self._measured(MIN_SECONDS)

    def blocked_autorange(
        self, callback: Callable[[int, float], NoReturn] | None = None, min_run_time: float = 0.2
    ) -> Measurement:
        """Time the statement for at least ``min_run_time`` seconds, and for half a second."""
        measured = self._measured(max(MIN_SECONDS, min_run_time))
        if callback is not None:
            for seconds in measured.raw_times:
                callback(measured.number_per_run, seconds)
        return measured

    def adaptive_autorange(
        self,
        threshold: float = 0.1,
        *,
        min_run_time: float = 0.01,
        max_run_time: float = 10.0,
        callback: Callable[[int, float], NoReturn] | None = None,
    ) -> Measurement:
        """As :meth:`blocked_autorange`; placements, not a threshold, show how much the times differ."""
        del threshold
        return self.blocked_autorange(callback, min(min_run_time, max_run_time))

    def collect_callgrind(self, *arguments: Any, **keywords: Any) -> NoReturn:
        """Instructions are not counted here.

        Raises:
            NotImplementedError: always.
        """
        del arguments, keywords
        raise NotImplementedError("torchduet.Timer counts no instructions; use torch.utils.benchmark.Timer for that")

    def _measured(self, seconds: float) -> Measurement:
        timed = time(
            self.function,
            budget=seconds,
            threads=self.spec.num_threads,
            processes=False,
            label=" ".join(self.spec.title.split()),
            check=False,
        )
        return measurement_of(self, timed.results[0].record)


def measurement_of(timer: Timer, record: Mapping[str, Any]) -> Measurement:
    """A case's record as a measurement of ``torch.utils.benchmark``."""
    from torchduet.bench.run.session import samples

    calls = int(record["timing"]["calls_per_block"])
    return Measurement(
        number_per_run=calls,
        raw_times=[seconds * calls for seconds in samples(record)],  # type: ignore[arg-type]
        task_spec=timer.spec,
        timer=timer,
    )


class Compare:
    """A table of measurements, like ``torch.utils.benchmark.Compare``, with verdicts below it.

    The statements of a row (the same label, sub-label, environment and number of threads) are timed again, in
    alternation, when the table is printed: measurements made one after the other do not compare.

    Args:
        results: measurements of :class:`Timer`.
        budget: seconds for each row.
    """

    def __init__(self, results: Iterable[Measurement], budget: float = ROW_SECONDS) -> None:
        self._results, self._budget = list(results), budget
        self._options: list[str] = []
        self._rows: list[Comparison | str] | None = None

    @property
    def comparisons(self) -> list[Comparison]:
        """The comparison of each row that has two statements or more."""
        self._compare_all()
        return [row for row in self._rows or [] if isinstance(row, Comparison)]

    def extend_results(self, results: Iterable[Measurement]) -> None:
        """Add measurements."""
        self._results += results
        self._rows = None

    def trim_significant_figures(self) -> None:
        """Show the digits that are significant."""
        self._options.append("trim_significant_figures")

    def colorize(self, rowwise: bool = False) -> None:
        """Colour the times in a terminal, by column or by row."""
        self._options.append("colorize rowwise" if rowwise else "colorize")

    def highlight_warnings(self) -> None:
        """Mark times that vary much."""
        self._options.append("highlight_warnings")

    def print(self) -> None:
        """Print the table and the verdicts."""
        print(self)

    def __str__(self) -> str:
        self._compare_all()
        table = TorchCompare([*self._results])
        for option in self._options:
            name, *rowwise = option.split()
            getattr(table, name)(*map(bool, rowwise))
        lines = []
        for row in self._rows or []:
            if isinstance(row, str):
                lines.append(row)
            else:
                name = row.results[0].record["case"]["workload"]
                lines += [f"{name}: {sentence(result)}" for result in row.results if result.baseline is not None]
        covers = [row.covers for row in self._rows or [] if isinstance(row, Comparison)]
        return "\n".join([str(table), *lines, *dict.fromkeys(covers)])

    def _compare_all(self) -> None:
        if self._rows is None:
            groups: dict[tuple[Any, ...], list[int]] = {}
            for index, measured in enumerate(self._results):
                groups.setdefault(_row(measured), []).append(index)
            self._rows = [row for indices in groups.values() if (row := self._compared(indices))]

    def _compared(self, indices: Sequence[int]) -> Comparison | str:
        """Time a row's statements in alternation; the row's measurements become those. Empty: there is only one."""
        latest = {
            self._results[index].task_spec.description or self._results[index].task_spec.stmt: index
            for index in indices
        }
        timers = {name: self._results[index].timer for name, index in latest.items()}
        known = {name: timer for name, timer in timers.items() if timer is not None}
        if len(known) < 2:
            return ""
        spec = next(iter(known.values())).spec
        try:
            found = compare(
                {name: timer.function for name, timer in known.items()},
                baseline=next(iter(known)),
                budget=self._budget,
                threads=spec.num_threads,
                label=" ".join(" ".join(filter(None, (spec.label, spec.sub_label, spec.env))).split()),
                check=all(timer.returns for timer in known.values()),
            )
        except ComparisonError as error:
            return f"{spec.sub_label or spec.title}: not compared: {str(error).removeprefix('compare: ')}"
        for result in found.results:
            timer = known[result.name]
            self._results[latest[result.name]] = measurement_of(timer, result.record)
        return found


def _row(measurement: Measurement) -> tuple[Any, ...]:
    spec = measurement.task_spec
    return spec.label, spec.sub_label, spec.env, spec.num_threads


def _function_of(stmt: str, setup: str, names: Mapping[str, Any]) -> tuple[Callable[[], Any], bool]:
    """A function that runs the statement, and whether it returns its value: a single expression's."""
    scope: dict[str, Any] = {"__name__": "__main__", **names}
    file = f"<torchduet statement {next(_numbers)}>"
    exec(compile(setup, f"{file[:-1]}, setup>", "exec"), scope)
    tree = ast.parse(stmt, file)
    body, returns = tree.body or [ast.Pass()], False
    if len(body) == 1 and isinstance(body[0], ast.Expr):
        body, returns = [ast.Return(body[0].value)], True
    exec(code_of([definition_of("statement", (), body)], file), scope)
    function: Callable[[], Any] = scope.pop("statement")
    return function, returns
