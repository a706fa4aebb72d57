"""``docs/examples/``: each kind of report is there, small, and names nothing of the machine that it comes from."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

from tests.docs import examples
from tests.docs.examples import EXAMPLES, EXAMPLES_OF, MAX_TOGETHER, OF_THIS_MACHINE

PAGES = {path.stem: path for path in EXAMPLES.glob("*.html")}


def test_there_is_one_of_each_kind_and_together_they_are_small() -> None:
    assert set(PAGES) == set(EXAMPLES_OF) == {"run", "profile", "duet", "comparison", "history"}
    assert sum(path.stat().st_size for path in PAGES.values()) < MAX_TOGETHER


@pytest.mark.parametrize("name", sorted(EXAMPLES_OF))
def test_an_example_is_a_whole_page_of_its_kind(name: str) -> None:
    html = PAGES[name].read_text("utf-8")
    assert html.rstrip().endswith("</html>")
    assert not OF_THIS_MACHINE.search(html)
    assert not re.search(r"<(?:script|img|link)[^>]*(?:src|href)=\"?(?:https?:)?//", html)
    text = re.sub(r"<[^>]+>", " ", html)
    said = {"run": "torch.compile", "profile": "Where the time goes", "duet": "layers.net", "history": "layers.net"}
    assert said.get(name, "layers.net") in text


def test_the_page_of_the_examples_names_each() -> None:
    text = (EXAMPLES / "README.md").read_text("utf-8")
    assert {*re.findall(r"\]\((\w+)\.html\)", text)} == set(PAGES)


def test_what_is_kept_is_rendered_again_and_a_bad_page_replaces_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The session measures nothing that is kept; a page that is too large leaves the earlier one as it is."""
    monkeypatch.setattr(examples, "ROOT", tmp_path)
    monkeypatch.setattr(examples, "EXAMPLES", tmp_path)
    monkeypatch.setattr(sys, "argv", ["examples", "duet"])
    (tmp_path / "build" / "examples").mkdir(parents=True)
    (tmp_path / "build" / "examples" / "duet.json").write_text("{}", "utf-8")
    (tmp_path / "duet.html").write_text("earlier", "utf-8")
    assert examples.main() == 1  # the kept file is no run
    assert "ended with exit code 2" in capsys.readouterr().err
    monkeypatch.setattr(examples, "rendered", lambda *_: "x" * (MAX_TOGETHER + 1))
    assert examples.main() == 1
    assert f"{MAX_TOGETHER + 1:,} bytes together" in capsys.readouterr().err
    assert (tmp_path / "duet.html").read_text("utf-8") == "earlier"
    monkeypatch.setattr(examples, "rendered", lambda name, kept: f"{name} of {kept.name}")
    assert examples.main() == 0
    assert (tmp_path / "duet.html").read_text("utf-8") == "duet of examples"


def test_a_page_that_names_a_folder_of_this_machine_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def write(_: Path, *arguments: str) -> None:
        Path(arguments[-1]).write_text(f"<p>{sys.prefix}/bin/python {said}</p>", "utf-8")

    monkeypatch.setattr(examples, "torchduet", write)
    said = ""
    assert examples.rendered("duet", tmp_path) == "<p>~/.venv/bin/python </p>"
    said = "/home/someone/secret.py"
    with pytest.raises(examples.ExampleError, match=r"names /home/someone/secret\.py"):
        examples.rendered("duet", tmp_path)
