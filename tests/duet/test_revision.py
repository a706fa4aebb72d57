"""A git revision as a side: which files it gets, and that it imports none of the working tree, however it is found."""

from __future__ import annotations

import hashlib
import os
import sys
from pathlib import Path

import pytest

from tests.duet.repositories import LAYER, Made, environment_with, git, project, repository, run_there, write
from torchduet.bench.duet.revision.layout import modules_of
from torchduet.bench.duet.revision.repository import GitError, Repository
from torchduet.bench.duet.revision.revision import Revision, summary
from torchduet.bench.plan.options import OptionError

FIND = """[tool.setuptools.packages.find]
where = ["{where}"]
include = ["mypkg*", "acme*"]
"""
SHOW = "from {package} import layers; print(layers.SIDE, layers.__file__)"


def side_of(found: Revision, made: Made, python: str = sys.executable, **env: str) -> str:
    """Which side's module the revision's interpreter imports; its file must be one of the revision."""
    words = run_there(found, python, SHOW.format(package=made.package), env).split(" ", 1)
    assert words[1].startswith(found.files.folder), words
    return words[0]


@pytest.mark.parametrize(
    ("source", "package", "options", "settings"),
    [
        ("src/mypkg", "mypkg", FIND.format(where="src"), "None"),
        ("mypkg", "mypkg", FIND.format(where="."), "None"),
        ("mypkg", "mypkg", '[tool.setuptools]\npackages = ["mypkg"]\n', '{"editable_mode": "compat"}'),
        (
            "code/inner",
            "mypkg",
            '[tool.setuptools]\npackages = ["mypkg"]\npackage-dir = {mypkg = "code/inner"}\n',
            "None",
        ),
        ("src/acme/mypkg", "acme.mypkg", FIND.format(where="src"), "None"),
        (
            "python/mypkg",
            "acme.mypkg",
            '[tool.setuptools]\npackages = ["acme.mypkg"]\npackage-dir = {"acme.mypkg" = "python/mypkg"}\n',
            "None",
        ),
    ],
    ids=["src", "flat", "compat", "finder", "namespace", "mapped namespace"],
)
def test_an_editable_installation_is_that_of_the_revision(
    source: str, package: str, options: str, settings: str, tmp_path: Path
) -> None:
    made = repository(tmp_path / "project", source, package)
    project(made, options)
    python = environment_with(tmp_path / "environment", made, settings)
    found = made.against("main", tmp_path / "there")
    assert side_of(found, made, python) == "base"


def test_a_strict_editable_installation_is_never_taken_for_the_revision(tmp_path: Path) -> None:
    made = repository(tmp_path / "project")
    project(made, FIND.format(where="src"))
    python = environment_with(tmp_path / "environment", made, '{"editable_mode": "strict"}')
    found = made.against("main", tmp_path / "there")
    assert side_of(found, made, python) == "base"


@pytest.mark.parametrize("kind", ["absolute", "relative", "through a link", "the parent"])
def test_a_folder_of_pythonpath_is_that_of_the_revision(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = repository(tmp_path / "project")
    monkeypatch.chdir(made.top)
    (tmp_path / "link").symlink_to(made.top)
    package = "project.src.mypkg" if kind == "the parent" else "mypkg"
    folders = {
        "absolute": made.top / "src",
        "relative": Path("src"),
        "through a link": tmp_path / "link" / "src",
        "the parent": tmp_path,
    }
    monkeypatch.setenv("PYTHONPATH", str(folders[kind]))
    found = made.against("main", tmp_path / "there")
    assert run_there(found, sys.executable, f"from {package} import layers; print(layers.SIDE)") == "base"


def test_what_a_program_adds_to_its_path_is_moved_too(tmp_path: Path) -> None:
    made = repository(tmp_path / "project")
    found = made.against("main", tmp_path / "there")
    adds = f"import sys; sys.path.insert(0, {str(made.top / 'src')!r}); "
    assert run_there(found, sys.executable, adds + "from mypkg import layers; print(layers.SIDE)") == "base"


def test_children_import_the_revision_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = repository(tmp_path / "project")
    monkeypatch.setenv("PYTHONPATH", str(made.top / "src"))
    found = made.against("main", tmp_path / "there")
    child = "from mypkg import layers; print(layers.SIDE)"
    starts = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {child!r}], check=True, cwd='/')"
    assert run_there(found, sys.executable, starts) == "base"


