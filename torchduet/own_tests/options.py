"""The options ``--duet-…`` of pytest in a user's project: their declaration and their values."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from torchduet.percent import seconds_of, share_of

UNCLEAR = ("pass", "fail")


@dataclass(frozen=True)
class Options:
    """What the command line says; None: nothing.

    Attributes:
        budget: seconds for a duet.
        threshold: a difference up to this share is *same*.
        threads: intra-op threads.
        unclear: ``pass`` or ``fail``.
        processes: False: measure in pytest's process only.
        skip: why tests with duets are skipped; empty if they are not.
        only: run no other tests.
        check_only: check results and time nothing.
        json: where the run's file is written.
    """

    budget: float | None
    threshold: float | None
    threads: int | None
    unclear: str | None
    processes: bool
    skip: str
    only: bool
    check_only: bool
    json: Path | None


OPTIONS = pytest.StashKey[Options]()


def add_to(parser: pytest.Parser) -> None:
    """Declare the options. Values stay text until :func:`read`, so that an error is one line."""
    group = parser.getgroup("duet", "duets: the fixture `duet` of torchduet")
    group.addoption(
        "--duet-budget",
        metavar="TIME",
        help="time for each duet, beyond compilation, e.g. 500ms, 3s or 1m; instead of what tests and markers say "
        "(default: 3 s for two cases of a size, 1 s more for each further case)",
    )
    group.addoption(
        "--duet-threshold",
        metavar="SHARE",
        help="a difference up to this is `same`, in per cent; instead of what tests and markers say (default: 2%%)",
    )
    group.addoption(
        "--duet-threads",
        metavar="N",
        help="intra-op threads of PyTorch; instead of what tests and markers say (default: as the process has)",
    )
    group.addoption(
        "--duet-unclear",
        metavar="pass|fail",
        help="what assert_not_slower does if it is not sure and the test does not say (default: pass)",
    )
    group.addoption(
        "--duet-no-processes",
        action="store_true",
        help="measure in pytest's process only: intervals then do not cover what differs between processes "
        "(default: later visits are made by fresh processes)",
    )
    group.addoption("--duet-skip", action="store_true", help="skip tests that use the fixture `duet` (default: off)")
    group.addoption("--duet-only", action="store_true", help="run only tests that use the fixture (default: off)")
    group.addoption(
        "--duet-json",
        metavar="FILE",
        help="write all duets as a run's file, which `torchduet render` and `compare` read (default: none)",
    )


def read(config: pytest.Config) -> Options:
    """The options' values, with those of pytest-benchmark and pytest-xdist that concern duets.

    Raises:
        pytest.UsageError: a value that cannot be used; the message is one line that names the option.
    """
    given = config.option
    try:
        options = Options(
            budget=seconds_of(given.duet_budget, "--duet-budget"),
            threshold=None if given.duet_threshold is None else share_of(given.duet_threshold, "--duet-threshold"),
            threads=_threads(given.duet_threads),
            unclear=_unclear(given.duet_unclear),
            processes=not given.duet_no_processes,
            skip=_reason_to_skip(config),
            only=given.duet_only,
            check_only=getattr(given, "benchmark_disable", False) and not getattr(given, "benchmark_enable", False),
            json=_file(given.duet_json),
        )
    except ValueError as error:
        raise pytest.UsageError(str(error)) from None
    if given.duet_skip and given.duet_only:
        raise pytest.UsageError("--duet-only: --duet-skip leaves no test to run; give one of the two")
    return options


def _threads(value: str | None) -> int | None:
    if value is None:
        return None
    if not value.isascii() or not value.isdigit() or len(value) > 4 or not 0 < int(value) <= 4096:
        raise ValueError(f"--duet-threads={value!r}: use a number of threads from 1, such as 2")
    return int(value)


def _unclear(value: str | None) -> str | None:
    if value is not None and value not in UNCLEAR:
        raise ValueError(f"--duet-unclear={value!r}: use 'pass' or 'fail'")
    return value


def _file(value: str | None) -> Path | None:
    if value is None:
        return None
    from torchduet.bench.files.places import try_place

    path = Path(value).absolute()
    if not value or path.is_dir():
        raise ValueError(f"--duet-json={value!r}: give a file, such as duets.json")
    if not path.parent.is_dir():
        raise ValueError(f"--duet-json={value!r}: there is no folder {path.parent}; create it")
    try:
        try_place(path)
    except OSError as error:
        raise ValueError(f"--duet-json={value!r}: cannot be written: {error.strerror or error}") from None
    return path


def _reason_to_skip(config: pytest.Config) -> str:
    """Why tests with duets are skipped; empty if they are not."""
    if config.option.duet_skip:
        return "skipped by --duet-skip"
    if getattr(config.option, "benchmark_skip", False) and not getattr(config.option, "benchmark_only", False):
        return "skipped by --benchmark-skip"
    workers = getattr(config, "workerinput", {}).get("workercount", 1)
    if workers > 1:
        return (
            f"the tests of {workers} pytest-xdist workers would disturb the timing; "
            "run duets with -n 0 or -p no:xdist, e.g. pytest --duet-only -n 0"
        )
    return ""
