"""Reads a JSON file, or says in one line why it is none; what is in it is left to those who asked."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec

from torchduet.reports.read.schema_check import ContractError

MAX_BYTES = 200 * 2**20
TOO_DEEP = "is nested too deeply to be a run's file"
MAKE_ONE = "make one with `pytest bench/ --benchmark-json run.json`"


class UnreadableError(ContractError):
    """A file that the system does not let be read, be it for now: nothing is known of what is in it."""


def content_of(path: Path) -> bytes:
    """The bytes of a run's file.

    Raises:
        ContractError: it is empty, or too large to be one; an ``UnreadableError`` if it cannot be read.
    """
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        raise ContractError(f"no such file; {MAKE_ONE}") from None
    except IsADirectoryError:
        raise ContractError("is a directory; name the run's JSON file in it") from None
    except (OSError, ValueError) as error:
        raise UnreadableError(f"cannot be read: {getattr(error, 'strerror', None) or error}") from None
    if len(content) > MAX_BYTES:
        raise ContractError(f"is larger than {MAX_BYTES // 2**20} MiB; run fewer at a time (`--suite`, `-k`)")
    if not content.strip():
        raise ContractError(f"is empty, so its run was stopped before the end; {MAKE_ONE}")
    return content


def decoded(content: bytes) -> Any:
    """What a file holds.

    Raises:
        ContractError: it is no JSON.
    """
    try:
        return msgspec.json.decode(content)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return _decode_by_the_letter(content)


def _decode_by_the_letter(content: bytes) -> Any:
    """What the quick decoder refuses: a mark of UTF-8 before the text, NaN, whose key is named later, or an error."""
    try:
        return json.loads(content.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise ContractError(f"is not UTF-8 text (byte {error.start}); {MAKE_ONE}") from None
    except RecursionError:
        raise ContractError(TOO_DEEP) from None
    except MemoryError:
        raise ContractError("needs more memory than there is; run fewer at a time (`--suite`, `-k`)") from None
    except json.JSONDecodeError as error:
        if not content.lstrip(b"\xef\xbb\xbf \t\r\n").startswith((b"{", b"[")):
            raise ContractError(f"is not JSON; {MAKE_ONE}") from None
        raise ContractError(
            f"is broken or cut short JSON (line {error.lineno}, column {error.colno}: {error.msg}); run it again"
        ) from None
    except ValueError as error:
        raise ContractError(f"is not a run's file: {error}") from None
