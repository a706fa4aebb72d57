"""The option ``--machine`` of commands that read one run: which one of a file that holds those of several machines."""

from __future__ import annotations

import argparse


def add_to(parser: argparse.ArgumentParser) -> None:
    """Declare the option."""
    parser.add_argument(
        "--machine",
        metavar="KEY",
        help="of a file of several machines, as `torchduet merge` writes it, this one: its key or part of its name",
    )
