"""Compiled templates are kept beside them, and what is kept never spoils a page."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from torchduet.reports.html import environment as module

TEMPLATE = "of_test.html.j2"


@pytest.fixture
def templates(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(module, "TEMPLATES", tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    monkeypatch.setattr(sys, "pycache_prefix", None)
    (tmp_path / TEMPLATE).write_text("{{ 1 + 1 }}", "utf-8")
    return tmp_path


def rendered(monkeypatch: pytest.MonkeyPatch) -> str:
    """The template as a new process renders it."""
    monkeypatch.setattr(module, "_CACHE", module._Compiled())
    return module.environment().get_template(TEMPLATE).render()


def kept(templates: Path) -> list[Path]:
    return list((templates / "__pycache__").iterdir())


def test_next_process_reads_what_was_compiled(templates: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert rendered(monkeypatch) == "2"
    (file,) = kept(templates)
    monkeypatch.setattr(module.Environment, "compile", lambda *_, **__: pytest.fail("compiled again"))
    assert rendered(monkeypatch) == "2"
    assert kept(templates) == [file]


@pytest.mark.parametrize("content", [b"", b"x", b"\xe3" * 40], ids=["empty", "other", "recursive"])
def test_damaged_file_is_replaced(templates: Path, monkeypatch: pytest.MonkeyPatch, content: bytes) -> None:
    rendered(monkeypatch)
    (file,) = kept(templates)
    whole = file.read_bytes()
    for damaged in (content, whole[: len(whole) // 2]):
        file.write_bytes(damaged)
        assert rendered(monkeypatch) == "2"
        assert file.read_bytes() == whole


def test_changed_template_is_compiled_again(templates: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rendered(monkeypatch)
    (templates / TEMPLATE).write_text("{{ 2 + 1 }}", "utf-8")
    assert rendered(monkeypatch) == "3"


def test_nothing_is_written_where_python_writes_nothing(templates: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    assert rendered(monkeypatch) == "2"
    assert [path.name for path in templates.iterdir()] == [TEMPLATE]


def test_folder_that_cannot_be_made_costs_nothing(templates: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (templates / "__pycache__").write_text("a file is in the way", "utf-8")
    assert rendered(monkeypatch) == "2"
