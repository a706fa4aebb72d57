"""The end of a run: its exit code, its own record in the JSON, and the closing lines on the terminal."""

from __future__ import annotations

from typing import Any

import pytest

from torchduet.bench.duet import against
from torchduet.bench.host.run_clock import words
from torchduet.bench.plugin import closing_table, output, pytest_benchmark_adapter
from torchduet.bench.plugin.stash import SESSION, json_path
from torchduet.bench.record.knobs import KNOBS
from torchduet.bench.record.schema import KEY


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Say by the exit code that the run was interrupted, or could not be written."""
    output.exit_code(session, session.config.stash[SESSION])


def pytest_benchmark_update_json(config: pytest.Config, output_json: dict[str, Any]) -> None:
    """Add the run's own record to the JSON."""
    session = config.stash[SESSION]
    output_json[KEY] = session.run_record()
    pytest_benchmark_adapter.as_lists(output_json["benchmarks"])
    records = {record["case"]["id"]: record for record in session.records()}
    unsaid = {knob.name: knob.absent for knob in KNOBS if not knob.own_key}
    for one in output_json["benchmarks"]:
        if isinstance(name := one["extra_info"].get(KEY), str):
            one["extra_info"][KEY] = records[name]
            given = one["params"]
            one["params"] = {name: given[name] for name in given if name not in unsaid or given[name] != unsaid[name]}


@pytest.hookimpl(trylast=True)
def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """The speed-ups, and how to render the report."""
    session = config.stash[SESSION]
    answer = against.closing(session)
    if answer:
        terminalreporter.section("B against A", sep="-")
        for line in answer:
            terminalreporter.write_line(line)
    noise = session.watch.grade()  # which leaves verdicts open that the machine's state does not allow
    lines = session.check_itself() if session.options.self_check else closing_table.table(session.records())
    if lines:
        what = "the suite against itself" if session.options.self_check else "speed-ups"
        terminalreporter.section(f"{what} (in alternation, on the same tensors)", sep="-")
        for line in lines:
            terminalreporter.write_line(line)
    for line in (
        *output.closing(session, json_path(config)),
        *session.hints,
        *(words(passing) if (passing := session.passing.record()) else ()),
        *closing_table.noise_of(noise),
        *closing_table.unclear(session.records(), noise),
    ):
        terminalreporter.write_line(line)
    for reason, number in session.skipped().items():
        terminalreporter.write_line(f"{number} case{'s' if number > 1 else ''} skipped: {reason}")
    path = json_path(config)
    if path is not None and session.records() and path.exists() and not session.unwritten:
        report = path.with_suffix(".html")
        terminalreporter.write_line(f"\nRead the report: torchduet render {path} -o {report}")
    elif session.records():
        terminalreporter.write_line("\nFor a report, add --benchmark-json run.json")
