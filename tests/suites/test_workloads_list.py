"""The registry against the checked-in list of workloads."""

import difflib

import pytest

from tests.suites.workloads import LIST, lines


def test_the_suites_have_the_workloads_that_the_list_names() -> None:
    listed = LIST.read_text(encoding="utf-8").splitlines()
    changed = [line for line in difflib.ndiff(listed, list(lines())) if line[0] in "-+"]
    if changed:
        pytest.fail(
            "\n".join((f"the suites are not what {LIST.name} lists (- listed, + found):", *changed))
            + "\nIf that is what you want: python -m tests.suites.workloads",
            pytrace=False,
        )
