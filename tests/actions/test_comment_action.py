"""The action ``comment``: one comment on the right pull request, whatever the artifact of a fork contains."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.actions.fake_gh import made
from tests.reports.made_duet import duet_of
from tests.reports.sample import make_run

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / ".github" / "actions" / "comment" / "comment.py"
SHA, OLDER = "a" * 40, "b" * 40
MARKER = "<!-- torchduet -->"


def pull(number: int, head: str = "fork/r", branch: str = "topic", sha: str = SHA, **more: Any) -> dict[str, Any]:
    """A pull request as the API has it."""
    return {
        "number": number,
        "state": "open",
        "head": {"sha": sha, "label": f"{head.partition('/')[0]}:{branch}", "repo": {"full_name": head}},
        "base": {"repo": {"full_name": "o/r"}},
        **more,
    }


@dataclass(frozen=True)
class Stage:
    """A runner's folder, with a repository behind ``gh``."""

    folder: Path

    def put(self, **state: Any) -> None:
        (self.folder / "state.json").write_text(json.dumps({"pulls": [], "comments": [], **state}))

    def artifact(self, *verdicts: str, **more: int) -> None:
        document = duet_of(make_run(placements=4, visits=0), *verdicts, **more)
        (self.folder / "artifact" / "run.json").write_text(json.dumps(document))

    def event(self, **run: Any) -> None:
        usual = {
            "id": 77,
            "event": "pull_request",
            "head_sha": SHA,
            "head_branch": "topic",
            "head_repository": {"full_name": "fork/r"},
            "pull_requests": [],
        }
        (self.folder / "event.json").write_text(json.dumps({"workflow_run": {**usual, **run}}))

    def run(self, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-I", SCRIPT],
            env={
                **os.environ,
                "PATH": f"{self.folder / 'bin'}:{os.environ['PATH']}",
                "FAKE_GH": str(self.folder),
                "GH_TOKEN": "token",
                "GITHUB_EVENT_PATH": str(self.folder / "event.json"),
                "GITHUB_REPOSITORY": "o/r",
                "GITHUB_SERVER_URL": "https://github.example",
                "COMMENT_FOLDER": str(self.folder / "artifact"),
                "COMMENT_TORCHDUET": str(self.folder / "bin" / "torchduet"),
                **environment,
            },
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    def calls(self) -> list[Any]:
        path = self.folder / "calls.jsonl"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    def written(self) -> list[Any]:
        return [call for call in self.calls() if "GET" not in call["argv"]]

    def comments(self) -> list[Any]:
        return list(json.loads((self.folder / "state.json").read_text())["comments"])


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    for name in ("bin", "artifact"):
        (tmp_path / name).mkdir()
    for name, command in (("gh", str(ROOT / "tests" / "actions" / "fake_gh.py")), ("torchduet", "-m torchduet")):
        program = tmp_path / "bin" / name
        program.write_text(f'#!/bin/sh\ncd "{ROOT}" && exec "{sys.executable}" {command} "$@"\n')
        program.chmod(program.stat().st_mode | stat.S_IXUSR)
    stage = Stage(tmp_path)
    stage.put(pulls=[pull(5)])
    stage.event()
    stage.artifact("slower", "same")
    return stage


def said(done: subprocess.CompletedProcess[str], code: int = 0) -> str:
    """The one line of the script."""
    assert done.returncode == code, done.stdout + done.stderr
    assert done.stderr == ""
    (line,) = done.stdout.splitlines()
    return line


def test_a_pull_request_of_a_fork_is_found_by_its_branch_and_commit(stage: Stage) -> None:
    stage.put(pulls=[pull(3, sha=OLDER), pull(4, head="other/r"), pull(5), pull(6, state="closed")])
    assert said(stage.run()) == "Pull request 5 has a new comment."
    (comment,) = stage.comments()
    assert comment["issue"] == 5
    assert comment["body"].startswith(f"{MARKER}\n**`layers.case_0` takes 1.08 times as long")
    assert "[Report](<https://github.example/o/r/actions/runs/77#artifacts>)" in comment["body"]
    assert "head=fork:topic" in stage.calls()[0]["argv"]


def test_a_pull_request_of_the_repository_is_named_by_the_event(stage: Stage) -> None:
    stage.put(pulls=[pull(8, head="o/r")])
    stage.event(head_repository={"full_name": "o/r"}, pull_requests=[{"number": 8}])
    assert said(stage.run()) == "Pull request 8 has a new comment."


@pytest.mark.parametrize("branch", ["a&state=closed", "@/etc/passwd", "x y", "-f", "ü", "a=b"])
def test_any_name_of_a_branch_is_only_a_name(branch: str, stage: Stage) -> None:
    stage.put(pulls=[pull(5, branch=branch)])
    stage.event(head_branch=branch)
    assert said(stage.run()) == "Pull request 5 has a new comment."


@pytest.mark.parametrize(
    ("pulls", "run", "says"),
    [
        ([pull(5, sha=OLDER)], {}, "no open pull request has aaaaaaaaaaaa as its newest commit"),
        ([pull(5, head="o/r")], {"pull_requests": [{"number": 5}]}, "no open pull request has"),
        ([pull(5, base={"repo": {"full_name": "o/else"}})], {"pull_requests": [{"number": 5}]}, "no open pull request"),
        ([pull(5), pull(6)], {}, "2 pull requests have this commit"),
        ([pull(5)], {"event": "push"}, "was started by push, not by a pull request"),
        ([pull(5)], {"head_repository": None}, "no repository that still exists"),
        ([], {}, "no open pull request has"),
    ],
)
def test_without_exactly_one_pull_request_nothing_is_written(
    pulls: list[Any], run: dict[str, Any], says: str, stage: Stage
) -> None:
    stage.put(pulls=pulls)
    stage.event(**run)
    line = said(stage.run())
    assert line.startswith("::notice title=torchduet::")
    assert says in line
    assert stage.written() == []


def test_the_artifact_does_not_choose_the_pull_request_nor_the_text(stage: Stage) -> None:
    (stage.folder / "artifact" / "pull-request").write_text("99\n")
    (stage.folder / "artifact" / "comment.md").write_text(f"{MARKER}\nBuy now")
    stage.put(pulls=[pull(5), pull(99, sha=OLDER)])
    said(stage.run())
    (comment,) = stage.comments()
    assert comment["issue"] == 5
    assert "Buy" not in comment["body"]


def test_the_comment_of_the_bot_is_replaced_wherever_it_is_among_the_pages(stage: Stage) -> None:
    others = [made(number, 5, "Nice.", "someone") for number in range(3)]
    forged = made(20, 5, f"{MARKER}\nforged", "someone")
    quoted = made(21, 5, f"see {MARKER}")
    mine = made(22, 5, f"{MARKER}\r\nolder")
    elsewhere = made(23, 6, f"{MARKER}\nolder")
    stage.put(pulls=[pull(5)], comments=[*others, forged, quoted, mine, elsewhere])
    assert said(stage.run()) == "The comment on pull request 5 is replaced."
    bodies = {comment["id"]: comment["body"] for comment in stage.comments()}
    assert "takes 1.08 times as long" in bodies[22]
    assert {number: body for number, body in bodies.items() if number != 22} == {
        comment["id"]: comment["body"] for comment in (*others, forged, quoted, elsewhere)
    }
    assert said(stage.run()) == "The comment on pull request 5 is the same as before."
    assert len(stage.written()) == 1


def test_another_author_can_be_named(stage: Stage) -> None:
    stage.put(pulls=[pull(5)], comments=[made(1, 5, f"{MARKER}\nolder", "our-app[bot]")])
    assert said(stage.run(COMMENT_AUTHOR="our-app[bot]")) == "The comment on pull request 5 is replaced."


def test_quiet_writes_nothing_where_nothing_moved_but_replaces_what_is_there(stage: Stage) -> None:
    stage.artifact("same", "unclear")
    assert said(stage.run(COMMENT_QUIET="true")) == "Nothing moved, so pull request 5 gets no comment."
    assert stage.written() == []
    stage.put(pulls=[pull(5)], comments=[made(1, 5, f"{MARKER}\nslower")])
    assert said(stage.run(COMMENT_QUIET="true")) == "The comment on pull request 5 is replaced."


@pytest.mark.parametrize("verdicts", [["slower"], ["blind"], ["same", "faster control"], ["same more"]])
def test_quiet_writes_what_needs_attention(verdicts: list[str], stage: Stage) -> None:
    stage.artifact(*verdicts)
    assert said(stage.run(COMMENT_QUIET="true")) == "Pull request 5 has a new comment."


def test_quiet_does_not_hide_a_failed_case(stage: Stage) -> None:
    stage.artifact("same", failed=1)
    assert said(stage.run(COMMENT_QUIET="true")) == "Pull request 5 has a new comment."


def test_a_missing_artifact_is_a_notice(stage: Stage) -> None:
    (stage.folder / "artifact" / "run.json").unlink()
    assert "the run has no artifact with a run.json" in said(stage.run())
    assert stage.written() == []


def test_a_file_that_is_too_large_is_not_read(stage: Stage) -> None:
    with (stage.folder / "artifact" / "run.json").open("wb") as file:
        file.truncate(40 * 2**20)
    line = said(stage.run(), 1)
    assert line == "::error title=torchduet::the artifact's run.json has 41,943,040 bytes, more than 33,554,432"


def test_a_link_in_the_artifact_is_not_followed(stage: Stage) -> None:
    run_file = stage.folder / "artifact" / "run.json"
    run_file.rename(stage.folder / "run.json")
    run_file.symlink_to(stage.folder / "run.json")
    assert "is no file" in said(stage.run(), 1)


@pytest.mark.parametrize("content", ["", "{", "[]", '{"benchmarks": []}', "\x00\x1b[31m::set-output name=a::b\n"])
def test_a_file_that_is_no_run_is_an_error_of_one_line(content: str, stage: Stage) -> None:
    (stage.folder / "artifact" / "run.json").write_text(content)
    line = said(stage.run(), 1)
    assert line.startswith("::error title=torchduet::")
    assert stage.written() == []


def test_a_run_that_is_no_duet_is_an_error(stage: Stage) -> None:
    (stage.folder / "artifact" / "run.json").write_text(json.dumps(make_run(placements=4, visits=0)))
    assert "is no duet" in said(stage.run(), 1)


def test_a_token_that_may_not_write_is_an_error_that_says_so(stage: Stage) -> None:
    stage.put(pulls=[pull(5)], read_only=True)
    assert "Resource not accessible by integration (HTTP 403)" in said(stage.run(), 1)
    assert "GH_TOKEN" in said(stage.run(GH_TOKEN=""), 1)


def test_an_event_of_another_kind_is_refused(stage: Stage) -> None:
    (stage.folder / "event.json").write_text(json.dumps({"pull_request": {"number": 5}}))
    assert "this event is no workflow_run" in said(stage.run(), 1)
