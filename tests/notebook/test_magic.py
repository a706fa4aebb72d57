"""``%duet`` and ``%%duet`` in a shell of IPython."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from torchduet.comparison import Comparison

IN_SHORT = "-b 0.3s -n 1 -k processes=False"


@pytest.fixture
def shown(shell: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Any]]:
    """What the magic has displayed."""
    import torchduet.magic

    assert "duet" in shell.magics_manager.magics["line"]
    displayed: list[Any] = []
    monkeypatch.setattr(torchduet.magic, "display", displayed.append)
    yield displayed
    assert all(isinstance(each, Comparison) for each in displayed)


def refused(shell: Any, text: str, capsys: pytest.CaptureFixture[str]) -> str:
    """The one line that a cell is refused with."""
    capsys.readouterr()
    outcome = shell.run_cell(text)
    assert type(outcome.error_in_exec).__name__ == "UsageError"
    written = capsys.readouterr().err.strip()
    assert written.startswith("UsageError: %")
    return written


def test_a_line_is_compared_and_shown_and_stands_in_the_underscore(shell: Any, shown: list[Any]) -> None:
    outcome = shell.run_cell(f"%duet {IN_SHORT} x.sin() + n | twice: n + torch.sin(x)", store_history=True)
    assert outcome.success
    assert outcome.result is None
    (comparison,) = shown
    assert comparison.names == ("x.sin() + n", "twice")
    assert comparison.baseline == "twice"
    assert shell.user_ns["_"] is comparison
    assert "twice" in comparison._repr_html_()


def test_o_returns_it_as_well_and_q_returns_it_only(shell: Any, shown: list[Any]) -> None:
    shell.run_cell(f"a = %duet -o {IN_SHORT} x.sin() | torch.sin(x)")
    assert shown == [shell.user_ns["a"]]
    shell.run_cell(f"b = %duet -q {IN_SHORT} x.sin() | torch.sin(x)")
    assert shown == [shell.user_ns["a"]]
    assert isinstance(shell.user_ns["b"], Comparison)


def test_options_reach_the_comparison(shell: Any, shown: list[Any]) -> None:
    options = "-b 1s -t 7% -n1 -m eager -p fp32,bf16 -d cpu -B a -k processes=False -k tolerance={'bf16':n*0.05}"
    assert shell.run_cell(f"%duet {options} a: x @ x | b: torch.matmul(x, x) | c: x.mm(x)").success
    (comparison,) = shown
    assert comparison.threshold == 0.07
    assert comparison.baseline == "a"
    assert {result.precision for result in comparison} == {"fp32", "bf16"}


def test_a_cell_has_a_side_per_line_or_per_part(shell: Any, shown: list[Any]) -> None:
    shell.run_cell(f"%%duet {IN_SHORT}\nmine: x.sin()\ntorch.sin(x)\n")
    shell.run_cell(f"%%duet {IN_SHORT}\n--- setup\ny = x * n\n--- mine\nz = y.sin()\nz + z\n--- other\ny.sin() * 2\n")
    assert [comparison.names for comparison in shown] == [("mine", "torch.sin(x)"), ("mine", "other")]
    assert not {"y", "z"} & {*shell.user_ns}


def test_braces_and_dollars_are_left_as_they_are(shell: Any, shown: list[Any]) -> None:
    assert shell.run_cell(f"%duet {IN_SHORT} {{'$n': x}}['$n'] + 0 | x + {{0: n}}[0] - n").success
    assert shown[0].names[0] == "{'$n': x}['$n'] + 0"


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("x.sin()", "there is only 'x.sin()' to time"),
        ("x.sin() | nothing(x)", "name 'nothing' is not defined, in 'nothing(x)'"),
        ("-z 3 x | x", "there is no option -z; there are -b, -t,"),
        ("--budget 3 x | x", "there is no option --budget"),
        ("-n two x | x", "-n two: use a whole number"),
        ("-b", "-b needs a value: -b TIME"),
        ("-b soon x.sin() | x.sin()", "budget='soon'"),
        ("-k tolerance x | x", "write -k keyword=value"),
        ("-k tolerance=nothing x | x", "NameError: name 'nothing' is not defined"),
        ("-k nothing=1 x.sin() | x.sin()", "there is no keyword nothing="),
        (f"{IN_SHORT} x.sin() | x.cos()", "return different results"),
        ("(yield x) | x", "cannot be timed"),
    ],
)
def test_what_cannot_be_compared_is_one_line(
    line: str, words: str, shell: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    written = refused(shell, f"%duet {line}", capsys)
    assert words in written
    assert len(written.splitlines()) == 1


@pytest.mark.parametrize("text", ["%duet x+ | x", "%%duet\nx.sin()\nx+\n"])
def test_a_syntax_error_shows_the_expression(text: str, shell: Any, capsys: pytest.CaptureFixture[str]) -> None:
    lines = refused(shell, text, capsys).splitlines()
    assert "SyntaxError: invalid syntax" in lines[0]
    assert lines[1].strip() == "x+"
    assert lines[2].strip() == "^"


def test_an_expression_may_begin_with_a_minus(shell: Any, shown: list[Any]) -> None:
    shell.run_cell(f"%duet {IN_SHORT} -- -x | -1 * x")
    assert shown[0].names == ("-x", "-1 * x")


def test_sides_behind_the_options_of_a_cell_are_refused(shell: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert "'x.sin()' stands behind the options" in refused(shell, "%%duet -b 1s x.sin()\nx.sin()\nx.sin()", capsys)


def test_the_magic_can_be_unloaded(shell: Any, capsys: pytest.CaptureFixture[str]) -> None:
    shell.run_cell("%unload_ext torchduet")
    shell.run_cell("%duet x | x")
    assert "`%duet` not found" in capsys.readouterr().err


def test_without_ipython_one_line_says_what_to_install() -> None:
    code = "import sys; sys.modules['IPython'] = None; import torchduet.magic"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    said = "ModuleNotFoundError: torchduet.magic needs IPython; install it with: pip install "
    assert done.stderr.splitlines()[-1].startswith(said)
