"""Imports the file of a case a second time, in the same process, with an empty memory."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path

from torchduet.bench.cases.case import Case
from torchduet.bench.host.error_words import one_line
from torchduet.suites.files.as_script import EndsProgramError, as_script
from torchduet.suites.registry import BUILT_IN, is_given
from torchduet.suites.suite import Suite
from torchduet.suites.workload import Workload


def imported_again(case: Case) -> Iterator[Workload]:
    """The workload from another import of its file, with an empty memory; none of a suite that is in no such file."""
    if case.source in BUILT_IN or is_given(case.source):
        return
    path = Path(case.source).resolve()
    name = f"torchduet_again_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        return
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        with as_script(str(path)):
            spec.loader.exec_module(module)
        for suite in vars(module).values():
            if isinstance(suite, Suite) and suite.name == case.suite and case.workload in suite.workloads:
                yield suite.workloads[case.workload]
                return
    except (Exception, SystemExit, EndsProgramError) as error:  # noqa: BLE001 - nothing can be said then
        print(f"{case.id}: its file cannot be imported again: {one_line(error)}")
    finally:
        del sys.modules[name]
