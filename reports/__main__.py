"""The command line of the reports: ``python -m reports render run.json -o report.html``.

Nothing heavy is imported until a file has been read and found good.
"""

from __future__ import annotations

import argparse
import io
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from reports.compare.command import add_to as add_compare
from reports.export import add_to as add_export
from reports.history.command import add_to as add_history
from reports.output import OutputError, abandon_stdout, say
from reports.refusal import refuse

if TYPE_CHECKING:
    from reports.load import Run


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; returns the exit code: 0, 2 for input or output that cannot be used, or what the command says."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # a terminal that lacks a letter is no reason to fail
    options = _parser().parse_args(arguments)
    code = 0
    try:
        code = options.command(options)
        say("")  # what is still buffered
    except OutputError as error:
        return refuse(error)
    except BrokenPipeError:
        abandon_stdout()  # whoever read our output has gone
    return code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m reports", description="Says what a run of Torchduet means.", allow_abbrev=False
    )
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    render = commands.add_parser(
        "render",
        help="make one self-contained HTML file of a run",
        description="Makes one self-contained HTML file of a run: the answers first, the evidence below.",
        epilog="Exit code 2: the run's file cannot be used, or the report cannot be written.",
        allow_abbrev=False,
    )
    render.add_argument(
        "run", metavar="RUN", help="JSON file of `pytest bench/ --benchmark-json RUN`, or of any pytest-benchmark"
    )
    render.add_argument(
        "-o", "--output", metavar="FILE", help="where to write (default: report.html, unless --markdown is given)"
    )
    render.add_argument(
        "--markdown", metavar="FILE", help="write the report in brief as Markdown, at most 60 lines; - for stdout"
    )
    render.set_defaults(command=_render)
    claims = commands.add_parser(
        "claims",
        help="print what a run says about tutorials' claims, as a Markdown table",
        description="Prints what tutorials claim and whether it holds in a run, as a Markdown table.",
        epilog="Exit code 2: the run's file cannot be used.",
        allow_abbrev=False,
    )
    claims.add_argument("run", metavar="RUN", help="JSON file of `pytest bench/ -m claims --benchmark-json RUN`")
    claims.set_defaults(command=_claims)
    add_compare(commands)
    add_history(commands)
    add_export(commands)
    return parser


def _claims(options: argparse.Namespace) -> int:
    from reports.load import RunFileError, load

    try:
        run = load(options.run)
    except RunFileError as error:
        return refuse(error)

    from reports.claims import judge
    from reports.markdown import claims_table

    say(claims_table(run, judge(run)))
    return 0


def _render(options: argparse.Namespace) -> int:
    from reports.load import RunFileError
    from reports.output import keep_apart, write
    from reports.plain import load_any

    output = options.output or (None if options.markdown else "report.html")
    try:
        for path in filter(None, (output, options.markdown)):
            keep_apart(path, options.run)
        if output and options.markdown and Path(output).absolute() == Path(options.markdown).absolute():
            raise OutputError(f"{output}: both -o and --markdown name it; choose another file for one of them")
        run = load_any(options.run)
    except (OutputError, RunFileError) as error:
        return refuse(error)
    try:
        if output:
            write(_page(run), output)
        if options.markdown == "-":
            say(_brief(run))
            return 0
        if options.markdown:
            write(_brief(run), options.markdown)
    except OutputError as error:
        return refuse(error)
    for path in filter(None, (output, options.markdown)):
        print(path)
    return 0


def _page(run: Run) -> str:
    from reports.plain import PlainRun

    if isinstance(run, PlainRun):
        from reports import plain_page

        return plain_page.render(run)
    from reports import page

    return page.render(run)


def _brief(run: Run) -> str:
    from reports.plain import PlainRun

    if isinstance(run, PlainRun):
        from reports import plain_brief

        return plain_brief.markdown(run)
    from reports import brief

    return brief.markdown(run)


if __name__ == "__main__":
    sys.exit(main())
