"""All commands of ``torchduet``: each is a module with ``add_to``, which declares it.

Heavy modules are imported when a command runs.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from torchduet import __version__, fleet_command, merge_command, run_command
from torchduet.bench.peers import command as peers
from torchduet.bench.plugin import against_command as against
from torchduet.bench.selfcheck import command as selfcheck
from torchduet.command_line import Parser, blank_variable
from torchduet.reports.commands import claims, compare, export, history, machines, render
from torchduet.reports.text.output import OutputError, write_stdout
from torchduet.reports.text.refusal import refuse

REST = "--"  # what follows is passed on to pytest; argparse itself would take it for a positional argument
COMMANDS = (
    *(run_command, against, fleet_command, merge_command),
    *(render, compare, machines, history, claims, export, selfcheck, peers),
)


def run(given: Sequence[str]) -> int:
    """Run the command that the arguments name; returns its exit code, or 2 if input or output cannot be used."""
    if (reconfigure := getattr(sys.stdout, "reconfigure", None)) is not None:
        reconfigure(errors="backslashreplace")  # a terminal without a character must not raise
    end = given.index(REST) if given[:1] == ["against"] and REST in given else len(given)
    options, unknown = _parser().parse_known_args(given[:end])
    if problem := blank_variable():
        return refuse(problem)
    if unknown and given[:1] == ["against"]:
        return refuse(
            f"{unknown[0]}: arguments of `torchduet run` come after --: torchduet against REV -- {unknown[0]} …"
        )
    if unknown:
        _parser().error(f"unrecognized arguments: {' '.join(unknown)}")
    options.rest = given[end + 1 :]
    try:
        code: int = options.command(options)
        write_stdout("")  # flushes the buffer
    except OutputError as error:
        return refuse(error)
    return code


def _parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog="torchduet",
        description="Measures the knobs of PyTorch on this machine, renders and compares runs, and measures itself.",
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"torchduet {__version__}")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    for command in COMMANDS:
        command.add_to(commands)
    return parser
