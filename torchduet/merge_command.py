"""``torchduet merge``: makes one file of runs, such as the shards of a suite that several machines have measured."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from torchduet.bench.files.collecting import without_collecting
from torchduet.reports.commands.compare import unique_names
from torchduet.reports.text.output import OutputError, check_places, is_stdout, write, write_stdout
from torchduet.reports.text.refusal import refuse, say

EPILOG = (
    "Runs on machines of one kind add visits to each other; those of several kinds stay apart, and their times are "
    "not compared. A journal of a run that was cut short is merged, too. Exit code 2: a file cannot be used, the runs "
    "differ in versions, options or commits, shards are missing, or the file cannot be written."
)


def add_to(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the command and its options."""
    parser = commands.add_parser(
        "merge",
        help="make one file of the runs of several machines, such as shards",
        description="Makes one file of several runs: the shards of a suite, or the same suite on several machines.",
        epilog=EPILOG,
        allow_abbrev=False,
    )
    parser.add_argument(
        "runs",
        metavar="RUN",
        nargs="+",
        help="JSON files of `torchduet run --benchmark-json RUN`, merged ones, journals",
    )
    parser.add_argument(
        "-o",
        "--output",
        metavar="FILE",
        default="merged.json",
        help="where to write; - for stdout (default: merged.json)",
    )
    parser.add_argument(
        "--missing-ok", action="store_true", help="merge shards although others are missing, which the file then names"
    )
    parser.set_defaults(command=run)


@without_collecting()
def run(options: argparse.Namespace) -> int:
    """Merge; returns the exit code."""
    from torchduet.bench.merge.merging import MergeError, merge
    from torchduet.bench.record.schema_check import ContractError

    try:
        check_places({"-o": options.output}, options.runs, "merged.json")
        documents = _documents(options.runs, options.output)
        merged = merge(list(zip(unique_names(options.runs), documents, strict=True)), missing_ok=options.missing_ok)
        content = _encoded(merged.document)
        if is_stdout(options.output):
            write_stdout(content.decode())
        else:
            write(content, options.output, "merged.json")
    except ContractError as error:
        return refuse(f"the merged run would not be readable: {error}; please report this")
    except (MergeError, OutputError) as error:
        return refuse(error)
    for note in merged.notes:
        say(f"note: {note}")
    if not is_stdout(options.output):
        print(options.output)
    return 0


def _documents(paths: Sequence[str], output: str) -> list[dict[str, Any]]:
    """What is in the files, with the paths of traces as seen from the output.

    Raises:
        MergeError: any of them cannot be used; the message names all.
    """
    from torchduet.bench.merge.merging import MergeError
    from torchduet.bench.merge.traces import moved
    from torchduet.reports.read.documents import load_document
    from torchduet.reports.read.run import RunFileError

    documents, errors = list[dict[str, Any]](), list[str]()
    target = Path() if is_stdout(output) else Path(output).parent
    for path in paths:
        try:
            documents.append(moved(load_document(path), Path(path).parent, target))
        except RunFileError as error:
            errors.append(str(error))
    if errors:
        raise MergeError("; ".join(dict.fromkeys(errors)))
    return documents


def _encoded(document: dict[str, Any]) -> bytes:
    """The document as JSON; what msgspec refuses, such as text that is no Unicode, as any file of a run has it."""
    import msgspec

    from torchduet.bench.host.atomic_files import encoded

    try:
        return msgspec.json.encode(document)
    except (msgspec.MsgspecError, UnicodeEncodeError, TypeError):
        return encoded(document)
