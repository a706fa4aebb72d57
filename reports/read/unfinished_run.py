"""Reads the journal of a run that was cut short as if it were the run's file."""

from __future__ import annotations

from typing import Any

from torchduet.bench.record.schema import JOURNAL
from torchduet.bench.record.schema_check import ContractError


def is_journal(content: bytes) -> bool:
    """Whether a file's content is a journal."""
    return content.startswith(JOURNAL)


def document(content: bytes) -> Any:
    """The run so far, as its file would record it; its contents are not checked yet.

    Raises:
        ContractError: the content is no readable journal.
    """
    from torchduet.bench.record.journal import JournalError, parse
    from torchduet.bench.record.journal_events import read_log
    from torchduet.reports.read.run_so_far import run_so_far

    try:
        return run_so_far(read_log(parse(content, "this file"), "this file"))
    except JournalError as error:
        raise ContractError(str(error).removeprefix("this file ")) from None
    except (LookupError, TypeError, ValueError, AttributeError, ArithmeticError, RecursionError) as error:
        raise ContractError(
            f"is a journal whose entries are not those of a run ({type(error).__name__}: {error})"
        ) from None
