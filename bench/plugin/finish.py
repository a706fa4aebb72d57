"""The end of a run: its exit code, its own record in the JSON, and the closing lines on the terminal."""

from __future__ import annotations

from typing import Any

import pytest

from torchduet.bench.plugin import closing, output, pytest_benchmark_adapter
from torchduet.bench.plugin.stash import SESSION, json_path
from torchduet.bench.record.knobs import KNOBS
from torchduet.bench.record.schema import KEY


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Set the exit code of a run that ended early or could not be written."""
    output.exit_code(session, session.config.stash[SESSION])


def pytest_benchmark_update_json(config: pytest.Config, output_json: dict[str, Any]) -> None:
    """Add the run's own record to the JSON."""
    session = config.stash[SESSION]
    output_json[KEY] = session.run_record()
    pytest_benchmark_adapter.as_lists(output_json["benchmarks"])
    records = {record["case"]["id"]: record for record in session.records()}
    left_out = {knob.name: knob.absent for knob in KNOBS if not knob.own_key}
    for benchmark in output_json["benchmarks"]:
        if isinstance(case := benchmark["extra_info"].get(KEY), str):
            benchmark["extra_info"][KEY] = records[case]
            params = benchmark["params"]
            benchmark["params"] = {
                name: params[name] for name in params if name not in left_out or params[name] != left_out[name]
            }


@pytest.hookimpl(trylast=True)
def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Write the speed-ups, and how to render the report."""
    closing.write(terminalreporter, config.stash[SESSION], json_path(config))
