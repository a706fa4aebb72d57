"""Starts processes that do not run the user's main script: it may call ``pytest.main`` without a guard."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from multiprocessing import spawn
from typing import Any

MAIN = ("init_main_from_name", "init_main_from_path")


@contextlib.contextmanager
def without_main() -> Iterator[None]:
    """Processes started within the context do not import the main module of this one.

    multiprocessing lets each new interpreter import it, so that objects defined there can be unpickled. A process of
    ours needs none of them: it gets jobs of ours, and imports suites from their files. A script that measures when it
    is imported would start a second run there, and one that is read from standard input has no file.
    """
    original = spawn.get_preparation_data

    def prepared(name: str) -> dict[str, Any]:
        return {key: value for key, value in original(name).items() if key not in MAIN}

    spawn.get_preparation_data = prepared
    try:
        yield
    finally:
        spawn.get_preparation_data = original
