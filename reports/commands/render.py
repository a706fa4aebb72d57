"""``torchduet render``: writes one run as a page, or a summary of it as Markdown, or a comment on a pull request.

Nothing heavy is imported until the file has been read and checked.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import TYPE_CHECKING

from torchduet.bench.files.collecting import without_collecting
from torchduet.reports.commands import machine_option
from torchduet.reports.text.output import OutputError
from torchduet.reports.text.refusal import refuse

if TYPE_CHECKING:
    from torchduet.reports.read.run_file import Run


def add_to(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the command and its options."""
    parser = commands.add_parser(
        "render",
        help="write one self-contained HTML page of a run",
        description="Writes one self-contained HTML page of a run: the answers first, the evidence below. Of a file of "
        "several machines it is the page of `torchduet machines`, unless --machine names one.",
        epilog="Exit code 2: the run's file cannot be used, or the report cannot be written.",
        allow_abbrev=False,
    )
    parser.add_argument(
        "run", metavar="RUN", help="JSON file of `torchduet run --benchmark-json RUN`, or of any pytest-benchmark"
    )
    parser.add_argument(
        "-o",
        "--output",
        metavar="FILE",
        help="where to write (default: report.html, unless --markdown or --comment is given)",
    )
    parser.add_argument(
        "--markdown", metavar="FILE", help="write a summary of the report as Markdown, at most 60 lines; - for stdout"
    )
    parser.add_argument(
        "--comment",
        metavar="FILE",
        help="write a comment on a pull request, of a duet: Markdown, at most 20 lines; - for stdout",
    )
    parser.add_argument("--link", metavar="URL", help="with --comment: address of the whole report, http or https")
    machine_option.add_to(parser)
    parser.set_defaults(command=run)


@without_collecting()
def run(options: argparse.Namespace) -> int:
    """Write the report; returns the exit code."""
    from torchduet.reports.read.pyproject import PyprojectError
    from torchduet.reports.read.pytest_benchmark import load_all_of_any, load_any
    from torchduet.reports.read.run_file import RunFileError
    from torchduet.reports.text.output import attempt, check_places, is_stdout

    output = options.output or (None if options.markdown or options.comment else "report.html")
    targets = {"-o": output, "--markdown": options.markdown, "--comment": options.comment}
    try:
        check_places(targets, [options.run])
        if options.link is not None:
            _check_link(options)
        runs = load_all_of_any(options.run) if options.machine is None else [load_any(options.run, options.machine)]
        page, summary = _of_one(runs[0]) if len(runs) == 1 else _of_several(runs)
        comment = _comment(runs, options)
    except (OutputError, RunFileError, PyprojectError) as error:
        return refuse(error)
    parts: list[tuple[str | None, Callable[[], str]]] = [
        (output, page),
        (options.markdown, summary),
        (options.comment, lambda: comment),
    ]
    unwritten = [attempt(make(), path) for path, make in parts if path]
    if codes := [refuse(error) for error in unwritten if error is not None]:
        return codes[0]
    written = [path for path in targets.values() if path]
    if not any(map(is_stdout, written)):
        print(*written, sep="\n")
    return 0


def _check_link(options: argparse.Namespace) -> None:
    from torchduet.reports.markdown.comment import CommentError, checked_link

    if not options.comment:
        raise OutputError("--link: is the address in a comment; give --comment FILE, too")
    try:
        checked_link(options.link)
    except CommentError as error:
        raise OutputError(str(error)) from None


def _comment(runs: list[Run], options: argparse.Namespace) -> str:
    """The comment, if one is asked for.

    Raises:
        OutputError: the run is no duet.
    """
    if not options.comment:
        return ""
    from torchduet.reports.markdown.comment import CommentError, comment

    try:
        return comment(runs[0], options.link)
    except CommentError as error:
        raise OutputError(f"{options.run}: {error}") from None


def _of_one(run: Run) -> tuple[Callable[[], str], Callable[[], str]]:
    """What writes the page of a run, and its summary."""
    return lambda: _page(run), lambda: _summary(run)


def _of_several(runs: list[Run]) -> tuple[Callable[[], str], Callable[[], str]]:
    """What writes the page of several machines, and its summary: which machine is for what.

    Raises:
        PyprojectError: a price in the nearest ``pyproject.toml`` cannot be used.
    """
    from torchduet.reports.commands.machines import prices_for
    from torchduet.reports.machines.brief import markdown
    from torchduet.reports.machines.comparison import comparison
    from torchduet.reports.machines.page import render

    of = comparison(runs, prices_for(None), None)
    return lambda: render(of), lambda: markdown(of)


def _page(run: Run) -> str:
    from torchduet.reports.read.pytest_benchmark import PytestBenchmarkRun

    if isinstance(run, PytestBenchmarkRun):
        from torchduet.reports.html import pytest_benchmark_page

        return pytest_benchmark_page.render(run)
    from torchduet.reports.html import run_page

    return run_page.render(run)


def _summary(run: Run) -> str:
    from torchduet.reports.read.pytest_benchmark import PytestBenchmarkRun

    if isinstance(run, PytestBenchmarkRun):
        from torchduet.reports.markdown import pytest_benchmark

        return pytest_benchmark.markdown(run)
    from torchduet.reports.markdown import run as run_markdown

    return run_markdown.markdown(run)