def test_a_sitecustomize_of_the_user_runs_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = repository(tmp_path / "project")
    write(tmp_path / "own", {"sitecustomize.py": "import builtins\nbuiltins.of_the_user = 'it ran'\n"})
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path / "own"), str(made.top / "src")]))
    found = made.against("main", tmp_path / "there")
    code = "from mypkg import layers; print(of_the_user, layers.SIDE)"
    assert run_there(found, sys.executable, code) == "it ran base"


def test_a_package_that_has_moved_is_found_at_its_old_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = repository(tmp_path / "project", "mypkg")
    (made.top / "src").mkdir()
    (made.top / "mypkg").rename(made.top / "src" / "mypkg")
    made.commit("moved")
    monkeypatch.setenv("PYTHONPATH", str(made.top / "src"))
    found = made.against("main", tmp_path / "there")
    assert side_of(found, made) == "base"


def test_where_the_modules_of_a_repository_lie() -> None:
    names = (
        *("setup.py", "top.py", "flat/__init__.py", "flat/inner/__init__.py", "flat/inner/deep.py"),
        *(
            "src/pkg/__init__.py",
            "src/single.py",
            "one/pyproject.toml",
            "one/two/__init__.py",
            "one/src/three/__init__.py",
        ),
        *(
            "other/four/__init__.py",
            "third_party/yaml/setup.py",
            "third_party/yaml/yaml/__init__.py",
            "tests/__init__.py",
        ),
    )
    assert modules_of(names) == {
        "top": ["top.py"],
        "flat": ["flat/__init__.py"],
        "pkg": ["src/pkg/__init__.py"],
        "single": ["src/single.py"],
        "two": ["one/two/__init__.py"],
        "three": ["one/src/three/__init__.py"],
    }


def test_a_module_that_only_the_working_tree_has_is_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = repository(tmp_path / "project")
    made.write({"src/mypkg/new.py": "", "src/newer/__init__.py": ""})
    monkeypatch.setenv("PYTHONPATH", str(made.top / "src"))
    found = made.against("main", tmp_path / "there")
    assert "No module named 'mypkg.new'" in run_there(found, sys.executable, "import mypkg.new")
    assert "No module named 'newer'" in run_there(found, sys.executable, "import newer")
    assert found.changed == ("src/mypkg/layers.py", "src/mypkg/new.py", "src/newer/__init__.py")
    assert found.uncommitted == ("src/mypkg/new.py", "src/newer/__init__.py")
    assert summary(found).startswith("3 files differ between the sides: src/mypkg/layers.py, ")


def test_an_environment_within_the_repository_is_shared(tmp_path: Path) -> None:
    made = repository(tmp_path / "project")
    project(made, FIND.format(where="src"))
    made.write({".gitignore": ".venv/\n"})
    python = environment_with(made.top / ".venv", made)
    (site,) = (made.top / ".venv").glob("lib/python*/site-packages")
    write(site, {"installed.py": "SIDE = 'both'"})
    found = made.against("main", tmp_path / "there")
    assert run_there(found, python, "import installed; print(installed.SIDE)") == "both"
    assert side_of(found, made, python) == "base"


