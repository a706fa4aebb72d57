"""Reads and decodes a JSON file, or raises a one-line error; its contents are checked by the callers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec

from torchduet.bench.files.regular import NotAFileError, read_bytes
from torchduet.bench.record.schema_check import ContractError
from torchduet.reports.read.folders import latest_file
from torchduet.reports.read.memory_room import SMALL, available, needed

MAX_BYTES = 200 * 2**20
TOO_LITTLE_MEMORY = "needs more memory than there is; run fewer at a time (`--suite`, `-k`)"
TOO_DEEP = "is nested too deeply to be a run's file"
HOW_TO_MAKE_ONE = "make one with `torchduet run --benchmark-json run.json`"


class UnreadableError(ContractError):
    """A file that the system does not let us read, perhaps only for now; its contents are unknown."""


def content_of(path: Path) -> bytes:
    """The bytes of a run's file.

    Raises:
        ContractError: the file is empty, no file, too large, or too large for the memory that this process may use.
        UnreadableError: the file cannot be read.
    """
    try:
        content = read_bytes(path, MAX_BYTES + 1)
    except FileNotFoundError:
        raise ContractError(f"no such file; {HOW_TO_MAKE_ONE}") from None
    except IsADirectoryError:
        example = latest_file(path)
        raise ContractError(
            f"is a directory; name the run's JSON file in it{f', e.g. {path / example}' if example else ''}"
        ) from None
    except NotAFileError as error:
        raise ContractError(f"is {error.what}, not a file; write what it gives to a file, and name that") from None
    except MemoryError:
        raise ContractError(TOO_LITTLE_MEMORY) from None
    except (OSError, ValueError) as error:
        raise UnreadableError(f"cannot be read: {getattr(error, 'strerror', None) or error}") from None
    if len(content) > MAX_BYTES:
        raise ContractError(f"is larger than {MAX_BYTES // 2**20} MiB; run fewer at a time (`--suite`, `-k`)")
    if not content.strip():
        raise ContractError(f"is empty, so its run ended early; {HOW_TO_MAKE_ONE}")
    _check_memory(content)
    return content


def _check_memory(content: bytes) -> None:
    if len(content) <= SMALL or (room := available()) is None:
        return
    if (need := needed(content)) > room:
        raise ContractError(
            f"takes about {need // 2**20} MiB of memory to read, and this process may use {room // 2**20} MiB more; "
            "raise its limit, or run fewer at a time (`--suite`, `-k`)"
        )


def decoded(content: bytes) -> Any:
    """The decoded JSON of a file's bytes.

    Raises:
        ContractError: they are not JSON.
    """
    try:
        return msgspec.json.decode(content)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return _decode_slowly(content)
    except MemoryError:
        raise ContractError(TOO_LITTLE_MEMORY) from None


def _decode_slowly(content: bytes) -> Any:
    """Decodes what msgspec refuses: a UTF-8 byte-order mark and NaN (its key is named later); raises for the rest."""
    try:
        return json.loads(content.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise ContractError(f"is not UTF-8 text (byte {error.start}); {HOW_TO_MAKE_ONE}") from None
    except RecursionError:
        raise ContractError(TOO_DEEP) from None
    except MemoryError:
        raise ContractError(TOO_LITTLE_MEMORY) from None
    except json.JSONDecodeError as error:
        if not content.lstrip(b"\xef\xbb\xbf \t\r\n").startswith((b"{", b"[")):
            raise ContractError(f"is not JSON; {HOW_TO_MAKE_ONE}") from None
        raise ContractError(
            f"is broken or truncated JSON (line {error.lineno}, column {error.colno}: {error.msg}); run it again"
        ) from None
    except ValueError as error:
        raise ContractError(f"is not a run's file: {error}") from None
