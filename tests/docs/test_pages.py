"""README, CONTRIBUTING and ``docs/``: every block is read by what it is for, every command by our own parsers."""

from __future__ import annotations

import ast
import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from urllib.parse import unquote

import pytest
import torch
import yaml
from markdown_it import MarkdownIt

from tests.docs.markdown import KINDS, ROOT, Block, Command, blocks, commands, ours, pages, text_of
from tests.merge.made_parts import shards
from tests.reports.made_duet import duet_of
from tests.reports.made_history import make_history
from tests.reports.on_machines import on
from tests.reports.sample import make_run
from torchduet import commands as of_torchduet
from torchduet.__main__ import main
from torchduet.bench.plan.shard_variables import OWN_INDEX, OWN_TOTAL
from torchduet.suites.registry import load

OTHERS = {  # first word of a command that is not ours → whether what follows is there
    "pip": lambda words: words[1] in ("install", "wheel"),
    "python": lambda words: words[1] == "-m" and (words[2] == "venv" or module(words[2]).is_file()),
    "git": lambda words: words[1] in ("fetch", "push"),
    "docs/gpu-check.sh": lambda words: (ROOT / words[0]).is_file(),
    "ruff": lambda words: words[1] in ("check", "format"),
    ".": lambda words: words[1].endswith("bin/activate"),
    "[": lambda words: words[-1] == "]",
    "ray": lambda words: words[1] in ("start", "stop", "status"),
    "sbatch": lambda words: words[-1].startswith("torchduet merge ") or words[-1].endswith(".sh"),
    "kubectl": lambda words: words[1] in ("apply", "wait"),
    "exit": lambda words: len(words) == 2,
    "job=VALUE": lambda words: len(words) == 1,
    "code=$?": lambda words: len(words) == 1,
}
READING = ("render", "compare", "merge", "machines", "claims", "export", "history")  # these run in milliseconds
RUNS = [  # commands that measure nothing
    one
    for one in commands()
    if (found := ours(one))
    and {"bench/", "run"} & {*found[1]}
    and {"--collect-only", "--benchmark-disable"} & {*found[1]}
    and "layers.py" not in str(one)
]


def module(name: str) -> Path:
    path = ROOT / name.removeprefix("torchduet.").replace(".", "/")
    return path.with_suffix(".py") if path.with_suffix(".py").is_file() else path / "__main__.py"


def of(kind: str) -> list[Block]:
    return [block for block in blocks() if block.kind == kind]


def shown(value: object) -> str:
    return str(value)


@pytest.mark.parametrize("block", blocks(), ids=shown)
def test_a_block_says_what_it_is(block: Block) -> None:
    """Each kind has a test that reads it."""
    assert block.kind in KINDS


@pytest.mark.parametrize("block", of("python"), ids=shown)
def test_python_is_python(block: Block) -> None:
    ast.parse(block.text, str(block))


@pytest.mark.parametrize("block", [*of("yaml"), *of("toml")], ids=shown)
def test_configuration_can_be_read(block: Block) -> None:
    assert (tomllib.loads if block.kind == "toml" else yaml.safe_load)(block.text)


SUITES = [block for block in of("python") if block.file and "Suite(" in block.text]


@pytest.mark.filterwarnings("ignore:`torch\\.jit:DeprecationWarning")
@pytest.mark.parametrize("block", SUITES, ids=shown)
def test_a_suite_file_registers_its_workloads(block: Block, tmp_path: Path) -> None:
    (tmp_path / block.file).write_text(block.text, "utf-8")
    for suite in load(str(tmp_path / block.file)):
        assert suite.workloads
        for name, suite_size in ((name, size) for name, one in suite.workloads.items() for size in one.sizes("quick")):
            assert suite.workloads[name].make(torch.device("cpu"), suite_size)


PAGES_OWN_TESTS = {  # page → the test that runs its python that is no suite file
    "README.md": "test_readme.py",
    "docs/from-torch-benchmark.md": "library/test_from_torch_benchmark.py",
    "docs/notebook.md": "notebook/test_docs.py",
    "docs/own-tests.md": "own_tests/test_page.py",
    "docs/pull-requests.md": "actions/test_workflows.py",
    "docs/suite-files.md": "docs/test_suite_files.py",
}


def test_python_that_is_no_suite_file_is_run_by_the_test_of_its_page() -> None:
    others = {block.page for block in of("python") if block not in SUITES}
    assert others == set(PAGES_OWN_TESTS)
    for page, test in PAGES_OWN_TESTS.items():
        assert Path(page).name in (ROOT / "tests" / test).read_text("utf-8"), page


def test_every_command_is_one_that_there_is() -> None:
    assert len(commands()) > 100
    for command in commands():
        if ours(command) is None:
            name = re.sub(r"^\.venv/bin/|3$", "", command.words[0])
            assert name in OTHERS, command
            assert OTHERS[name](command.words), command


def test_every_session_of_nox_exists() -> None:
    tree = ast.parse((ROOT / "noxfile.py").read_text("utf-8"))
    sessions = set()
    for function in (node for node in tree.body if isinstance(node, ast.FunctionDef)):
        for decorator in function.decorator_list:
            named = re.search(r"name='([\w-]+)'", ast.unparse(decorator))
            if "nox.session" in ast.unparse(decorator):
                sessions.add(named[1] if named else function.name)
    for command in commands():
        program, arguments = ours(command) or ("", ())
        if program == "nox" and "-s" in arguments:
            words = " ".join(arguments).partition(" -- ")[0].split()
            assert set(words[words.index("-s") + 1 :]) <= sessions, command