def test_modules_that_a_build_has_generated_are_copied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = repository(tmp_path / "project")
    made.write({"src/mypkg/_version.py": "version = '1.2'\n"})
    monkeypatch.setenv("PYTHONPATH", str(made.top / "src"))
    found = made.against("main", tmp_path / "there")
    assert run_there(found, sys.executable, "from mypkg._version import version; print(version)") == "1.2"
    assert found.notes == ("generated files, which git ignores, are copied from yours: src/mypkg/_version.py",)


def test_the_top_of_a_repository_may_be_the_package_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = repository(tmp_path / "mypkg", ".", "mypkg")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    found = made.against("main", tmp_path / "there")
    assert side_of(found, made) == "base"


def test_the_user_s_repository_does_not_change(tmp_path: Path) -> None:
    made = repository(tmp_path / "project")
    made.write({"src/mypkg/layers.py": LAYER.format(side="not committed", rounds=3)})
    made.git("add", "src/mypkg/layers.py")
    made.write({"src/mypkg/layers.py": LAYER.format(side="later", rounds=3)})
    before = made.git("status", "--porcelain=v2", "--branch"), made.git("stash", "list"), made.git("worktree", "list")
    index = (made.top / ".git" / "index").read_bytes()
    found = made.against("main", tmp_path / "there")
    after = made.git("status", "--porcelain=v2", "--branch"), made.git("stash", "list"), made.git("worktree", "list")
    assert after == before
    assert (made.top / ".git" / "index").read_bytes() == index
    assert "'later'" in (made.top / "src/mypkg/layers.py").read_text()
    assert found.uncommitted == ("src/mypkg/layers.py",)


def test_nothing_of_the_repository_is_run(tmp_path: Path) -> None:
    made = repository(tmp_path / "project")
    ran = tmp_path / "ran"
    for name in ("post-checkout", "post-index-change", "reference-transaction", "fsmonitor-watchman"):
        hook = made.top / ".git" / "hooks" / name
        hook.write_text(f"#!/bin/sh\ntouch {ran}-hook\ncat\n")
        hook.chmod(0o755)
    made.git("config", "core.fsmonitor", str(made.top / ".git" / "hooks" / "fsmonitor-watchman"))
    for kind in ("smudge", "clean"):
        made.git("config", f"filter.bad.{kind}", f"sh -c 'touch {ran}-{kind}; cat'")
        made.git("config", f"filter.a=b.{kind}", f"sh -c 'touch {ran}-{kind}; cat'")
    made.git("config", "filter.bad.required", "true")
    attributes = "*.bin filter=bad\n*.bin2 filter=a=b\n"
    made.write(
        {".gitattributes": attributes, "data.bin": "data", "x.bin2": "", "src/mypkg/layers.py": "SIDE = 'other'\n"}
    )
    made.commit("with a filter")
    for file in tmp_path.glob("ran-*"):
        file.unlink()
    found = made.against("HEAD", tmp_path / "there", exact=True)
    assert list(tmp_path.glob("ran-*")) == []
    assert (Path(found.files.folder) / "data.bin").read_text() == "data"
    made.write({"data.bin": "other"})
    again = made.against("HEAD", tmp_path / "again", exact=True)
    assert list(tmp_path.glob("ran-*")) == []
    assert "as git stores them: data.bin" in " ".join(again.notes)


def test_a_submodule_is_there_if_the_clone_has_its_commit(tmp_path: Path) -> None:
    inner = repository(tmp_path / "inner", ".", "inner")
    made = repository(tmp_path / "project")
    made.git("submodule", "add", str(inner.top), "vendored")
    made.commit("with a submodule")
    found = made.against("HEAD", tmp_path / "there")
    assert (Path(found.files.folder) / "vendored" / "layers.py").is_file()
    clone = tmp_path / "clone"
    git(tmp_path, "clone", str(made.top), str(clone))
    bare = Made(clone, "mypkg", "src/mypkg", clone / "bench" / "layers.py")
    empty = bare.against("HEAD", tmp_path / "again")
    (note,) = (note for note in empty.notes if "submodule" in note)
    assert note.startswith("the submodule vendored is empty there: the clone lacks its commit")
    assert note.endswith("git submodule update --init")


