"""Writes what a duet found as a comment on its pull request, or replaces the comment that an earlier run wrote.

It runs in a ``workflow_run`` workflow, which may write, for a run that may be of a fork. So the artifact of that run is
read as data: Torchduet makes the text anew from ``run.json``, and the pull request is the one that the event and the
API name. Standard library and the ``gh`` command line only. Exit codes: 0, also if there is nothing to do; 1 if
something failed, with one line.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

MARKER = "<!-- torchduet -->"  # the first line of each comment
MAX_BYTES = 32 * 2**20  # of run.json: a duet of 100 cases has a few MiB
MAX_COMMENT = 65_536  # characters, GitHub's limit
MAX_SECONDS = 120  # for each command
SHA = re.compile(r"[0-9a-f]{40}([0-9a-f]{24})?")
REPOSITORY = re.compile(r"[A-Za-z0-9-]+/[A-Za-z0-9._-]+")


class CommentError(Exception):
    """No comment can be written; the message is one line."""


class NothingToDoError(Exception):
    """There is nothing to comment on; the message says why."""


def main(environment: Mapping[str, str] = os.environ) -> int:
    """Write the comment; returns the exit code."""
    try:
        print(written(environment))
    except NothingToDoError as reason:
        print(f"::notice title=torchduet::{_one_line(reason)}")
    except CommentError as error:
        print(f"::error title=torchduet::{_one_line(error)}")
        return 1
    return 0


def written(environment: Mapping[str, str]) -> str:
    """Write the comment for the event of this workflow; returns what was done.

    Args:
        environment: GITHUB_EVENT_PATH, GITHUB_REPOSITORY and GITHUB_SERVER_URL of the runner; COMMENT_FOLDER, where the
            artifact is; COMMENT_TORCHDUET, the command that renders; COMMENT_AUTHOR; COMMENT_QUIET.
    """
    event = json.loads(Path(environment["GITHUB_EVENT_PATH"]).read_text("utf-8"))
    run = event.get("workflow_run")
    if not isinstance(run, dict):
        raise CommentError("this event is no workflow_run; docs/pull-requests.md of Torchduet has the workflow")
    if run["event"] != "pull_request":
        raise NothingToDoError(f"the run was started by {run['event']}, not by a pull request")
    repository = environment["GITHUB_REPOSITORY"]
    number = pull_request(run, repository)
    link = f"{environment.get('GITHUB_SERVER_URL', 'https://github.com')}/{repository}/actions/runs/{int(run['id'])}"
    text = rendered(
        file_of(Path(environment["COMMENT_FOLDER"])), f"{link}#artifacts", environment.get("COMMENT_TORCHDUET")
    )
    earlier = earlier_comment(repository, number, environment.get("COMMENT_AUTHOR") or "github-actions[bot]")
    if earlier is None:
        if environment.get("COMMENT_QUIET") == "true" and nothing_moved(text):
            return f"Nothing moved, so pull request {number} gets no comment."
        api("POST", f"repos/{repository}/issues/{number}/comments", text)
        return f"Pull request {number} has a new comment."
    if earlier["body"].replace("\r\n", "\n").strip() == text.strip():
        return f"The comment on pull request {number} is the same as before."
    api("PATCH", f"repos/{repository}/issues/comments/{int(earlier['id'])}", text)
    return f"The comment on pull request {number} is replaced."


def pull_request(run: Mapping[str, Any], repository: str) -> int:
    """The number of the pull request whose newest commit the run was for.

    GitHub lists the pull requests in the event, but none of forks; these are found by their branch.

    Raises:
        NothingToDoError: there is none, or more than one.
    """
    sha, head = run["head_sha"], (run.get("head_repository") or {}).get("full_name")
    if not SHA.fullmatch(sha) or not isinstance(head, str) or not REPOSITORY.fullmatch(head):
        raise NothingToDoError("the run names no commit, or no repository that still exists")
    numbers = [int(pull["number"]) for pull in run.get("pull_requests") or ()]
    if numbers:
        pulls = [pull for number in numbers for pull in read(f"repos/{repository}/pulls/{number}")]
    else:
        branch = f"{head.partition('/')[0]}:{run['head_branch']}"
        pulls = list(read(f"repos/{repository}/pulls", state="open", head=branch))
    found = sorted({int(pull["number"]) for pull in pulls if _is_of(pull, sha, head, repository)})
    if not found:
        raise NothingToDoError(f"no open pull request has {sha[:12]} as its newest commit; perhaps it has newer ones")
    if len(found) > 1:
        raise NothingToDoError(f"{len(found)} pull requests have this commit, and the run says not for which it was")
    return found[0]


def _is_of(pull: Mapping[str, Any], sha: str, head: str, repository: str) -> bool:
    """Whether an open pull request to this repository has that commit of that repository as its newest."""
    names = [(pull[side].get("repo") or {}).get("full_name") for side in ("head", "base")]
    return pull["state"] == "open" and pull["head"]["sha"] == sha and names == [head, repository]


def file_of(folder: Path) -> Path:
    """The run's file in the artifact's folder, which anyone may have made.

    Raises:
        NothingToDoError: there is none.
        CommentError: it is no file, or too large.
    """
    path = folder / "run.json"
    if path.is_symlink() or (path.exists() and not path.is_file()):
        raise CommentError("the artifact's run.json is no file")
    if not path.exists():
        raise NothingToDoError("the run has no artifact with a run.json, so nothing was measured; its log says why")
    if (size := path.stat().st_size) > MAX_BYTES:
        raise CommentError(f"the artifact's run.json has {size:,} bytes, more than {MAX_BYTES:,}")
    return path


def rendered(path: Path, link: str, torchduet: str | None) -> str:
    """The comment's text, made by this Torchduet.

    Raises:
        CommentError: the file is no duet, or the text is none that may be posted.
    """
    text = _output([torchduet or "torchduet", "render", str(path), "--comment", "-", "--link", link])
    if not text.startswith(f"{MARKER}\n") or len(text) > MAX_COMMENT:
        raise CommentError("torchduet render wrote no comment")
    return text


def nothing_moved(text: str) -> bool:
    """Whether a comment has one line only, beside its marker."""
    return len(text.splitlines()) == 2


def earlier_comment(repository: str, number: int, author: str) -> dict[str, Any] | None:
    """The first comment with the marker that this author wrote: others may write one that looks like it."""
    for found in read(f"repos/{repository}/issues/{number}/comments"):
        by = (found.get("user") or {}).get("login")
        if by == author and (found.get("body") or "").splitlines()[:1] == [MARKER]:
            return dict(found)
    return None


def read(path: str, **query: str) -> Iterator[dict[str, Any]]:
    """The items of all pages of a list, or the one object, that GitHub has at a path of its API."""
    fields = [word for item in {**query, "per_page": "100"}.items() for word in ("-f", "=".join(item))]
    text = _output(["gh", "api", "--method", "GET", "--paginate", path, *fields]).strip()
    decoder = json.JSONDecoder()
    while text:  # versions of gh differ: one list, or a list for each page
        try:
            page, end = decoder.raw_decode(text)
        except ValueError:
            raise CommentError(f"gh api {path}: the answer is not JSON") from None
        yield from page if isinstance(page, list) else [page]
        text = text[end:].lstrip()


def api(method: str, path: str, body: str) -> None:
    """Send a comment's text."""
    _output(["gh", "api", "--method", method, path, "--input", "-"], json.dumps({"body": body}))


def _output(command: Sequence[str], given: str = "") -> str:
    """What a command prints.

    Raises:
        CommentError: it is missing, fails or takes too long; the message has its last line.
    """
    try:
        done = subprocess.run(command, input=given.encode(), capture_output=True, check=False, timeout=MAX_SECONDS)
    except FileNotFoundError:
        raise CommentError(f"there is no command {command[0]}") from None
    except subprocess.TimeoutExpired:
        raise CommentError(f"{command[0]} took more than {MAX_SECONDS} s") from None
    if done.returncode:
        lines = done.stderr.decode(errors="replace").split("\n")
        last = next((line for line in reversed(lines) if line.strip()), "it gives no reason")
        raise CommentError(f"{' '.join(command[:2])} failed with {done.returncode}: {last}")
    return done.stdout.decode(errors="replace")


def _one_line(reason: Exception) -> str:
    """A message that starts no command of the workflow's log."""
    text = " ".join(str(reason).split())[:500]
    return "".join(letter if letter.isprintable() else "?" for letter in text).replace("%", "%25")


if __name__ == "__main__":
    sys.exit(main())
