"""The end of a run: its exit code, its own record in the JSON, and the closing lines on the terminal."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import Any

import pytest

from torchduet.bench.duet import against
from torchduet.bench.plugin import closing, output, pytest_benchmark_adapter, sharding
from torchduet.bench.plugin.stash import DUET, SESSION, json_path
from torchduet.bench.record.contract import readable_record, readable_run
from torchduet.bench.record.knobs import KNOBS
from torchduet.bench.record.schema import KEY, NotMeasured, Record
from torchduet.bench.record.schema_check import ContractError
from torchduet.bench.record.strict_json import strict
from torchduet.bench.run.session import Session, samples

NO_CASES = pytest.ExitCode.NO_TESTS_COLLECTED


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_sessionfinish(session: pytest.Session) -> Generator[None]:
    """Give pytest-benchmark all samples; set the exit code of a run that ended early or could not be written."""
    run = session.config.stash[SESSION]
    run.stop_request.writes = True
    records = {record["case"]["id"]: record for record in run.records()}

    def of(benchmark: Any) -> Sequence[float] | None:
        case = benchmark.extra_info.get(KEY)
        return samples(records[case]) if case in records else None

    benchmarks: Any = session.config._benchmarksession  # type: ignore[attr-defined]
    pytest_benchmark_adapter.refresh(benchmarks.benchmarks, of)
    if not benchmarks.benchmarks:
        output.save_nothing(session.config, run, json_path(session.config))
    yield
    _complete_shard(session, run)
    output.exit_code(session, run, against.exit_code(session.config.stash[DUET], run))


def _complete_shard(session: pytest.Session, run: Session) -> None:
    """A shard without cases ends well, as do other shards of the same suite, and has a file."""
    config = session.config
    if not sharding.is_part(config) or session.exitstatus not in (pytest.ExitCode.OK, NO_CASES):
        return
    session.exitstatus = pytest.ExitCode.OK
    path, settings = json_path(config), run.settings
    written = config._benchmarksession.benchmarks or settings.selecting_only or settings.check_only  # type: ignore[attr-defined]
    if path is not None and not written and not run.stop_request.received():
        output.save_without_cases(config, run, path)


def pytest_benchmark_update_json(config: pytest.Config, output_json: dict[str, Any]) -> None:
    """Add the run's own record to the JSON, and hold all of it to what its readers accept."""
    session = config.stash[SESSION]
    about = session.run_record()
    pytest_benchmark_adapter.as_lists(output_json["benchmarks"])
    records = {record["case"]["id"]: record for record in session.records()}
    left_out = {knob.name: knob.absent for knob in KNOBS if not knob.own_key}
    for benchmark in output_json["benchmarks"]:
        if isinstance(case := benchmark["extra_info"].get(KEY), str):
            _add_record(benchmark["extra_info"], records[case], about["failed"])
            params = benchmark["params"]
            benchmark["params"] = {
                name: params[name] for name in params if name not in left_out or params[name] != left_out[name]
            }
    output_json[KEY], lines = readable_run(about)
    output_json[KEY]["warnings"] += lines
    for key, value in output_json.items():
        output_json[key] = strict(value)


def _add_record(extra_info: dict[str, Any], record: Record, failed: list[NotMeasured]) -> None:
    """Put a case's record in its benchmark; a case whose record no reader would accept is one that failed."""
    try:
        kept, left_out = readable_record(record)
    except ContractError as error:
        del extra_info[KEY]
        failed.append(NotMeasured(case=record["case"], reason=f"its result cannot be recorded: {error}"))
        return
    kept["notes"] = [*kept["notes"], *left_out]
    extra_info[KEY] = kept


@pytest.hookimpl(trylast=True)
def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Write the speed-ups, and how to render the report."""
    closing.write(terminalreporter, config.stash[SESSION], json_path(config), config.stash[DUET])