def test_the_merge_base_is_compared_with(tmp_path: Path) -> None:
    made = repository(tmp_path / "project")
    fork = made.git("rev-parse", "main").strip()
    made.git("checkout", "main")
    made.write({"src/mypkg/layers.py": LAYER.format(side="later on main", rounds=2)})
    tip = made.commit("later")
    made.git("checkout", "topic")
    found = made.against("main", tmp_path / "there")
    assert (found.base.commit, found.base.merge_base) == (fork, True)
    assert found.base.label == f"main at the merge base, {fork[:7]}"
    exact = made.against("main", tmp_path / "again", exact=True)
    assert (exact.base.commit, exact.base.label) == (tip, f"main, {tip[:7]}")
    made.git("checkout", "--orphan", "other")
    made.commit("no common commit")
    alone = made.against("main", tmp_path / "orphan")
    assert alone.base.commit == tip
    assert alone.notes[0] == "main and HEAD have no common commit, so main itself is the base"


def test_a_branch_of_origin_is_found_by_its_short_name(tmp_path: Path) -> None:
    made = repository(tmp_path / "project")
    git(tmp_path, "clone", "--branch", "topic", str(made.top), "clone")
    clone = Made(tmp_path / "clone", "mypkg", "src/mypkg", tmp_path / "clone" / "bench" / "layers.py")
    assert clone.against("main", tmp_path / "there").base.commit == made.git("rev-parse", "main").strip()


def test_a_suite_that_the_base_lacks_is_yours_on_both_sides(tmp_path: Path) -> None:
    made = repository(tmp_path / "project")
    made.write({"speed/new.py": "from helper import HELP\n", "speed/helper.py": "HELP = 1\n"})
    new = Made(made.top, made.package, made.source, made.top / "speed" / "new.py")
    found = new.against("main", tmp_path / "there")
    assert f"the folder speed is not in {found.base.label}: yours measures both sides" in found.notes
    there = Path(found.sources[str(new.suite)])
    assert there.is_relative_to(found.files.folder)
    assert (there.parent / "helper.py").is_file()


def test_a_new_suite_in_a_package_brings_no_other_module_along(tmp_path: Path) -> None:
    made = repository(tmp_path / "project")
    made.write({"src/mypkg/bench.py": "", "src/mypkg/fast.py": ""})
    new = Made(made.top, made.package, made.source, made.top / "src" / "mypkg" / "bench.py")
    found = new.against("main", tmp_path / "there")
    assert f"src/mypkg/bench.py is not in {found.base.label}: yours measures both sides" in found.notes
    assert not (Path(found.files.folder) / "src" / "mypkg" / "fast.py").exists()


@pytest.mark.parametrize(("name", "says"), [("a:b", "has ':' in its name"), (None, "lies in the repository")])
def test_a_temporary_folder_that_cannot_be_used_is_refused(name: str | None, says: str, tmp_path: Path) -> None:
    made = repository(tmp_path / "project")
    with pytest.raises(OptionError, match=f"^--against-rev main: the temporary folder {says}"):
        made.against("main", made.top / "tmp" if name is None else tmp_path / name)


def test_files_of_lfs_are_known_by_what_they_hold(tmp_path: Path) -> None:
    made = repository(tmp_path / "project")
    digest = hashlib.sha256(b"weights").hexdigest()
    pointer = f"version https://git-lfs.github.com/spec/v1\noid sha256:{digest}\nsize 7\n"
    made.write({".gitattributes": "*.bin filter=lfs\n", "weights.bin": pointer, "other.bin": pointer})
    made.commit("pointers")
    made.git("config", "filter.lfs.smudge", "git-lfs smudge -- %f")
    (made.top / "weights.bin").write_bytes(b"weights")
    (made.top / "other.bin").write_bytes(b"changed")
    found = made.against("HEAD", tmp_path / "there")
    folder = Path(found.files.folder)
    assert ((folder / "weights.bin").read_bytes(), (folder / "other.bin").read_text()) == (b"weights", pointer)
    assert any("as git stores them: other.bin" in note for note in found.notes)


