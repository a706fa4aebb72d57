"""``torchduet fleet``: measures on all machines of a Ray cluster, and merges what they measured."""

from __future__ import annotations

import argparse
import sys
from typing import Any

from torchduet.bench.fleet.options import ACCELERATOR, EACH, MACHINE
from torchduet.bench.host import run_lock
from torchduet.command_line import Parser

# Of the options of `torchduet run`: those that need no file beside the run's, and no second copy of every case.
NOT_TAKEN = (
    "--profile",
    "--profile-with",
    "--profile-python",
    "--trace-dir",
    "--once",
    "--calls",
    "--aa",
    "--slowdowns",
    "--shard",  # machines share the suite in a better way
    "--shard-by",
)
WAIT = "10m"
RESUME = "continue a fleet that ended early, from the journal in its folder, without measuring again what it measured"
WHEN_BUSY = (
    "with machines of which others have reserved CPUs or GPUs in Ray, or on which another run measures: wait for them "
    "(default), refuse, or go, with a warning in the record"
)
EPILOG = (
    "Exit code: 0; 1 if a case failed or was not reached; 2 if nothing can be measured, or a file cannot be written; "
    "130 after Ctrl-C. Example: torchduet fleet --address auto --each accelerator --split --tier default -o fleet"
)


def add_to(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the command; its options are declared when it runs, as those of a run take a tenth of a second."""
    parser = commands.add_parser(
        "fleet",
        help="measure on all machines of a Ray cluster, each kind of machine once",
        add_help=False,
        prefix_chars="\0",  # so that argparse parses no option itself
    )
    parser.add_argument("arguments", nargs=argparse.REMAINDER)
    parser.set_defaults(command=run)


def _parser() -> Parser:
    from torchduet.bench.plan import cli

    parser = Parser(
        prog="torchduet fleet",
        description="Measures on the machines of a Ray cluster: gives the families out, goes on when machines are lost "
        "or join, and writes a file for each machine, the merged one, and its page.",
        epilog=EPILOG,
        allow_abbrev=False,
    )
    parser.add_argument(
        "--address",
        metavar="ADDRESS",
        default="auto",
        help="the cluster: auto (default: that of this machine) or HOST:PORT",
    )
    parser.add_argument(
        "--each",
        metavar="KIND",
        choices=EACH,
        default=MACHINE,
        help=f"run the suite once on each kind of {MACHINE} (default), or each model of {ACCELERATOR}",
    )
    parser.add_argument(
        "--split",
        action="store_true",
        help="share the suite among the machines of one kind: N of them take about 1/N of the time "
        "(default: one of each kind measures, and the others take its place when it is lost)",
    )
    parser.add_argument(
        "--wait",
        metavar="TIME",
        default=WAIT,
        help="for how long to wait for a machine when none is left for what remains (default: %(default)s)",
    )
    parser.add_argument(
        "-o",
        "--output",
        metavar="FOLDER",
        default="fleet",
        help="folder for the results, made if absent (default: fleet)",
    )

    class Group:
        def addoption(self, name: str, **details: Any) -> None:
            if name not in NOT_TAKEN:
                details |= {"--resume": {"help": RESUME}, "--when-busy": {"help": WHEN_BUSY}}.get(name, {})
                parser.add_argument(name, **details)

    cli.add_to(Group())
    return parser


def run(command: argparse.Namespace) -> int:
    """Measure, then write the files; returns the exit code."""
    from pathlib import Path

    from torchduet.bench.fleet.options import FleetOptions
    from torchduet.bench.fleet.running import Asked, Reports, measure
    from torchduet.bench.plan import cli
    from torchduet.bench.plan.options import OptionError, parse_duration
    from torchduet.reports.read.run_so_far import run_so_far
    from torchduet.reports.text.refusal import refuse

    options = _parser().parse_args(command.arguments)
    names = [name.removeprefix("--").replace("-", "_") for name in cli.given() if name not in NOT_TAKEN]
    try:
        own = FleetOptions(
            given={name: getattr(options, name) for name in names},
            each=options.each,
            split=options.split,
            when_busy=run_lock.parse(options.when_busy),
            wait_seconds=parse_duration("--wait", options.wait),
        )
    except (OptionError, run_lock.LockError) as error:
        return refuse(error)
    asked = Asked(own, options.address, Path(options.output), resume=options.resume)
    return measure(asked, Reports(run_so_far, _render, _answer), refuse)


def _render(run: str, page: str) -> int:
    """Render the page of the merged file; returns the exit code."""
    from torchduet.bench.plugin.against_command import ended

    return ended([sys.executable, "-m", "torchduet", "render", run, "-o", page])


def _answer(run: str) -> list[str]:
    """The answer of the merged file; nothing if it cannot be read: its page says why, which is made next."""
    from torchduet.reports.commands.closing import closing
    from torchduet.reports.read.pyproject import PyprojectError
    from torchduet.reports.read.run_file import RunFileError

    try:
        return closing(run)
    except (RunFileError, PyprojectError):
        return []
