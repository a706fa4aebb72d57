"""CONTRIBUTING.md names files that exist, and sends nobody to more than three of them."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
FILE = re.compile(r"`([\w./-]+\.(?:py|md|j2|toml|txt))`")
ROWS = [
    row.split(" | ")
    for row in re.findall(r"^\| (?!a new|---)(.*) \|$", TEXT.partition("## Where to go for a change")[2], re.M)
]


def test_the_sixteen_changes_are_there() -> None:
    assert len(ROWS) == 16


@pytest.mark.parametrize(("change", "files"), [row[:2] for row in ROWS], ids=[row[0] for row in ROWS])
def test_a_change_is_made_in_at_most_three_files(change: str, files: str) -> None:
    assert 1 <= len(FILE.findall(files)) <= 3, change


@pytest.mark.parametrize("name", sorted({name for name in FILE.findall(TEXT) if "NAME" not in name}))
def test_every_file_that_is_named_exists(name: str) -> None:
    assert (ROOT / name).is_file()


def test_the_folder_of_a_new_file_exists() -> None:
    named = [Path(name) for name in FILE.findall(TEXT) if "NAME" in name]
    folders = {path.parent for path in named if path.parent.name != "NAME"}
    assert [folder for folder in folders if not (ROOT / folder).is_dir()] == []
    assert named
