"""A ``gh`` that has the interface of the real one, ``gh api`` as the action uses it, and a repository in a file.

``FAKE_GH`` names a folder: ``state.json`` has ``pulls`` and ``comments``; each call is added to ``calls.jsonl``. Pages
have two items, and each page is a JSON list of its own, as older versions of gh print them.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
from pathlib import Path
from typing import Any

PAGE = 2


def main() -> int:
    folder = Path(os.environ["FAKE_GH"])
    parser = argparse.ArgumentParser(prog="gh")
    parser.add_argument("command", choices=["api"])
    parser.add_argument("path")
    parser.add_argument("--method", choices=["GET", "POST", "PATCH"], required=True)
    parser.add_argument("--paginate", action="store_true")
    parser.add_argument("-f", dest="fields", action="append", default=[])
    parser.add_argument("--input")
    options = parser.parse_args()
    given = sys.stdin.read() if options.input == "-" else ""
    with (folder / "calls.jsonl").open("a") as file:
        file.write(json.dumps({"argv": sys.argv[1:], "stdin": given}) + "\n")
    if not os.environ.get("GH_TOKEN"):
        print("To use GitHub CLI in a GitHub Actions workflow, set the GH_TOKEN environment variable.", file=sys.stderr)
        return 4
    state = json.loads((folder / "state.json").read_text())
    if options.method != "GET" and state.get("read_only"):
        print("gh: Resource not accessible by integration (HTTP 403)", file=sys.stderr)
        return 1
    answer = answered(state, options, dict(field.split("=", 1) for field in options.fields), given)
    if answer is None:
        print("gh: Not Found (HTTP 404)", file=sys.stderr)
        return 1
    (folder / "state.json").write_text(json.dumps(state))
    if isinstance(answer, list):
        pages = [answer[at : at + PAGE] for at in range(0, max(len(answer), 1), PAGE)]
        print(*map(json.dumps, pages if options.paginate else pages[:1]), sep="")
    else:
        print(json.dumps(answer))
    return 0


def answered(state: Any, options: Any, fields: dict[str, str], given: str) -> Any:
    """What the API answers; None: 404."""
    path, method = options.path, options.method
    if method == "GET" and path == "repos/o/r/pulls":
        wanted = [pull for pull in state["pulls"] if pull["state"] == fields.get("state", "open")]
        return [pull for pull in wanted if fields.get("head") in (None, pull["head"]["label"])]
    if method == "GET" and (found := re.fullmatch(r"repos/o/r/pulls/(\d+)", path)):
        return next((pull for pull in state["pulls"] if pull["number"] == int(found[1])), None)
    if found := re.fullmatch(r"repos/o/r/issues/(\d+)/comments", path):
        if method == "GET":
            return [comment for comment in state["comments"] if comment["issue"] == int(found[1])]
        number = 1000 + len(state["comments"])
        state["comments"].append(made(number, int(found[1]), json.loads(given)["body"]))
        return state["comments"][-1]
    if method == "PATCH" and (found := re.fullmatch(r"repos/o/r/issues/comments/(\d+)", path)):
        for comment in state["comments"]:
            if comment["id"] == int(found[1]):
                comment["body"] = json.loads(given)["body"]
                return comment
    return None


def made(number: int, issue: int, body: str, login: str = "github-actions[bot]") -> dict[str, Any]:
    """A comment as the API has it."""
    return {"id": number, "issue": issue, "body": body, "user": {"login": login}}


if __name__ == "__main__":
    sys.exit(main())
