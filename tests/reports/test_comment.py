"""A comment on a pull request: the answer first, at most 20 lines, and no text of the file becomes Markdown."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.reports.made_duet import duet_of
from tests.reports.refusals import refused
from tests.reports.sample import empty_run, make_run
from torchduet.__main__ import main
from torchduet.bench.record.schema import KEY
from torchduet.reports.markdown.comment import MARKER, MAX_LINES, CommentError, comment
from torchduet.reports.read.run_file import from_json
from torchduet.reports.text.escaping import MAX_SPAN, code_span

GITHUBS_LIMIT = 65_536  # characters of a comment
NASTY = (
    "@torvalds",
    "#12",
    "GH-12",
    "owner/repo#1",
    "0123456789abcdef0123456789abcdef01234567",
    "https://example.org",
    "www.example.org",
    "someone@example.org",
    ":rocket:",
    "a|b",
    "a\\|b",
    "a\\\\|b",
    "| --- |\n| x |",
    "`code`",
    "``` \n# heading",
    "`" * 90,
    "a`" * 40,
    "$`x`$",
    "$",
    "<img src=x onerror=alert(1)>",
    "--> <!-- torchduet -->",
    "**bold** [link](javascript:alert(1))",
    "![image](https://example.org/x.png)",
    "/close",
    "\u202egnp.exe",
    "a\u200bb\u2066c\U000e0041",
    "\x1b[31mred\x07",
    "e" + "\u0301" * 500,
    "\u2028- [ ] task",
    "x" * 5000,
    " ",
    "",
    "\\",
    "&lt;b&gt;",
    "～字 😀",
)


@pytest.fixture(scope="module")
def document() -> Any:
    return make_run()


def text_of(document: Any, link: str | None = None) -> str:
    text = comment(from_json(document), link)
    assert text.startswith(f"{MARKER}\n")
    assert len(text.splitlines()) <= MAX_LINES
    return text.removeprefix(f"{MARKER}\n")


def answer(document: Any, *verdicts: str, **more: int) -> str:
    return text_of(duet_of(document, *verdicts, **more)).splitlines()[0]


def test_one_slower_case_is_named_with_its_factor(document: Any) -> None:
    assert answer(document, *["same"] * 11, "slower", "unclear", "unclear") == (
        "**`layers.case_11` takes 1.08 times as long (1.07 to 1.10)**; 11 same, 2 unclear (noise)."
    )


def test_a_variable_of_one_side_is_what_the_answer_is_about(document: Any) -> None:
    duet = duet_of(document, "slower", "same", "same")
    base, against = duet[KEY]["against"]["base"], duet[KEY]["against"]["against"]
    base.update(rev=None, python=against["python"], env={"A": "@torvalds"}, label="A=@torvalds")
    del base["commit"], against["commit"], against["uncommitted"]
    assert text_of(duet).splitlines()[0] == ("**With `A=@torvalds`: 1.08× as fast in 1 of 3 cases; 2 are the same**.")


def test_several_cases_are_counted_and_listed_slower_first(document: Any) -> None:
    text = text_of(duet_of(document, "faster", "same more", "slower", "same", "slower", "unclear", "same less"))
    assert text.splitlines()[0] == (
        "**2 of 7 cases are slower, 1 faster, 1 needs more memory, 1 needs less memory**; 1 same, 1 unclear (noise)."
    )
    rows = [line for line in text.splitlines() if line.startswith("| `")]
    assert [re.findall(r"case_\d", row)[0][-1] for row in rows] == ["2", "4", "0", "1", "6"]
    assert rows[0] == "| `layers.case_2` | 1.00 ms | 1.08 ms | 1.08 (1.07 to 1.10), slower | 10.0 MiB |"
    assert rows[3] == "| `layers.case_1` | 1.00 ms | 1.00 ms | 1.00 (0.995 to 1.005), same | 10.0 MiB → 15.0 MiB |"


@pytest.mark.parametrize(
    ("verdict", "says"),
    [
        ("same more", "**`layers.case_0` needs more memory, 15.0 MiB instead of 10.0 MiB**; 1 same."),
        ("faster less", "**`layers.case_0` takes 0.80 times as long (0.78 to 0.82) and needs less memory, 5.00 MiB "
         "instead of 10.0 MiB**; 1 same."),
    ],
)  # fmt: skip
def test_a_change_of_memory_is_part_of_the_answer(document: Any, verdict: str, says: str) -> None:
    assert answer(document, verdict, "same") == says


def test_memory_that_is_not_known_has_no_column(document: Any) -> None:
    made = duet_of(document, "slower", "same")
    for benchmark in made["benchmarks"]:
        del benchmark["extra_info"][KEY]["against"]["base_peak_bytes"]
    assert "| case | base | new | times as long (interval) |\n" in text_of(made)


def test_where_no_case_has_another_verdict_the_unclear_ones_are_shown(document: Any) -> None:
    text = text_of(duet_of(document, "blind few", "blind", "same more", "unclear"))
    assert "No verdict" not in text
    rows = [line for line in text.splitlines() if line.startswith("| `")]
    first, *others = [row.split("`")[1] for row in rows]
    assert first == "layers.case_2"
    assert sorted(others) == ["layers.case_0", "layers.case_1", "layers.case_3"]
    assert all("unclear" in row for row in rows[1:])
    moved = text_of(duet_of(document, "slower", "unclear"))
    assert [line.split("`")[1] for line in moved.splitlines() if line.startswith("| `")] == ["layers.case_0"]


def test_eight_rows_are_shown_and_the_others_counted(document: Any) -> None:
    text = text_of(duet_of(document, *["slower"] * 11, "slower control", failed=2, skipped=1), "https://example.org/r")
    assert text.count("| `layers.") == 8
    assert "- 3 more in the report." in text
    assert text.startswith("**All 11 cases are slower**; 2 failed, 1 skipped.")
    assert text.endswith("- [Report](<https://example.org/r>)\n")
    assert len(text.splitlines()) == MAX_LINES - 1


@pytest.mark.parametrize("verdicts", [["same"], ["same"] * 5, ["same", "unclear"], ["same", "same control"]])
def test_if_nothing_moved_there_is_one_line(document: Any, verdicts: list[str]) -> None:
    (line,) = text_of(duet_of(document, *verdicts, skipped=1), "https://example.org/r").splitlines()
    assert "1 skipped" in line
    assert "Base `1a2b3c4` (`main`)." in line
    assert line.endswith(" [Report](<https://example.org/r>)")


def test_no_change_is_said_only_if_all_are_the_same(document: Any) -> None:
    assert answer(document, "same", "same").startswith("**No change**: 2 cases are the same (±2 %).")
    assert answer(document, "same", "unclear") == (
        "**None of 2 cases is surely slower or faster** (±2 %): 1 same, 1 unclear (noise). Base `1a2b3c4` (`main`)."
    )


def test_a_single_unclear_case_is_named(document: Any) -> None:
    assert answer(document, "unclear").startswith(
        "**`layers.case_0` is not surely slower or faster** (±2 %): 1 unclear"
    )


def test_without_a_verdict_the_comment_says_so(document: Any) -> None:
    for verdicts in (["blind"], ["blind"] * 3, ["unclear few"] * 3, ["blind", "blind more"], ["same control"]):
        text = text_of(duet_of(document, *verdicts))
        assert re.match(r"\*\*No (verdict|case)", text)
        assert "No change" not in text
        assert len(text.splitlines()) > 1
    assert answer(document, "blind", "blind", failed=1) == (
        "**No verdict is possible on any of 2 cases** (noise); they take between 0.50 and 2.00 times as long; 1 failed."
    )
    assert answer(document, "unclear few", "unclear few") == (
        "**No verdict is possible on any of 2 cases** (too few pairs; raise `--budget`)."
    )
    assert answer(document, "blind") == (
        "**No verdict is possible on `layers.case_0`** (noise); it takes between 0.50 and 2.00 times as long."
    )
    # A slow-down by half would have been seen: exit code 0.
    assert answer(document, "unclear").startswith("**`layers.case_0` is not surely slower or faster**")
    assert answer(document, *["unclear"] * 3).startswith("**None of 3 cases")


def test_a_run_in_which_nothing_was_measured_says_so(document: Any) -> None:
    made = duet_of(document, failed=2)
    assert answer(document, failed=2).startswith("**No case was measured on both sides**, so nothing is known")
    assert "- Not measured: 2 failed (`layers.failed_0`: `raised`)." in text_of(made)


def test_a_failed_case_is_part_of_the_answer(document: Any) -> None:
    text = text_of(duet_of(document, "same", "same", failed=1, skipped=2))
    assert text.splitlines()[0] == "**No change**: 2 cases are the same (±2 %), 1 failed, 2 skipped."
    assert "- Not measured: 1 failed (`layers.failed_0`: `raised`), 2 skipped (`layers.skipped_0`: `no GPU`)." in text


def test_a_run_that_ended_early_says_so(document: Any) -> None:
    made = duet_of(document, "same")
    made[KEY]["unreached"] = ["layers.later"]
    assert "1 not reached (`layers.later`: `the run ended before their turn`)" in text_of(made)


@pytest.mark.parametrize(
    ("controls", "line"),
    [
        (["same", "same"], "- 2 controls, which import none of the changed files, are the same."),
        (["same"], "- 1 control, which imports none of the changed files, is the same."),
        (["same", "unclear"], "- 2 controls, which import none of the changed files, did not move: 1 same, 1 unclear."),
        (["slower", "same"], "- 1 of 2 controls moved, although it imports none of the changed files: `layers.case_1` "
         "takes 1.08 times as long (1.07 to 1.10); so the machine may have changed, too."),
    ],
)  # fmt: skip
def test_controls_have_a_line_of_their_own(document: Any, controls: list[str], line: str) -> None:
    text = text_of(duet_of(document, "slower", *(f"{verdict} control" for verdict in controls)))
    assert text.splitlines()[0] == "**`layers.case_0` takes 1.08 times as long (1.07 to 1.10)**."
    assert line in text.splitlines()


def test_a_control_that_moved_is_shown_even_if_no_case_did(document: Any) -> None:
    assert "although it imports none" in text_of(duet_of(document, "same", "faster control"))


def test_the_commits_and_the_machine_are_named(document: Any) -> None:
    made = duet_of(document, "slower")
    made[KEY]["noise"] = {"grade": "noisy", "causes": []}
    text = text_of(made)
    assert "- Base `1a2b3c4` (`main`), new `5d6e7f8` with 3 uncommitted files." in text
    assert "- `Example CPU @ 2.40 GHz`, torch `2.9.1`, 1 thread; the machine was noisy." in text


def test_sides_without_a_commit_are_named_by_their_labels(document: Any) -> None:
    made = duet_of(document, "slower")
    for side, torch in (("base", "2.12.0"), ("against", "2.13.0")):
        del made[KEY]["against"][side]["commit"]
        made[KEY]["against"][side]["torch"] = torch
    text = text_of(made)
    assert "- Base `torch 2.12.0`, new `torch 2.13.0`." in text
    assert "torch `2.12.0` → `2.13.0`" in text


def test_results_that_were_not_checked_are_marked(document: Any) -> None:
    made = duet_of(document, "slower")
    made["benchmarks"][0]["extra_info"][KEY]["check"]["what"] = "nothing"
    assert "| `layers.case_0`, not checked |" in text_of(made)


@pytest.mark.parametrize(
    "link",
    [
        *("javascript:alert(1)", "file:///x", "example.org", "", "https://", "https://a b", "https://a/\n# x"),
        *("https://a/>x", "https://a/<x", "https://a/`", "https://a/\\", "https://a/|", "https://a/" + "x" * 3000),
    ],
)
def test_a_link_that_is_no_address_is_refused(document: Any, link: str) -> None:
    with pytest.raises(CommentError, match="no address that begins with http"):
        comment(from_json(duet_of(document, "same")), link)


def test_an_address_stays_as_it_is(document: Any) -> None:
    link = "https://example.org:8080/a/(b)?c=1&copy;=2#artifacts"
    assert "[Report](<https://example.org:8080/a/(b)?c=1&amp;copy;=2#artifacts>)" in text_of(
        duet_of(document, "slower"), link
    )


# --- What comes from the measured project stays text.


def outside(text: str) -> str:
    """The text without its code spans, read as CommonMark reads them: a fence ends at the next of its length."""
    return re.sub(r"(?<!`)(`+)(?!`)(.*?)(?<!`)\1(?!`)", "◆", text)


def shown(span: str, *, table: bool) -> str:
    """What a reader sees of a code span."""
    found = re.fullmatch(r"(`+)(?!`)(.*?)(?<!`)\1", span)
    assert found
    inner = found.group(2)
    if inner != " " * len(inner) and inner[0] == inner[-1] == " ":
        inner = inner[1:-1]
    return inner.replace("\\|", "|") if table else inner


@pytest.mark.parametrize("table", [False, True])
@pytest.mark.parametrize("name", NASTY)
def test_a_nasty_name_is_one_code_span(name: str, table: bool) -> None:
    check_span(name, table)


@given(st.text(st.one_of(st.sampled_from("`|\\$ \n@#<>\u202e\u0301"), st.characters()), max_size=200), st.booleans())
def test_any_text_is_one_code_span(name: str, table: bool) -> None:
    check_span(name, table)


def check_span(name: str, table: bool) -> None:
    span = code_span(name, table=table)
    assert outside(f"a {span} b") == "a ◆ b"
    assert span.isprintable()
    seen = shown(span, table=table)
    assert 1 <= len(seen) <= MAX_SPAN
    assert len(re.match("`+", span).group()) <= 9  # type: ignore[union-attr]
    assert not re.search("[\u0300-\u036f]{3}", span)
    if table:
        assert not re.search(r"(?<!\\)\||\\\\\|", span)  # each | is escaped, and by exactly one backslash
    if name.isascii() and name.isprintable() and "`" not in name and "\\|" not in name and 0 < len(name) <= MAX_SPAN:
        assert seen == (" ".join(name.split()) or "(empty)")


def everything_named(document: Any, name: str) -> Any:
    """A duet in which all text that a project chooses is this one."""
    made = duet_of(document, "slower", "faster", "same", "slower control", failed=1, skipped=1)
    for number, benchmark in enumerate(made["benchmarks"]):
        benchmark["extra_info"][KEY]["case"]["id"] = name if number == 0 else f"{name}{number}"
    about = made[KEY]
    for entry in (*about["failed"], *about["skipped"]):
        entry["case"]["id"] = entry["reason"] = name
    for side in ("base", "against"):
        about["against"][side].update(label=name, rev=name, commit=name, torch=name)
    about["machine"].update(cpu=name, gpu=name)
    return made


def lines_outside(document: Any) -> list[str]:
    return [outside(line) for line in text_of(document).splitlines()]


def plain_lines(document: Any) -> list[str]:
    return lines_outside(everything_named(document, "harmless"))


@pytest.mark.parametrize("name", NASTY)
def test_nasty_names_change_nothing_of_the_comment_around_them(document: Any, name: str) -> None:
    made = everything_named(document, name or " ")
    assert lines_outside(made) == plain_lines(document)
    assert len(comment(from_json(made), "https://example.org/" + "x" * 1900)) < GITHUBS_LIMIT


@given(st.text(st.one_of(st.sampled_from("`|\\$ \n@#<>"), st.characters(codec="utf-8")), min_size=1, max_size=120))
def test_no_name_whatever_changes_the_comment_around_it(name: str) -> None:
    document = make_small()
    assert lines_outside(everything_named(document, name)) == plain_lines(document)


def make_small() -> Any:
    made = make_run(placements=2, visits=0)
    return {**made, "benchmarks": made["benchmarks"][:4]}


@pytest.mark.parametrize("name", NASTY)
def test_a_parser_of_markdown_sees_text_in_code_and_nothing_else(document: Any, name: str) -> None:
    markdown_it = pytest.importorskip("markdown_it", reason="an independent parser; the tests above need none")
    parser = markdown_it.MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])
    kinds = [kinds_in(parser, everything_named(document, word)) for word in (name or " ", "harmless")]
    assert kinds[0] == kinds[1]
    assert {"code_inline", "td_open"} < set(kinds[0])
    assert not {"html_inline", "image", "link_open"} & set(kinds[0])
    assert kinds[0].count("html_block") == 1  # the marker


def kinds_in(parser: Any, document: Any) -> list[str]:
    tokens = parser.parse(comment(from_json(document)))
    return [kind for token in tokens for kind in (token.type, *(child.type for child in token.children or ()))]


def test_figures_beyond_all_bounds_stay_within_the_limit(document: Any) -> None:
    made = duet_of(document, *["slower"] * 12)
    for benchmark in made["benchmarks"]:
        benchmark["extra_info"][KEY]["against"].update(
            ratio=1e-30, low=1e-30, high=1e-30, base_seconds=1e-30, seconds=9e29, peak_bytes=2**53 - 1
        )
    assert len(comment(from_json(made))) < GITHUBS_LIMIT


# --- The command.


@pytest.fixture
def duet_file(document: Any, tmp_path: Path) -> Path:
    path = tmp_path / "run.json"
    path.write_text(json.dumps(duet_of(document, "slower", "same")), "utf-8")
    return path


def test_render_writes_a_comment(duet_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    target = duet_file.parent / "comment.md"
    assert main(["render", str(duet_file), "--comment", str(target), "--link", "https://example.org/r"]) == 0
    assert capsys.readouterr().out == f"{target}\n"
    assert sorted(path.name for path in duet_file.parent.iterdir()) == ["comment.md", "run.json"]
    assert main(["render", str(duet_file), "--comment", "-", "--link", "https://example.org/r"]) == 0
    assert capsys.readouterr().out == target.read_text("utf-8")


def test_a_file_that_is_no_duet_is_refused_in_one_line(
    run_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "is no duet, so no two sides are compared" in refused(capsys, "render", str(run_file), "--comment", "-")
    (tmp_path / "empty.json").write_text(json.dumps(empty_run()), "utf-8")
    assert "is no duet" in refused(capsys, "render", str(tmp_path / "empty.json"), "--comment", "-")


def test_a_link_is_refused_before_anything_is_written(duet_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = str(duet_file.parent / "r.html")
    assert "give --comment FILE" in refused(capsys, "render", str(duet_file), "-o", page, "--link", "https://a")
    says = refused(capsys, "render", str(duet_file), "-o", page, "--comment", "-", "--link", "ftp://a")
    assert "--link ftp://a: is no address" in says
    assert not Path(page).exists()


@pytest.mark.parametrize("other", ["-o", "--markdown"])
def test_two_outputs_never_replace_each_other(other: str, duet_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    target = str(duet_file.parent / "c.md")
    says = refused(capsys, "render", str(duet_file), other, target, "--comment", target)
    assert f"is given for both {other} and --comment" in says


def test_a_comment_needs_nothing_but_msgspec(duet_file: Path) -> None:
    """The job that writes comments installs Torchduet without PyTorch, numpy and the like."""
    code = (
        "import sys\n"
        "from torchduet.__main__ import main\n"
        f"assert main(['render', {str(duet_file)!r}, '--comment', '-']) == 0\n"
        "print(*sorted({name.partition('.')[0] for name in sys.modules} - set(sys.stdlib_module_names)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    found = {name for name in done.stdout.splitlines()[-1].split() if not name.startswith("_")}
    assert found <= {"msgspec", "torchduet", "typing_extensions"}
