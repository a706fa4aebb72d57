"""Reads a run's file as the document that it is, checked: for what writes it again, together with others."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from torchduet.bench.record.schema import KEY
from torchduet.bench.record.schema_check import ContractError
from torchduet.reports.read import several, unfinished_run
from torchduet.reports.read.jsonfile import TOO_LITTLE_MEMORY, content_of
from torchduet.reports.read.run import RunFileError
from torchduet.reports.read.run_file import document_of, from_json, read_all_fast, without_unreadable

CUT_SHORT = "its run was cut short"


def load_document(path: str | Path) -> dict[str, Any]:
    """The decoded JSON of a run of Torchduet's, of several machines, or of a journal; its readers accept it.

    Cases whose records cannot be read are listed among those that failed.

    Raises:
        RunFileError: the file cannot be used; the message is one line.
    """
    try:
        content = content_of(Path(path))
        return checked(document_of(content), content)
    except ContractError as error:
        raise RunFileError(f"{path}: {error}") from None
    except MemoryError:
        raise RunFileError(f"{path}: {TOO_LITTLE_MEMORY}") from None


def checked(document: Any, content: bytes) -> dict[str, Any]:
    """The document as its readers accept it.

    Args:
        content: that it was decoded from.

    Raises:
        ContractError: they accept none of it; the message names the key.
    """
    if unfinished_run.is_journal(content):
        from_json(document)
        return {**document, KEY: {**document[KEY], "stopped": CUT_SHORT}}
    if read_all_fast(content, ""):
        return dict(document)
    if several.is_of_several(document):
        several.runs(document, "", from_json)
        return dict(document)
    try:
        from_json(document)
    except ContractError:
        rest, _ = without_unreadable(document)
        if rest is None:
            raise
        from_json(rest)
        return rest
    return dict(document)
