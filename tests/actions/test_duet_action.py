"""The action ``duet``: what its script runs, writes and returns, in real repositories with a stand-in for Torchduet."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / ".github" / "actions" / "duet" / "duet.sh"
# `against` writes what STUB_CODE says that it found; every call is added to STUB_LOG.
STUB = """\
import json, os, pathlib, sys

words = sys.argv[1:]
with open(os.environ["STUB_LOG"], "a") as file:
    file.write(json.dumps(words) + "\\n")
if words[0] == "against":
    code = int(os.environ.get("STUB_CODE", "0"))
    if code in (0, 1, 3):
        pathlib.Path(words[words.index("--json") + 1]).write_text("{}")
        pathlib.Path(words[words.index("-o") + 1]).write_text("<!DOCTYPE html>")
    sys.exit(code)
if os.environ.get("STUB_RENDER") == "fails":
    sys.exit("error: cannot be rendered")
link = words[words.index("--link") + 1]
pathlib.Path(words[words.index("--comment") + 1]).write_text(f"<!-- torchduet -->\\nNo change {link}\\n")
"""

pytestmark = pytest.mark.skipif(not shutil.which("bash") or not shutil.which("git"), reason="needs bash and git")


def git(folder: Path, *words: str) -> str:
    identity = ("-c", "user.name=someone", "-c", "user.email=someone@example.org", "-c", "init.defaultBranch=main")
    command = ["git", *identity, *words]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True).stdout.strip()


def commit(folder: Path, name: str) -> str:
    (folder / name).write_text(name)
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "-m", name)
    return git(folder, "rev-parse", "HEAD")


@dataclass(frozen=True)
class Job:
    """A job of a workflow: a clone of a bare repository, and the runner's files."""

    folder: Path
    base: str  # the commit in which both branches begin

    @property
    def clone(self) -> Path:
        return self.folder / "clone"

    def checkout(self, depth: int = 1, ref: str = "topic") -> None:
        """As actions/checkout does it: one commit of one ref, with a detached HEAD."""
        self.clone.mkdir()
        git(self.clone, "init", "--quiet")
        git(self.clone, "remote", "add", "origin", (self.folder / "origin.git").as_uri())
        words = (f"--depth={depth}",) if depth else ()
        git(self.clone, "fetch", "--quiet", "--no-tags", *words, "origin", f"+{ref}:refs/remotes/pull/5/merge")
        git(self.clone, "checkout", "--quiet", "--detach", "refs/remotes/pull/5/merge")

    def run(self, **environment: str) -> subprocess.CompletedProcess[str]:
        for name in ("output", "summary"):
            (self.folder / name).write_text("")
        return subprocess.run(
            ["bash", SCRIPT],
            cwd=self.clone,
            env={
                "PATH": os.environ["PATH"],
                "HOME": str(self.folder),
                "PYTHONPATH": str(self.folder / "stub"),
                "STUB_LOG": str(self.folder / "log"),
                "RUNNER_TEMP": str(self.folder / "a temp"),
                "GITHUB_OUTPUT": str(self.folder / "output"),
                "GITHUB_STEP_SUMMARY": str(self.folder / "summary"),
                "GITHUB_REPOSITORY": "o/r",
                "GITHUB_RUN_ID": "77",
                "DUET_PYTHON": sys.executable,
                "DUET_FAIL_ON": "slower",
                "DUET_SUITE": "layers.py",
                "GITHUB_BASE_REF": "main",
                **environment,
            },
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def calls(self) -> list[list[str]]:
        path = self.folder / "log"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    def outputs(self) -> dict[str, str]:
        return dict(line.split("=", 1) for line in (self.folder / "output").read_text().splitlines())

    def summary(self) -> str:
        return (self.folder / "summary").read_text()

    def against(self) -> list[str]:
        """The arguments of ``torchduet against``, without the paths of its outputs."""
        words = self.calls()[0]
        for option in ("--json", "-o"):
            place = words.index(option)
            del words[place : place + 2]
        return words


@pytest.fixture(scope="module")
def origin(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A bare repository: a topic of 30 commits, and main, which has gone on by 25."""
    folder = tmp_path_factory.mktemp("origin")
    work = folder / "work"
    work.mkdir()
    git(work, "init", "--quiet")
    commit(work, "first")
    base = commit(work, "layers.py")
    git(work, "tag", "v1")
    git(work, "checkout", "--quiet", "-b", "topic")
    for number in range(30):
        commit(work, f"topic{number}")
    git(work, "checkout", "--quiet", "main")
    for number in range(25):
        commit(work, f"main{number}")
    git(work, "checkout", "--quiet", "--orphan", "alone")
    commit(work, "alone")
    git(folder, "clone", "--quiet", "--bare", str(work), "origin.git")
    return folder / "origin.git", base


@pytest.fixture
def job(origin: tuple[Path, str], tmp_path: Path) -> Job:
    (tmp_path / "origin.git").symlink_to(origin[0])
    (tmp_path / "a temp").mkdir()
    package = tmp_path / "stub" / "torchduet"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("")
    (package / "__main__.py").write_text(STUB)
    return Job(tmp_path, origin[1])


def said(done: subprocess.CompletedProcess[str]) -> str:
    """The line with which the script gives up."""
    assert done.returncode == 2, done.stdout + done.stderr
    (line,) = (line for line in done.stdout.splitlines() if line.startswith("::error title=torchduet::"))
    return line.removeprefix("::error title=torchduet::")


def test_a_shallow_clone_is_deepened_until_there_is_a_merge_base(job: Job) -> None:
    job.checkout()
    done = job.run()
    assert done.returncode == 0, done.stdout + done.stderr
    assert git(job.clone, "merge-base", "origin/main", "HEAD") == job.base
    assert job.against() == [
        *("against", "origin/main", "--budget", "150s", "--fail-on", "slower", "--", "--suite", "layers.py")
    ]
    assert git(job.clone, "tag") == ""


def test_a_full_clone_stays_full(job: Job) -> None:
    job.checkout(depth=0)
    assert job.run().returncode == 0
    assert git(job.clone, "rev-parse", "--is-shallow-repository") == "false"
    assert git(job.clone, "merge-base", "origin/main", "HEAD") == job.base


def test_a_merge_commit_of_a_pull_request_needs_two_commits(job: Job) -> None:
    """Its first parent is the tip of the base branch."""
    shutil.copytree((job.folder / "origin.git").resolve(), job.folder / "copy.git")
    (job.folder / "origin.git").unlink()
    (job.folder / "copy.git").rename(job.folder / "origin.git")
    work = job.folder / "work"
    git(job.folder, "clone", "--quiet", str(job.folder / "origin.git"), str(work))
    git(work, "checkout", "--quiet", "-b", "merge", "origin/main")
    git(work, "merge", "--quiet", "--no-edit", "origin/topic")
    git(work, "push", "--quiet", "origin", "merge:refs/pull/5/merge")
    job.checkout(ref="refs/pull/5/merge")
    assert job.run().returncode == 0
    assert git(job.clone, "merge-base", "origin/main", "HEAD") == git(job.clone, "rev-parse", "origin/main")


@pytest.mark.parametrize("depth", [0, 1])
@pytest.mark.parametrize("base", ["v1", "COMMIT", "main"])
def test_the_base_may_be_a_branch_a_tag_or_a_commit(base: str, depth: int, job: Job) -> None:
    job.checkout(depth=depth)
    name = job.base if base == "COMMIT" else base
    done = job.run(DUET_BASE=name, GITHUB_BASE_REF="")
    assert done.returncode == 0, done.stdout + done.stderr
    assert job.against()[1] == ("origin/main" if base == "main" else name)


def test_a_commit_that_is_there_needs_no_server(job: Job) -> None:
    job.checkout(depth=0)
    git(job.clone, "remote", "set-url", "origin", "file:///nowhere")
    assert job.run(DUET_BASE="HEAD~1").returncode == 0
    assert job.against()[1] == "HEAD~1"


def test_a_local_commit_on_top_of_a_shallow_clone_finds_its_base(job: Job) -> None:
    job.checkout()
    commit(job.clone, "generated")
    assert job.run().returncode == 0
    assert git(job.clone, "merge-base", "origin/main", "HEAD") == job.base


@pytest.mark.parametrize(
    ("base", "says"),
    [
        ("no such", "base: no such is no name of a branch"),
        ("nosuch", "base: origin has no branch and no tag nosuch"),
        ("-x", "base: origin has no branch and no tag -x"),
        ("a\n::warning::b", "base: a%0A::warning::b is no name of a branch"),
        ("f" * 40, f"base: {'f' * 40} cannot be fetched"),
        ("alone", "base: alone and HEAD have no common commit here"),
        ("", "base: name the branch, tag or commit to compare with"),
    ],
)
def test_a_base_that_cannot_be_used_is_one_line(base: str, says: str, job: Job) -> None:
    job.checkout()
    assert said(job.run(DUET_BASE=base, GITHUB_BASE_REF="")).startswith(says)
    assert job.calls() == []
    assert job.outputs()["verdict"] == "error"
    assert job.outputs()["exit-code"] == "2"
    assert job.summary() == "**No duet was made** (exit code 2); the log of this step has the reason.\n"


def test_a_folder_that_is_no_repository_is_one_line(job: Job) -> None:
    job.clone.mkdir()
    assert "is no git repository: use actions/checkout before" in said(job.run())


@pytest.mark.parametrize(("code", "verdict"), [(0, "pass"), (1, "fail"), (3, "none")])
def test_everything_is_written_before_the_gate_fails(code: int, verdict: str, job: Job) -> None:
    job.checkout()
    done = job.run(STUB_CODE=str(code), DUET_PULL_REQUEST="5")
    assert done.returncode == code
    outputs = job.outputs()
    assert list(outputs) == ["verdict", "exit-code", "folder", "json", "report"]
    assert (outputs["verdict"], outputs["exit-code"]) == (verdict, str(code))
    assert job.summary() == "<!-- torchduet -->\nNo change https://github.com/o/r/actions/runs/77#artifacts\n"
    folder = Path(outputs["folder"])
    assert sorted(path.name for path in folder.iterdir()) == ["comment.md", "pull-request", "report.html", "run.json"]
    assert (folder / "pull-request").read_text() == "5\n"
    assert [words[0] for words in job.calls()] == ["against", "render"]
    assert Path(outputs["json"]) == folder / "run.json"


@pytest.mark.parametrize("code", [2, 4, 130])
def test_if_nothing_was_measured_the_summary_says_so(code: int, job: Job) -> None:
    job.checkout()
    assert job.run(STUB_CODE=str(code)).returncode == code
    assert job.outputs()["verdict"] == "error"
    assert job.outputs()["exit-code"] == str(code)
    assert f"No duet was made** (exit code {code})" in job.summary()
    assert [words[0] for words in job.calls()] == ["against"]


def test_a_summary_that_cannot_be_written_hides_no_verdict(job: Job) -> None:
    job.checkout()
    assert job.run(STUB_CODE="1", STUB_RENDER="fails").returncode == 1
    assert job.outputs()["verdict"] == "fail"
    assert "summary of the duet cannot be written" in job.summary()


def test_each_line_of_suite_is_a_file_and_arguments_are_words(job: Job) -> None:
    job.checkout()
    done = job.run(
        DUET_SUITE="  bench/my layers.py \r\n\n$(touch gone) `x` \"q\" 'r' *.py; ls\n-rf\n",
        DUET_ARGUMENTS="--threads 1\n--case 'layers.* cpu *' --case \"a $HOME `id` \\\"b\\\"\" # none; ls ''",
        DUET_ONLY_CHANGED="true",
        DUET_BUILD="true",
        DUET_THRESHOLD="5 %",
        DUET_BUDGET="5m",
        DUET_FAIL_ON="",
    )
    assert done.returncode == 0, done.stdout + done.stderr
    options, arguments = (job.against(), [])
    place = options.index("--")
    options, arguments = options[:place], options[place + 1 :]
    assert options == ["against", "origin/main", "--budget", "5m", "--threshold", "5 %", "--only-changed", "--build"]
    assert arguments == [
        *("--suite", "bench/my layers.py", "--suite", "$(touch gone) `x` \"q\" 'r' *.py; ls", "--suite", "-rf"),
        *("--threads", "1", "--case", "layers.* cpu *", "--case", 'a $HOME `id` "b"', "#", "none;", "ls", ""),
    ]
    assert not (job.clone / "gone").exists()


@pytest.mark.parametrize(
    ("inputs", "says"),
    [
        ({"DUET_ARGUMENTS": "--case 'layers"}, "arguments: No closing quotation"),
        ({"DUET_ONLY_CHANGED": "yes"}, "only-changed: is true or false, not yes"),
        ({"DUET_BUILD": "1"}, "build: is true or false, not 1"),
        ({"DUET_PYTHON": "no-such-python"}, "python: there is no no-such-python"),
    ],
)
def test_an_input_that_cannot_be_used_is_one_line(inputs: dict[str, str], says: str, job: Job) -> None:
    job.checkout()
    assert said(job.run(**inputs)).startswith(says)
    assert job.calls() == []
    assert job.outputs()["verdict"] == "error"


@pytest.mark.parametrize("pull_request", ["", "5; ls", "$(id)"])
def test_what_is_no_number_is_no_pull_request(pull_request: str, job: Job) -> None:
    job.checkout()
    assert job.run(DUET_PULL_REQUEST=pull_request).returncode == 0
    assert not (Path(job.outputs()["folder"]) / "pull-request").exists()


def python_of(folder: Path, answers: str) -> str:
    """An interpreter that answers some calls itself."""
    program = folder / "python"
    program.write_text(f'#!/bin/sh\ncase "$*" in\n{answers}\nesac\nexec "{sys.executable}" "$@"\n')
    program.chmod(0o755)
    return str(program)


def test_torchduet_is_installed_from_the_actions_own_checkout_if_it_is_missing(job: Job) -> None:
    job.checkout()
    log = job.folder / "pip"
    python = python_of(job.folder, f"*find_spec*) exit 1 ;;\n-m\\ pip*) printf '%s\\n' \"$@\" >'{log}'; exit 0 ;;")
    assert job.run(DUET_PYTHON=python).returncode == 0
    assert log.read_text().splitlines() == ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", str(ROOT)]
    assert job.calls()[0][0] == "against"


def test_an_installation_that_fails_is_one_line(job: Job) -> None:
    job.checkout()
    python = python_of(job.folder, "*find_spec*) exit 1 ;;\n-m\\ pip*) exit 1 ;;")
    assert "Torchduet cannot be installed into" in said(job.run(DUET_PYTHON=python))


def test_an_old_python_is_named_with_its_version(job: Job) -> None:
    job.checkout()
    python = python_of(job.folder, "*version_info*) exit 1 ;;\n*python_version*) echo 3.9.1; exit 0 ;;")
    assert "needs Python 3.11 or newer" in said(job.run(DUET_PYTHON=python))


def test_a_folder_called_torchduet_in_the_project_is_not_run(job: Job) -> None:
    job.checkout()
    (job.clone / "torchduet").mkdir()
    (job.clone / "torchduet" / "__main__.py").write_text("raise SystemExit(9)")
    (job.clone / "torchduet" / "__init__.py").write_text("")
    assert job.run().returncode == 0


def test_two_duets_in_one_job_have_folders_of_their_own(job: Job) -> None:
    job.checkout()
    job.run()
    first = job.outputs()["folder"]
    job.run()
    assert job.outputs()["folder"] != first
