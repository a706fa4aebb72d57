"""The command line: ``torchduet render run.json -o report.html``; ``python -m torchduet`` is the same.

Each command is a module with ``add_to``, which declares it; heavy modules are imported when a command runs.
"""

from __future__ import annotations

import argparse
import io
import sys
from collections.abc import Sequence
from pathlib import Path

from torchduet.bench.host.signals import die_quietly, exits

if __name__ == "__main__" or Path(sys.argv[0]).stem == "torchduet":
    die_quietly()  # the other imports take some tenths of a second

from torchduet import __version__
from torchduet.bench.host.process.inherited import usable
from torchduet.bench.peers import command as peers
from torchduet.bench.plugin import against_command as against
from torchduet.bench.plugin import run_command as run
from torchduet.bench.selfcheck import command as selfcheck
from torchduet.reports.commands import claims, compare, export, history, render
from torchduet.reports.text.output import OutputError, discard_stdout, write_stdout
from torchduet.reports.text.refusal import refuse

REST = "--"  # what follows is passed on to pytest; argparse itself would take it for a positional argument
COMMANDS = (run, against, render, compare, history, claims, export, selfcheck, peers)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; returns the exit code: that of the command, or 2 if input or output cannot be used."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # a terminal without a character must not raise
    usable()
    given = list(sys.argv[1:] if arguments is None else arguments)
    end = given.index(REST) if given[:1] == ["against"] and REST in given else len(given)
    options, unknown = _parser().parse_known_args(given[:end])
    if unknown and given[:1] == ["against"]:
        return refuse(
            f"{unknown[0]}: arguments of `torchduet run` come after --: torchduet against REV -- {unknown[0]} …"
        )
    if unknown:
        _parser().error(f"unrecognized arguments: {' '.join(unknown)}")
    options.rest = given[end + 1 :]
    code = 0
    try:
        with exits():
            code = options.command(options)
            write_stdout("")  # flushes the buffer
    except OutputError as error:
        return refuse(error)
    except BrokenPipeError:
        discard_stdout()  # the reader of the output has closed it
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
