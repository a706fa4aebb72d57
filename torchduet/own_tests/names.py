"""Names of tests as cases have them: a suite and a workload, made of the test's node id."""

from __future__ import annotations

from collections.abc import Callable

FOLDERS = ("tests", "test")  # left out of names


def name_of(nodeid: str, exists: Callable[[str], bool] = lambda _: False) -> tuple[str, str]:
    """``tests/nn/test_layers.py::TestNorm::test_rms[64]`` → ``nn.test_layers``, ``TestNorm.test_rms[64]``.

    A name depends on no other test of the session, so that it is the same in the next run.

    Args:
        exists: whether there is a file, by its path below the root: if there is one without the folder of tests, that
            folder stays in the name.
    """
    file, _, within = nodeid.partition("::")
    first, _, rest = file.partition("/")
    if first in FOLDERS and rest and not exists(rest):
        file = rest
    suite = file.removesuffix(".py").replace("/", ".")
    function, bracket, parameters = within.partition("[")
    return suite or "tests", function.replace("::", ".") + bracket + parameters
