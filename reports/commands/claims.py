"""``torchduet claims``: prints whether tutorials' claims hold in a run."""

from __future__ import annotations

import argparse

from torchduet.reports.commands import machine_option
from torchduet.reports.text.output import write_stdout
from torchduet.reports.text.refusal import refuse


def add_to(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the command and its options."""
    parser = commands.add_parser(
        "claims",
        help="print whether tutorials' claims hold in a run, as a Markdown table",
        description="Prints what tutorials claim and whether it holds in a run, as a Markdown table.",
        epilog="Exit code 2: the run's file cannot be used.",
        allow_abbrev=False,
    )
    parser.add_argument("run", metavar="RUN", help="JSON file of `torchduet run -m claims --benchmark-json RUN`")
    machine_option.add_to(parser)
    parser.set_defaults(command=run)


def run(options: argparse.Namespace) -> int:
    """Print the table; returns the exit code."""
    from torchduet.reports.read.run_file import RunFileError, load

    try:
        run = load(options.run, machine=options.machine)
    except RunFileError as error:
        return refuse(error)

    from torchduet.reports.findings.claims import judge
    from torchduet.reports.markdown.claims import claims_table

    write_stdout(claims_table(run, judge(run)))
    return 0
