"""What a command that refuses its input must look like."""

from __future__ import annotations

import pytest

from torchduet.__main__ import main


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """The one line of a command that is refused with exit code 2 and prints nothing else."""
    assert main(list(arguments)) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("error: ")
    assert err.count("\n") == 1
    return err
