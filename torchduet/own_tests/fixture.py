"""The fixture ``duet``: ``torchduet.compare`` with a test's own defaults; what it finds is kept for the session."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

import pytest

from torchduet.comparing import DETAILS, compare
from torchduet.comparison import Comparison
from torchduet.own_tests.names import name_of
from torchduet.own_tests.options import OPTIONS, Options
from torchduet.own_tests.outcomes import DUETS, Duets
from torchduet.result import ComparisonError

__tracebackhide__ = True  # pytest shows the line of the test
KEYWORDS = (
    *(name for name, of in inspect.signature(compare).parameters.items() if of.kind is of.KEYWORD_ONLY),
    "inputs",
    *DETAILS,
)


class CheckedOnly(Comparison):
    """A comparison whose results were checked and not timed: it asserts nothing, and has no figures."""

    def assert_not_slower(self, *arguments: Any, **keywords: Any) -> None:
        """Return: nothing was timed."""
        del arguments, keywords

    def _of(self, name: str) -> Any:
        pytest.skip(f"the results are right; there is no time of {name!r}, as --benchmark-disable times nothing")


class Duet:
    """Compares functions in a test.

    Args:
        nodeid: of the test.
        name: of its cases.
        defaults: keywords of its markers.
        options: of the command line, which come before keywords and markers.
        duets: get what is found.
    """

    def __init__(
        self, nodeid: str, name: tuple[str, str], defaults: dict[str, Any], options: Options, duets: Duets
    ) -> None:
        self._nodeid, self._name, self._defaults, self._options, self._duets = nodeid, name, defaults, options, duets

    def __call__(self, functions: Any, *inputs: Any, **keywords: Any) -> Comparison:
        """Time functions in alternation, on the same inputs; the arguments are those of :func:`torchduet.compare`.

        Raises:
            ValueError: an argument that cannot be used; the message names it.
            ComparisonError: a function raises, or its result is wrong; the message names it.
        """
        two = callable(functions) and callable(next(iter(inputs), None))
        keywords = self._keywords(inputs[1:] if two else inputs, keywords)
        processes = keywords.get("processes", True)
        first: Comparison | None = None
        try:
            comparison = compare(functions, *inputs, **keywords)
            if why := comparison.withheld:
                first = comparison
                comparison = compare(functions, *inputs, **keywords)
                comparison._finished.run["warnings"].append(
                    f"{'.'.join(self._name)}: measured twice; the first time {why}"
                )
            if comparison.failed:
                error = ComparisonError(f"compare: {'; '.join(comparison.failed.values())}")
                error.comparison = comparison
                raise error
        except ComparisonError as error:
            self._add(error.comparison, str(error), processes)
            raise error.with_traceback(None) from None
        except KeyboardInterrupt as interrupt:
            found = getattr(interrupt, "comparison", None)
            self._add(found if found is not None and found.results else first, "", processes)
            raise
        if self._options.check_only:
            return CheckedOnly(comparison._finished, comparison.names, comparison.baseline, comparison.threshold)
        self._add(comparison, "", processes)
        if self._options.unclear is not None:
            comparison.unclear = self._options.unclear
        return comparison

    def _keywords(self, inputs: tuple[Any, ...], given: dict[str, Any]) -> dict[str, Any]:
        options = self._options
        said = {"budget": options.budget, "threshold": options.threshold, "threads": options.threads}
        said["processes"] = None if options.processes else False
        of_marker = {key: value for key, value in self._defaults.items() if key != "inputs" or not inputs}
        keywords = {**of_marker, **given, **{key: value for key, value in said.items() if value is not None}}
        return {**keywords, "_check_only": True} if options.check_only else keywords

    def _add(self, comparison: Comparison | None, error: str, processes: bool) -> None:
        if error or (comparison is not None and comparison.results):
            self._duets.add(self._nodeid, self._name, comparison, error, processes=processes)


def duet_of(request: pytest.FixtureRequest) -> Duet:
    """What the fixture gives to a test; a test that is not to run is skipped, one with a wrong marker fails."""
    options, duets = request.config.stash[OPTIONS], request.config.stash[DUETS]
    if options.skip:
        pytest.skip(options.skip)
    node = request.node
    root = Path(request.config.rootpath)
    name = name_of(node.nodeid, lambda file: (root / file).exists())
    return Duet(node.nodeid, name, defaults_of(node), options, duets)


def defaults_of(node: pytest.Item) -> dict[str, Any]:
    """The keywords of a test's markers; those of the test come before those of its class and of its module."""
    found: dict[str, Any] = {}
    for marker in node.iter_markers("duet"):
        where = f"{node.nodeid}: @pytest.mark.duet"
        if marker.args:
            pytest.fail(f"{where} takes keywords, such as budget='3s', and no {marker.args[0]!r}", pytrace=False)
        for keyword in marker.kwargs:
            if keyword not in KEYWORDS:
                pytest.fail(
                    f"{where} has no keyword {keyword}=; use those of torchduet.compare: {', '.join(KEYWORDS)}",
                    pytrace=False,
                )
        found = {**marker.kwargs, **found}
    return found
