"""The command line: ``torchduet render run.json -o report.html``; ``python -m torchduet`` is the same.

Each command is a module with ``add_to``, which declares it; heavy modules are imported when a command runs.
"""

from __future__ import annotations

import argparse
import io
import sys
from collections.abc import Sequence

from torchduet import __version__
from torchduet.bench.peers import command as peers
from torchduet.bench.plugin import run_command as run
from torchduet.bench.selfcheck import command as selfcheck
from torchduet.reports.commands import claims, compare, export, history, render
from torchduet.reports.text.output import OutputError, abandon_stdout, say
from torchduet.reports.text.refusal import refuse

COMMANDS = (run, render, compare, history, claims, export, selfcheck, peers)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; returns the exit code: that of the command, or 2 if input or output cannot be used."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # a terminal without a character must not raise
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
        prog="torchduet",
        description="Measures the knobs of PyTorch on this machine, renders and compares runs, and measures itself.",
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"torchduet {__version__}")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    for command in COMMANDS:
        command.add_to(commands)
    return parser


if __name__ == "__main__":
    sys.exit(main())