def test_equal_files_on_both_sides_are_said(tmp_path: Path) -> None:
    made = repository(tmp_path / "project")
    found = made.against("HEAD", tmp_path / "there")
    (note,) = found.notes
    assert note.startswith("your files are those of HEAD, ")
    assert note.endswith("both sides are the same code")
    made.write({"bench/layers.py": made.suite.read_text() + "\n"})
    changed = made.against("HEAD", tmp_path / "again")
    assert changed.notes == ("bench/layers.py itself differs between the sides: a difference may come from there",)


def test_git_s_own_variables_of_a_hook_are_not_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = repository(tmp_path / "project")
    other = repository(tmp_path / "other")
    monkeypatch.setenv("GIT_DIR", str(other.top / ".git"))
    monkeypatch.setenv("GIT_INDEX_FILE", str(other.top / ".git" / "index"))
    assert made.against("main", tmp_path / "there").files.top == str(made.top)


@pytest.mark.parametrize("rev", ["-x", "--output=/tmp/x", "nosuch", "main:src", "", "^main", "a\nb"])
def test_a_revision_that_there_is_not_is_one_clear_line(rev: str, tmp_path: Path) -> None:
    made = repository(tmp_path / "project")
    with pytest.raises(OptionError) as raised:
        made.against(rev, tmp_path / "there")
    message = str(raised.value)
    assert "\n" not in message
    assert message.startswith(f"--against-rev {rev if rev.strip() and rev.isprintable() else repr(rev)}: ")
    assert not (tmp_path / "there").exists()


def test_a_shallow_clone_says_what_to_fetch(tmp_path: Path) -> None:
    made = repository(tmp_path / "project")
    git(tmp_path, "clone", "--depth", "1", "--branch", "topic", f"file://{made.top}", "clone")
    clone = Made(tmp_path / "clone", "mypkg", "src/mypkg", tmp_path / "clone" / "bench" / "layers.py")
    with pytest.raises(
        OptionError, match=r"^--against-rev main: .* no such revision; this clone is shallow: .*fetch-depth: 0"
    ):
        clone.against("main", tmp_path / "there")
    clone.git("fetch", "--depth", "1", "origin", "main:refs/remotes/origin/main")
    with pytest.raises(OptionError, match=r"^--against-rev main: no merge base with HEAD; this clone is shallow"):
        clone.against("main", tmp_path / "there")


def test_a_damaged_repository_is_one_clear_line(tmp_path: Path) -> None:
    made = repository(tmp_path / "project")
    blob = made.git("rev-parse", "main:src/mypkg/layers.py").strip()
    (made.top / ".git" / "objects" / blob[:2] / blob[2:]).unlink()
    with pytest.raises(
        OptionError, match=r"^--against-rev main: git cannot write the files of [^\n]*; git fsck [^\n]*$"
    ):
        made.against("main", tmp_path / "there")


def test_names_with_blanks_and_other_letters(tmp_path: Path) -> None:
    made = repository(tmp_path / "my pröject")
    made.write({"data/ä b.txt": "x", "-dash.py": ""})
    made.commit("names")
    found = made.against("main", tmp_path / "there")
    assert set(found.changed) == {"src/mypkg/layers.py", "data/ä b.txt", "-dash.py"}
    assert Path(found.files.folder).name == "my pröject"


def test_git_refuses_in_words_of_its_own(tmp_path: Path) -> None:
    made = repository(tmp_path / "project")
    with pytest.raises(GitError, match="nosuchcommand"):
        Repository(made.top, "--x").git("nosuchcommand", "--unknown")
