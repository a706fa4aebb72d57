"""The command line: ``torchduet render run.json -o report.html``; ``python -m torchduet`` is the same.

:mod:`torchduet.commands` has the commands. They are imported within the outermost handler.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from torchduet.bench.host.signals import die_quietly, exits

if __name__ == "__main__" or Path(sys.argv[0]).stem == "torchduet":
    die_quietly()  # the other imports take some tenths of a second

from torchduet.bench.host.process.inherited import usable
from torchduet.outermost import guarded


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; returns the exit code.

    It is that of the command, 2 if input or output cannot be used, 70 for a fault of ours, 130 after Ctrl-C.
    """

    def command() -> int:
        from torchduet import commands

        usable()
        with exits():
            return commands.run(list(sys.argv[1:] if arguments is None else arguments))

    return guarded(command)


if __name__ == "__main__":
    sys.exit(main())
