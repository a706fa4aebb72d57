"""Makes valid JSON of a trace in which PyTorch wrote names as they are, with quotation marks and all.

Kineto, which writes the trace, escapes nothing in the names of annotations (``record_function``) and in the keys and
values of their arguments. It writes one name per line, so where a name ends is known: at the end of its line.
"""

from __future__ import annotations

import gzip
import json
import re
from pathlib import Path

import msgspec

from torchduet.bench.files.atomic import write_atomically

# Unquoted ``nan`` and ``inf``, which C++ writes for a bandwidth.
NO_NUMBER = re.compile(rb"(?<=[:,\[\s])-?(?:nan|inf|NaN|Infinity)(?=[,}\]\s])")
# A line with one key and one text, in which a character would have to be escaped or is.
_NAME = re.compile(rb'(?m)^([ \t]*"[^"\n]*": ")([^\n"\\\x00-\x1f]*["\\\x00-\x08\x0b-\x1f\t][^\n]*)(",?[ \t\r]*)$')
# A line of arguments: several keys, after the line that opens their object.
_ARGUMENTS = re.compile(rb'(?m)(?<="args": \{\n)([ \t]*)("[^\n]*)$')
# A quotation mark that neither begins nor ends a text: what stands around it is no punctuation of JSON.
_INNER = re.compile(rb'(?!\A)(?<![\[{,:\\])(?<![\[{,:] )"(?!\s*[\]},:])')
_INVALID_ESCAPE = re.compile(rb'\\(?!["\\/bfnrt]|u[0-9a-fA-F]{4})')
_CONTROL = re.compile(rb"[\x00-\x1f]")
MAX_SHOWN = 80
MAX_BYTES = 600 * 2**20  # unpacked; larger traces are not read


class _Skimmed(msgspec.Struct):
    traceEvents: list[msgspec.Raw] = []


def problem(content: bytes | bytearray) -> str:
    """Why a trace is no valid JSON, with the text around the fault; empty if it is valid.

    What the names mean is not checked.
    """
    try:
        msgspec.json.decode(content, type=_Skimmed)
        content.decode("utf-8")
    except msgspec.ValidationError:
        return ""
    except UnicodeDecodeError as error:
        return f"it is not UTF-8 at byte {error.start:,}: {_shown(content, error.start)}"
    except (msgspec.DecodeError, RecursionError) as error:
        at = re.search(r"byte (\d+)", str(error))
        where = f" at byte {int(at[1]):,}: {_shown(content, int(at[1]))}" if at else ""
        return f"it is not JSON{where}"
    return ""


def repaired(content: bytes | bytearray) -> bytes:
    """The trace with every name escaped; valid lines are unchanged. The result may still be invalid."""
    text = bytes(content)
    try:
        text.decode("utf-8")
    except UnicodeDecodeError:  # a name that was cut within a character
        text = text.decode("utf-8", "replace").encode()
    text = NO_NUMBER.sub(b"null", text)
    text = _NAME.sub(_with_escaped_name, text)
    return _ARGUMENTS.sub(_with_escaped_arguments, text) if problem(text) else text


def repair_file(path: Path) -> bool:
    """Replace a packed trace by its repaired text, so that every viewer reads it; returns whether it was invalid.

    A trace that is cut short, or that the repair does not make valid, is left as it is.

    Raises:
        OSError: it cannot be read or written.
    """
    with gzip.open(path) as file:
        content = file.read(MAX_BYTES + 1)
    if len(content) > MAX_BYTES or not problem(content):
        return False
    text = repaired(content)
    if problem(text):
        return False
    write_atomically(gzip.compress(text, 6), path)
    return True


def _with_escaped_name(match: re.Match[bytes]) -> bytes:
    begin, name, end = match.groups()
    if _is_valid(match[0].strip().rstrip(b",")):
        return match[0]
    name = _INVALID_ESCAPE.sub(rb"\\\\", name)
    name = re.sub(rb'(?<!\\)((?:\\\\)*)"', rb'\1\\"', name)
    if (len(name) - len(name.rstrip(b"\\"))) % 2:  # else it would escape the quotation mark that ends the name
        name += b"\\"
    return begin + _CONTROL.sub(_escaped, name) + end


def _with_escaped_arguments(match: re.Match[bytes]) -> bytes:
    """The line with its inner quotation marks escaped; an empty one if that is not enough."""
    indent, line = match.groups()
    if _is_valid(line.strip()):
        return match[0]
    line = _CONTROL.sub(_escaped, _INNER.sub(rb'\\"', _INVALID_ESCAPE.sub(rb"\\\\", line)))
    return indent + line if _is_valid(line.strip()) else indent


def _is_valid(pairs: bytes) -> bool:
    """Whether ``"key": value, …`` is the inside of a JSON object."""
    try:
        json.loads(b"{" + pairs + b"}")
    except ValueError:
        return False
    return True


def _escaped(match: re.Match[bytes]) -> bytes:
    return b"\\u%04x" % match[0][0]


def _shown(content: bytes | bytearray, at: int) -> str:
    """The line around a byte, printable and short."""
    begin = max(content.rfind(b"\n", 0, at) + 1, at - MAX_SHOWN // 2)
    end = content.find(b"\n", at)
    line = bytes(content[begin : min(end if end >= 0 else len(content), begin + MAX_SHOWN)])
    return "".join(c if c.isprintable() else "?" for c in line.decode("utf-8", "replace").strip())