def test_every_option_of_a_reading_command_exists(capsys: pytest.CaptureFixture[str]) -> None:
    parser = of_torchduet._parser()
    read = 0
    for command in commands():
        program, arguments = ours(command) or ("", ())
        if program != "torchduet" or arguments[0] == "run":
            continue
        own = arguments[: arguments.index("--")] if arguments[0] == "against" and "--" in arguments else arguments
        if len(own) == 1:  # the command is only named
            own = (*own, "--help")
        try:
            left = parser.parse_known_args(own)[1]
        except SystemExit as end:
            left = [f"exit code {end.code}: {capsys.readouterr().err}"] if end.code else []
        assert left == [], command
        read += 1
    assert read > 30


def test_every_option_and_value_of_a_measuring_command_can_be_used() -> None:
    """pytest reads the options, and our readers the values; nothing is measured."""
    given: list[tuple[Command, list[str]]] = []
    for command in commands():
        program, arguments = ours(command) or ("", ())
        if program == "torchduet" and arguments[0] == "run" and "--once" not in arguments:
            given.append((command, list(arguments[1:])))
        elif program == "torchduet" and arguments[0] == "against" and "--" in arguments:
            given.append((command, list(arguments[arguments.index("--") + 1 :])))
        elif program == "pytest" and "bench/" in arguments:
            given.append((command, [word for word in arguments if word not in ("bench/", "VALUE")]))
    assert len(given) > 40
    done = subprocess.run(
        [sys.executable, "-m", "tests.docs.parsed"],
        input=json.dumps([arguments for _, arguments in given]),
        env={**os.environ, OWN_INDEX: "0", OWN_TOTAL: "8"},  # as a CI system sets them, for --shard auto
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    problems = json.loads(done.stdout.splitlines()[-1])
    assert [f"{command}: {said}" for (command, _), said in zip(given, problems, strict=True) if said] == []


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the files that the pages' commands read."""
    folder = tmp_path_factory.mktemp("pages")
    (folder / "results").mkdir()
    document = make_run(placements=6)
    for name, path in zip(("base", "new", "run", "duets"), make_history(folder / "results", document, 4), strict=True):
        shutil.copy(path, folder / f"{name}.json")
    made = {"duet.json": duet_of(document, "slower", "same", "unclear")}
    made |= {f"shard{number}.json": shard for number, shard in enumerate(shards(3), 1)}
    made |= {f"{name}.json": on(document, cpu=name) for name in ("epyc", "h200", "a100")}
    for name, content in made.items():
        (folder / name).write_text(json.dumps(content), "utf-8")
    return folder


@pytest.mark.parametrize(
    "command",
    [
        one
        for one in commands()
        if (found := ours(one)) and found[0] == "torchduet" and found[1][0] in READING and len(found[1]) > 1
    ],
    ids=shown,
)
def test_a_reading_command_runs(command: Command, results: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if "run.json.journal" in command.words:
        pytest.skip("tests/faults/test_resume.py renders a journal")
    if "history" in command.words:
        pytest.importorskip("ruptures", reason="needs the extra history")
    monkeypatch.chdir(results)
    _, arguments = ours(command) or ("", ())
    try:
        code = main([found for word in arguments for found in _expanded(word.removeprefix("/results/"))])
    except SystemExit as end:  # as --columns, which is like --help
        code = end.code
    assert code in ((0, 1, 3) if "--fail-on" in arguments else (0,))
    if "-o" in arguments:
        assert (results / arguments[arguments.index("-o") + 1]).stat().st_size > 100


def _expanded(word: str) -> list[str]:
    """A word as a shell gives it to a command."""
    found = sorted(path.name for path in Path().glob(word)) if "*" in word else []
    return found or [word]


@pytest.mark.parametrize("command", RUNS, ids=shown)
def test_a_command_that_measures_nothing_runs(command: Command, tmp_path: Path) -> None:
    for block in of("python"):
        if block.file in command.words:
            (tmp_path / block.file).write_text(block.text, "utf-8")
    program, arguments = ours(command) or ("", ())
    words = ["-m", program, *arguments]
    done = subprocess.run(
        [sys.executable, *words],
        cwd=ROOT if program == "pytest" else tmp_path,
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def anchors(text: str) -> set[str]:
    """The anchors that GitHub gives to the headings of a page."""
    tokens = MarkdownIt().parse(text)
    titles = [
        "".join(child.content for child in tokens[index + 1].children or ())
        for index, token in enumerate(tokens)
        if token.type == "heading_open"
    ]
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("page", [*pages(), "CHANGELOG.md"])
def test_every_link_leads_somewhere(page: str) -> None:
    for target in re.findall(
        r"(?<!`)\]\(([^)\s]+)\)", re.sub(r"```.*?```", "", (ROOT / page).read_text("utf-8"), flags=re.S)
    ):
        if target.startswith("https://"):
            continue
        path, _, anchor = unquote(target).partition("#")
        file = ((ROOT / page).parent / path).resolve() if path else ROOT / page
        assert file.exists(), f"{page}: {target}"
        assert file.is_relative_to(ROOT)
        assert not anchor or anchor in anchors(file.read_text("utf-8")), f"{page}: {target}"


def test_every_page_is_reached_from_the_readme() -> None:
    reached, queue = set(), ["README.md"]
    while queue:
        page = queue.pop()
        reached.add(page)
        for target in re.findall(r"\]\(([\w./-]+\.md)(?:#[^)]*)?\)", text_of(page)):
            found = ((ROOT / page).parent / target).resolve().relative_to(ROOT).as_posix()
            if found not in reached and found in pages():
                queue.append(found)
    assert set(pages()) - reached == set()
