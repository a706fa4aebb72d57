"""Fixtures of the reports' tests: a synthetic run, as JSON content, as a file and as a loaded Run."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.reports.made_once import charts_drawn_once
from tests.reports.rich import make_rich_run
from tests.reports.sample import make_run
from torchduet.reports.read.run_file import Run, from_json


@pytest.fixture(scope="session", autouse=True)
def _charts_drawn_once() -> Iterator[None]:
    with charts_drawn_once():
        yield


@pytest.fixture(scope="session")
def shared_document() -> Any:
    """The run that most tests look at; they must not change it."""
    return make_run()


@pytest.fixture(scope="session")
def run(shared_document: Any) -> Run:
    return from_json(shared_document)


@pytest.fixture
def document(shared_document: Any) -> Any:
    """A copy of the run for a test to spoil."""
    return json.loads(json.dumps(shared_document))


@pytest.fixture
def run_file(shared_document: Any, tmp_path: Path) -> Path:
    path = tmp_path / "run.json"
    path.write_text(json.dumps(shared_document), "utf-8")
    return path


@pytest.fixture(scope="session")
def rich_document() -> Any:
    """A run with workers, meters, peaks of memory and ceilings; tests must not change it."""
    return make_rich_run()


@pytest.fixture(scope="session")
def rich(rich_document: Any) -> Run:
    return from_json(rich_document)
