"""Writes a session's duets: to the file of ``--duet-json``, and beside pytest-benchmark's own benchmarks."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from torchduet.own_tests.options import OPTIONS
from torchduet.own_tests.outcomes import DUETS, Duets


def write(config: pytest.Config) -> None:
    """Write the files that the options name. pytest-benchmark writes its own only if it has benchmarks."""
    duets, path = config.stash[DUETS], config.stash[OPTIONS].json
    if path is not None:
        _written(duets, "--duet-json", path, lambda: _document(duets))
    session: Any = getattr(config, "_benchmarksession", None)
    if is_left_to_us(config):
        _written(duets, "--benchmark-json", Path(session.json), lambda: _document_of_pytest_benchmark(config, session))


def is_left_to_us(config: pytest.Config) -> bool:
    """Whether ``--benchmark-json`` was given and pytest-benchmark has nothing to write there."""
    session: Any = getattr(config, "_benchmarksession", None)
    if session is None or not getattr(session, "json", None) or session.benchmarks:
        return False
    return any(outcome.run is not None for outcome in config.stash[DUETS].outcomes)


def add_to(duets: Duets, output: dict[str, Any]) -> None:
    """Add the duets to a document of pytest-benchmark."""
    from torchduet.bench.merge.benchmarks import benchmark_of
    from torchduet.bench.record.schema import KEY
    from torchduet.bench.record.strict_json import strict

    part = duets.part()
    if part is not None:
        output["benchmarks"] += [strict(benchmark_of(record)) for record in part.records]
        output[KEY] = strict(part.run)


def _document(duets: Duets) -> dict[str, Any] | None:
    from datetime import UTC, datetime

    from torchduet.bench.library.run_file import document

    part = duets.part()
    return None if part is None else document(part.records, part.run, datetime.now(UTC))


def _document_of_pytest_benchmark(config: pytest.Config, session: Any) -> dict[str, Any]:
    """What pytest-benchmark would write if it had a benchmark."""
    hook = config.hook
    commit = hook.pytest_benchmark_generate_commit_info(config=config)
    hook.pytest_benchmark_update_commit_info(config=config, commit_info=commit)
    output: dict[str, Any] = hook.pytest_benchmark_generate_json(
        config=config,
        benchmarks=[],
        include_data=True,
        machine_info=session.get_machine_info(),
        commit_info=commit,
    )
    hook.pytest_benchmark_update_json(config=config, benchmarks=[], output_json=output)
    return output


def _written(duets: Duets, option: str, path: Path, make: Callable[[], dict[str, Any] | None]) -> None:
    from torchduet.bench.files.places import write_elsewhere
    from torchduet.bench.host.atomic_files import encoded
    from torchduet.bench.library.run_file import write as write_file

    document = make()
    if document is None:
        duets.lines.append(f"{option}: no duet was measured, so {path.name} is not written")
        return
    try:
        write_file(document, path)
    except OSError as error:
        elsewhere = write_elsewhere(encoded(document), path)
        kept = "the figures are lost" if elsewhere is None else f"the figures are in {elsewhere} instead"
        duets.unwritten.append(f"{option}: {path} cannot be written: {error.strerror or error}; {kept}")
        return
    shown = path if path.parent != Path.cwd() else path.name
    duets.lines.append(f"written: {shown}; to see it: torchduet render {shown} -o report.html")
