"""``%duet`` and ``%%duet``: compares expressions of a notebook; ``%load_ext torchduet`` defines them."""

from __future__ import annotations

from typing import Any

from torchduet.suites.extras import install

try:
    from IPython import display as ipython_display
    from IPython.core.error import UsageError
    from IPython.core.magic import no_var_expand
except ModuleNotFoundError as error:
    raise ModuleNotFoundError(
        f"torchduet.magic needs IPython; install it with: {install('notebook', 'ipython')}", name=error.name
    ) from None

from torchduet.comparing import compare
from torchduet.comparison import Comparison
from torchduet.magic_options import USAGE, Given, OptionsError, parse
from torchduet.result import ComparisonError
from torchduet.side_functions import functions_of
from torchduet.sides import SidesError, of_cell, of_line

NAME = "duet"
display: Any = ipython_display.display


def register(shell: Any) -> None:
    """Define the magics in a shell."""

    def duet(line: str, cell: str | None = None) -> Comparison | None:
        return run(shell, line, cell)

    duet.__doc__ = USAGE
    shell.register_magic_function(no_var_expand(duet), "line_cell", NAME)


def unregister(shell: Any) -> None:
    """Take the magics away."""
    for magics in shell.magics_manager.magics.values():
        magics.pop(NAME, None)


def run(shell: Any, line: str, cell: str | None) -> Comparison | None:
    """Compare the sides of a line or of a cell, and show the outcome.

    Raises:
        UsageError: an option, a side or a comparison that cannot be used; the message is one line, and the text with
            it where that cannot be parsed.
    """
    magic = f"%{NAME}" if cell is None else f"%%{NAME}"
    try:
        given = parse(line, shell.user_ns)
        if cell is not None and given.rest:
            raise SidesError(f"{given.rest!r} stands behind the options; the sides follow in the next lines")
        made = functions_of(of_line(given.rest) if cell is None else of_cell(cell), shell.user_ns)
    except SyntaxError as error:
        raise UsageError(f"{magic}: {_with_text(error)}") from None
    except (SidesError, OptionsError) as error:
        raise UsageError(f"{magic}: {error}") from None
    try:
        comparison = compare(made.functions, inputs=tuple(made.inputs.values()), **given.arguments)
    except (ComparisonError, ValueError) as error:
        raise UsageError(f"{magic}: {str(error).removeprefix('compare: ')}") from None
    return _shown(shell, comparison, given)


def _with_text(error: SyntaxError) -> str:
    """The message, with the text below it and a mark where it ends to be Python."""
    text = (error.text or "").splitlines()
    line = text[0] if text else ""
    mark = f"\n    {' ' * (error.offset - 1)}^" if error.offset else ""
    return f"SyntaxError: {error.msg}\n    {line}{mark}" if line else f"SyntaxError: {error.msg}"


def _shown(shell: Any, comparison: Comparison, given: Given) -> Comparison | None:
    if given.quiet:
        return comparison
    display(comparison)
    if given.returned:
        return comparison
    shell.displayhook.update_user_ns(comparison)  # it is _ in the next cell, as if it had been returned
    return None
