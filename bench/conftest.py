"""Gives pytest the hooks and the fixture ``measured``, which :mod:`torchduet.bench.plugin` defines."""

from __future__ import annotations

# ruff: noqa: E402
from torchduet.bench.host.signals import die_quietly

die_quietly()  # the other imports take a second

from torchduet.bench.plugin.collection import (
    pytest_collection_finish,
    pytest_collection_modifyitems,
    pytest_generate_tests,
    pytest_ignore_collect,
)
from torchduet.bench.plugin.finish import (
    pytest_benchmark_update_json,
    pytest_sessionfinish,
    pytest_terminal_summary,
)
from torchduet.bench.plugin.items import measured, pytest_runtest_logreport, pytest_runtest_protocol
from torchduet.bench.plugin.sharding import pytest_report_collectionfinish
from torchduet.bench.plugin.start import pytest_addoption, pytest_configure, pytest_report_header
from torchduet.bench.plugin.together import pytest_cmdline_main, pytest_load_initial_conftests

__all__ = [
    "measured",
    "pytest_addoption",
    "pytest_benchmark_update_json",
    "pytest_cmdline_main",
    "pytest_collection_finish",
    "pytest_collection_modifyitems",
    "pytest_configure",
    "pytest_generate_tests",
    "pytest_ignore_collect",
    "pytest_load_initial_conftests",
    "pytest_report_collectionfinish",
    "pytest_report_header",
    "pytest_runtest_logreport",
    "pytest_runtest_protocol",
    "pytest_sessionfinish",
    "pytest_terminal_summary",
]
