"""The end of a run: its exit code, its own record in the JSON, and the closing lines on the terminal."""

from __future__ import annotations

from typing import Any

import pytest

from torchduet.bench.plugin import closing, output, pytest_benchmark_adapter
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
    closing.write(terminalreporter, config.stash[SESSION], json_path(config))
