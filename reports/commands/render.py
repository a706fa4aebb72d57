"""``torchduet render``: writes one run as a page, or a summary of it as Markdown.

Nothing heavy is imported until the file has been read and checked.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from torchduet.reports.text.output import OutputError, write_stdout
from torchduet.reports.text.refusal import refuse

if TYPE_CHECKING:
    from torchduet.reports.read.run_file import Run


def add_to(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the command and its options."""
    parser = commands.add_parser(
        "render",
        help="write one self-contained HTML page of a run",
        description="Writes one self-contained HTML page of a run: the answers first, the evidence below.",
        epilog="Exit code 2: the run's file cannot be used, or the report cannot be written.",
        allow_abbrev=False,
    )
    parser.add_argument(
        "run", metavar="RUN", help="JSON file of `torchduet run --benchmark-json RUN`, or of any pytest-benchmark"
    )
    parser.add_argument(
        "-o", "--output", metavar="FILE", help="where to write (default: report.html, unless --markdown is given)"
    )
    parser.add_argument(
        "--markdown", metavar="FILE", help="write a summary of the report as Markdown, at most 60 lines; - for stdout"
    )
    parser.set_defaults(command=run)


def run(options: argparse.Namespace) -> int:
    """Write the report; returns the exit code."""
    from torchduet.reports.read.pytest_benchmark import load_any
    from torchduet.reports.read.run_file import RunFileError
    from torchduet.reports.text.output import refuse_overwrite, write

    output = options.output or (None if options.markdown else "report.html")
    try:
        for path in filter(None, (output, options.markdown)):
            refuse_overwrite(path, options.run)
        if output and options.markdown and Path(output).absolute() == Path(options.markdown).absolute():
            raise OutputError(f"{output}: is given for both -o and --markdown; choose two files")
        run = load_any(options.run)
    except (OutputError, RunFileError) as error:
        return refuse(error)
    try:
        if output:
            write(_page(run), output)
        if options.markdown == "-":
            write_stdout(_summary(run))
            return 0
        if options.markdown:
            write(_summary(run), options.markdown)
    except OutputError as error:
        return refuse(error)
    for path in filter(None, (output, options.markdown)):
        print(path)
    return 0


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
