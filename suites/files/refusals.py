"""Why a user's file cannot be imported, in one line that says where and what to do."""

from __future__ import annotations

import sys
import traceback
from pathlib import Path

from torchduet.suites.files.as_script import EndsProgramError, ImportTooLongError, last_error_line

MAX_LENGTH = 600
GUARD = "put that under if __name__ == '__main__':"


def reason(error: BaseException, path: Path) -> str:
    """``--suite FILE:LINE: `` and the reason, for an error that the import of the file raised."""
    where, elsewhere = _places(error, path)
    text = f"{_explained(error)}{elsewhere}"
    return f"--suite {path}{where}: {text if len(text) <= MAX_LENGTH else text[:MAX_LENGTH] + ' …'}"


def _explained(error: BaseException) -> str:
    message = _one_line(error)
    if isinstance(error, SystemExit):
        printed = last_error_line()
        cause = printed or f"sys.exit({error.code!r})"
        return f"it ends the program when it is imported ({cause}); {GUARD}"
    if isinstance(error, EndsProgramError):
        return f"it ends the program when it is imported ({message}); {GUARD}"
    if isinstance(error, ImportTooLongError):
        return message
    if isinstance(error, EOFError):
        return f"it reads the keyboard when it is imported ({message}); {GUARD}"
    named = f"{type(error).__name__}: {message}" if message else type(error).__name__
    if isinstance(error, ModuleNotFoundError) and error.name and error.name.split(".")[0] not in sys.modules:
        return (
            f"{named}; if it is a package, install it in the environment that runs pytest ({sys.executable} -m pip "
            "install …); if it is a module of yours, put it beside the file or into the project's root"
        )
    if isinstance(error, ImportError) and "relative import" in message:
        return f"{named}; its folder is no package: write from layers import … instead of from .layers import …"
    if isinstance(error, ImportError) and "circular import" in message:
        return f"{named}; move what both files need into a third one"
    return named


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split())


def _places(error: BaseException, path: Path) -> tuple[str, str]:
    """``:LINE`` in the file itself, and `` (layers.py:3)`` where the error is in another file that it imports."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [index for index, frame in enumerate(frames) if frame.filename == str(path)]
    if isinstance(error, SyntaxError) and error.filename is not None:
        if error.filename == str(path):
            return f":{error.lineno}", ""
        elsewhere = f" ({Path(error.filename).name}:{error.lineno})"
    else:
        beyond = [frame for frame in frames[own[-1] + 1 :] if _is_users(frame.filename, path)] if own else []
        elsewhere = f" ({Path(beyond[-1].filename).name}:{beyond[-1].lineno})" if beyond else ""
    return f":{frames[own[-1]].lineno}" if own else "", elsewhere


def _is_users(filename: str, path: Path) -> bool:
    return filename.startswith(f"{path.parent}/") and "site-packages" not in filename
