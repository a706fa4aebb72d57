"""The actions and ``docs/pull-requests.md``: no input is part of a script, rights are few, tables are complete."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from json import dumps, loads
from pathlib import Path
from typing import Any

import pytest

from tests.reports.made_duet import duet_of
from tests.reports.sample import make_run

ROOT = Path(__file__).parents[2]
ACTIONS = {
    name: (ROOT / ".github" / "actions" / name / "action.yml").read_text("utf-8") for name in ("duet", "comment")
}
PAGE = (ROOT / "docs" / "pull-requests.md").read_text("utf-8")
BLOCKS = re.findall(r"```(\w+)\n(.*?)```", PAGE, re.S)
WORKFLOWS = {
    found[1]: code
    for kind, code in BLOCKS
    if kind == "yaml" and (found := re.match(r"# (\.github/workflows/[\w-]+\.yml)\n", code))
}
OWN_WORKFLOWS = {path.name: path.read_text("utf-8") for path in (ROOT / ".github" / "workflows").glob("*.yml")}
ALL = {**ACTIONS, **WORKFLOWS, **OWN_WORKFLOWS}


def scripts(text: str) -> list[str]:
    """The scripts after ``run:`` of YAML in block style."""
    found, lines = [], text.splitlines()
    for number, line in enumerate(lines):
        if not (start := re.match(r"( *)(- )?run: *(.*)", line)):
            continue
        indent = len(start[1]) + len(start[2] or "")
        script = [start[3]]
        for later in lines[number + 1 :]:
            if later.strip() and len(later) - len(later.lstrip()) <= indent:
                break
            script.append(later)
        found.append("\n".join(script))
    return found


def section(text: str, name: str) -> str:
    """The lines below a top-level key."""
    found = re.search(rf"^{name}:(.*?)(?=^\S|\Z)", text, re.M | re.S)
    assert found, name
    return found[1]


def keys(text: str, indent: int = 2) -> list[str]:
    return re.findall(rf"^ {{{indent}}}([\w-]+):", text, re.M)


def test_scripts_are_found() -> None:
    assert scripts("steps:\n  - run: |\n      a\n\n      b\n    env: {}\n  - run: c\n") == [
        "|\n      a\n\n      b",
        "c",
    ]
    assert len(scripts(ACTIONS["duet"])) == 1
    assert len(scripts(ACTIONS["comment"])) == 2
    assert set(WORKFLOWS) == {".github/workflows/speed.yml", ".github/workflows/speed-comment.yml"}


@pytest.mark.parametrize("name", ALL)
def test_no_script_has_an_expression_in_it(name: str) -> None:
    """An input, or a title of a pull request, would be run as code."""
    assert [script for script in scripts(ALL[name]) if "${{" in script] == []
    assert "pull_request_target" not in ALL[name]


@pytest.mark.parametrize("name", ALL)
def test_yaml_is_what_it_seems(name: str) -> None:
    yaml = pytest.importorskip("yaml", reason="PyYAML parses the file as GitHub does; the other tests need no parser")
    document = yaml.safe_load(ALL[name])
    jobs = [document["runs"]] if name in ACTIONS else document["jobs"].values()
    steps = [step for job in jobs for step in job["steps"]]
    assert [step["run"].strip() for step in steps if "run" in step] == [
        re.sub(r"^ +", "", script.removeprefix("|"), flags=re.M).strip() for script in scripts(ALL[name])
    ]
    assert all("run" in step or "uses" in step for step in steps)
    if name in ACTIONS:
        assert all(step["shell"] == "bash" for step in steps if "run" in step)
        assert all(isinstance(given.get("default", ""), str) for given in document["inputs"].values())


def test_the_workflow_that_runs_foreign_code_can_only_read() -> None:
    text = WORKFLOWS[".github/workflows/speed.yml"]
    assert section(text, "permissions").split("\n")[1:-1] == ["  contents: read"]
    assert "\non: pull_request\n" in text
    assert "secrets" not in text


def test_the_workflow_that_may_write_runs_no_foreign_code() -> None:
    text = WORKFLOWS[".github/workflows/speed-comment.yml"]
    assert section(text, "permissions").split("\n")[1:-1] == ["  actions: read", "  pull-requests: write"]
    assert re.findall(r"uses: (.*)", text) == ["torchduet/torchduet/.github/actions/comment@v1"]
    assert scripts(text) == []
    assert "checkout" not in ACTIONS["comment"]
    name = re.search(r"^name: (.*)$", WORKFLOWS[".github/workflows/speed.yml"], re.M)
    assert name
    assert f"workflows: [{name[1]}]" in text


def test_all_inputs_reach_the_script_as_variables() -> None:
    script = (ROOT / ".github" / "actions" / "duet" / "duet.sh").read_text("utf-8")
    inputs = [name for name in keys(section(ACTIONS["duet"], "inputs")) if name != "artifact"]
    for name in inputs:
        variable = f"DUET_{name.upper().replace('-', '_')}"
        assert f"{variable}: ${{{{ inputs.{name} }}}}" in ACTIONS["duet"]
        assert f"${{{variable}" in script
    used = set(re.findall(r"\$\{(DUET_\w+)", script))
    assert used == {*re.findall(r"^ +(DUET_\w+):", ACTIONS["duet"], re.M)}


@pytest.mark.parametrize("name", ACTIONS)
def test_the_page_has_every_input_with_its_default(name: str) -> None:
    text = section(ACTIONS[name], "inputs")
    table = PAGE[PAGE.index(f"| input of `{name}` |") :].split("\n\n")[0]
    rows = {row[0]: row[1] for row in re.findall(r"^\| `([\w-]+)` \| (.*?) \|", table, re.M)}
    assert list(rows) == keys(text)
    for given in rows:
        default = re.search(rf"^  {given}:\n(?:    .*\n)*?    default: (.*)$", text, re.M)
        value = default[1].strip('"').removeprefix("${{ ").removesuffix(" }}") if default else "required"
        assert not value or value in rows[given].strip("`"), given


def test_the_page_has_every_output() -> None:
    table = PAGE[PAGE.index("| output of `duet` |") :].split("\n\n")[0]
    assert set(re.findall(r"`([\w-]+)`(?=[,` \w]*\|)", table.partition("\n")[2])) >= set(
        keys(section(ACTIONS["duet"], "outputs"))
    )


@pytest.mark.skipif(not shutil.which("bash"), reason="needs bash")
def test_shell_of_the_page_is_valid() -> None:
    for kind, code in BLOCKS:
        if kind == "sh":
            subprocess.run(["bash", "-n"], input=code.encode(), check=True)


@pytest.mark.skipif(not shutil.which("sh"), reason="needs a shell")
@pytest.mark.parametrize(("code", "expected"), [(0, 0), (1, 1), (2, 2), (3, 0)])
def test_the_hook_refuses_a_push_only_for_a_reason(code: int, expected: int, tmp_path: Path) -> None:
    hook = next(text for kind, text in BLOCKS if kind == "sh" and "pre-push" in text)
    (tmp_path / "torchduet").write_text(f"#!/bin/sh\nexit {code}\n")
    (tmp_path / "torchduet").chmod(0o755)
    environment = {"PATH": f"{tmp_path}:{os.environ['PATH']}"}
    assert subprocess.run(["sh"], input=hook.encode(), env=environment, check=False).returncode == expected


# --- The script for GitLab, against a stand-in for its API.

SHA = "c" * 40


class GitLab(BaseHTTPRequestHandler):
    """Two merge requests of a project; one of them has a pipeline of its newest commit, and notes on two pages."""

    server: Any

    def do_GET(self) -> None:
        path, _, query = self.path.partition("?")
        page = int(re.findall(r"page=(\d+)$", query)[0]) if query else 1
        lists = {
            "/projects/1/merge_requests": [{"iid": 4, "sha": SHA}, {"iid": 5, "sha": "d" * 40}],
            "/projects/1/merge_requests/4/pipelines": [
                {"id": 12, "sha": "b" * 40, "project_id": 9},
                {"id": 11, "sha": SHA, "project_id": 9},
            ],
            "/projects/1/merge_requests/5/pipelines": [],
            "/projects/9/pipelines/11/jobs": [
                {"id": 20, "name": "tests", "status": "success"},
                {"id": 21, "name": "duet", "status": "failed", "web_url": "https://gitlab.example/jobs/21"},
            ],
            "/projects/1/merge_requests/4/notes": self.server.notes,
        }
        if path == "/user":
            self._answer({"id": 3})
        elif path == "/projects/9/jobs/21/artifacts/duet/run.json":
            self._answer(self.server.document)
        elif path in lists:
            self._answer(lists[path][2 * page - 2 : 2 * page])  # pages of two
        else:
            self.send_error(404)

    def do_POST(self) -> None:
        self._write()

    def do_PUT(self) -> None:
        self._write()

    def _write(self) -> None:
        body = loads(self.rfile.read(int(self.headers["Content-Length"])))["body"]
        self.server.written.append((self.command, self.path, body, self.headers["PRIVATE-TOKEN"]))
        self._answer({})

    def _answer(self, content: Any) -> None:
        data = dumps(content).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: Any) -> None:
        """Nothing."""


@pytest.fixture
def gitlab() -> Iterator[Any]:
    server: Any = HTTPServer(("127.0.0.1", 0), GitLab)
    server.notes, server.written = [], []
    server.document = duet_of(make_run(placements=4, visits=0), "slower", "same")
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def notes(gitlab: Any, folder: Path) -> subprocess.CompletedProcess[str]:
    code = next(text for kind, text in BLOCKS if kind == "python" and text.startswith("# ci/notes.py\n"))
    (folder / "notes.py").write_text(code)
    (folder / "torchduet").write_text(f'#!/bin/sh\nPYTHONPATH="{ROOT}" exec "{sys.executable}" -m torchduet "$@"\n')
    (folder / "torchduet").chmod(0o755)
    environment = {
        **os.environ,
        "PATH": f"{folder}:{os.environ['PATH']}",
        "CI_API_V4_URL": f"http://127.0.0.1:{gitlab.server_port}",
        "CI_PROJECT_ID": "1",
        "NOTE_TOKEN": "token",
        "no_proxy": "127.0.0.1",
    }
    command = [sys.executable, "notes.py"]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=60)


def by(author: int, number: int, body: str) -> dict[str, Any]:
    return {"id": number, "author": {"id": author}, "body": body}


def test_a_merge_request_gets_one_note(gitlab: Any, tmp_path: Path) -> None:
    gitlab.notes = [by(1, 30, "<!-- torchduet -->\nforged"), by(3, 31, "else"), by(1, 32, "Nice")]
    done = notes(gitlab, tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    ((method, path, body, token),) = gitlab.written
    assert (method, path, token) == ("POST", "/projects/1/merge_requests/4/notes", "token")
    assert body.startswith("<!-- torchduet -->\n**`layers.case_0` takes 1.08 times as long")
    assert "[Report](<https://gitlab.example/jobs/21>)" in body
    gitlab.notes.append(by(3, 33, body.strip()))
    assert notes(gitlab, tmp_path).returncode == 0
    assert len(gitlab.written) == 1
    gitlab.notes[-1]["body"] = "<!-- torchduet -->\nolder"
    assert notes(gitlab, tmp_path).returncode == 0
    assert gitlab.written[1][:2] == ("PUT", "/projects/1/merge_requests/4/notes/33")


def test_a_file_that_is_no_duet_is_named_with_its_merge_request(gitlab: Any, tmp_path: Path) -> None:
    gitlab.document = {"benchmarks": []}
    done = notes(gitlab, tmp_path)
    assert done.returncode == 1
    assert done.stdout.startswith("!4: ")
    assert gitlab.written == []
