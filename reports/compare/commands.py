"""The command that times a case of a comparison again, in alternation where a commit of the base is known."""

from __future__ import annotations

import re
import shlex

from torchduet.reports.read.run_file import Run

COMMIT = re.compile(r"[0-9a-f]{7,64}")  # of a base without changes of its own


def measured(base: Run) -> str:
    """The beginning of the command, which ``--case`` and the case's id complete.

    A suite in a file of a repository is timed against the base's commit, by a duet; any other is measured again.
    """
    options = base.about["options"]
    files = [part for part in str(options.get("suite") or "").split(",") if part.endswith(".py")]
    arguments = [word for file in files for word in ("--suite", file)]
    if isinstance(options.get("threads"), int):
        arguments += ["--threads", str(options["threads"])]
    if files and COMMIT.fullmatch(base.commit):
        return shlex.join(["torchduet", "against", base.commit[:12], "--", *arguments])
    return shlex.join(["torchduet", "run", "--benchmark-json", "again.json", *arguments])
