"""Text of a file in Markdown: it is shown as it stands, whatever it is; parsers see neither Markdown nor HTML in it."""

import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.reports.rich import make_rich_run
from tests.reports.sample import make_run
from torchduet.reports.markdown.run import markdown
from torchduet.reports.read.run_file import from_json
from torchduet.reports.text.escaping import MAX_INLINE, cell, inline

markdown_it = pytest.importorskip("markdown_it", reason="an independent parser")
PARSER = markdown_it.MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])
EMPTY = "\u200b"

LETTERS = st.one_of(st.sampled_from("`|\\$ \n@#<>&;:/.-+=!_*[]()~%1ax"), st.characters(codec="utf-8"))
SIGNS = st.text(LETTERS, max_size=60)
FORBIDDEN = {"link_open", "image", "html_inline", "html_block", "em_open", "s_open"}
EXAMPLES = (
    "![image](https://example.org/x.png)",
    "[link](javascript:alert(1))",
    "[a]: https://example.org",
    "<img src=x onerror=alert(1)>",
    "<!-- -->",
    "&lt;b&gt; &#64;someone",
    "**bold** _slanted_ __init__ all_reduce ~~gone~~",
    "# heading",
    "- list",
    "12. list",
    "=== ---",
    "***",
    "> quotation",
    "| a | b |",
    "`code | span` and ` another",
    "\\",
    "\\`x`",
    "$`x`$",
    "5 % of -4 and +3",
)


def inlines(tokens: Any) -> Iterator[Any]:
    for token in tokens:
        if token.type == "inline":
            yield from token.children


def shown(tokens: Any) -> str:
    return "".join(token.content for token in inlines(tokens)).replace(EMPTY, "")


def kinds(tokens: Any) -> set[str]:
    return {token.type for token in tokens} | {token.type for token in inlines(tokens)}


def expected(text: str) -> str:
    """The text without what cannot be seen, and without the backticks around code."""
    return re.sub("(?<!`)`([^`]+)`(?!`)", lambda match: match[1].strip() or "(empty)", text)


@pytest.mark.parametrize("text", EXAMPLES)
def test_a_parser_shows_the_text_and_finds_nothing_else(text: str) -> None:
    for escaped in (inline(text), f"- {inline(text)}", f"> {inline(text)}", f"**{inline(text)}**"):
        tokens = PARSER.parse(escaped)
        assert kinds(tokens) <= {
            *("paragraph_open", "paragraph_close", "inline", "text", "text_special", "code_inline"),
            *("bullet_list_open", "bullet_list_close", "list_item_open", "list_item_close"),
            *("blockquote_open", "blockquote_close", "strong_open", "strong_close"),
        }
        assert shown(tokens) == expected(text)


@given(SIGNS)
def test_no_text_whatever_leaves_its_line_or_its_cell(text: str) -> None:
    for form in (f"- {inline(text)}x", f"x {inline(text)}"):
        assert kinds(PARSER.parse(form)) <= {
            *("paragraph_open", "paragraph_close", "inline", "text", "text_special", "code_inline"),
            *("bullet_list_open", "bullet_list_close", "list_item_open", "list_item_close"),
        }
    tokens = PARSER.parse(f"| a | b |\n| --- | --- |\n| {cell(text)} | z |\n")
    assert [token.type for token in tokens].count("td_open") == 2
    assert (
        kinds(tokens) & {"link_open", "image", "html_inline", "html_block", "em_open", "strong_open", "s_open"} == set()
    )


@pytest.mark.parametrize(
    "text",
    ["@someone", "x @some/one", "#12", "a/b#12", "GH-12", "!12", "~label", "&12", '%"a b"', "$12", "a@example.org"],
)
def test_a_reference_is_broken_by_a_character_without_width(text: str) -> None:
    """GitHub and GitLab look for references in what was rendered, where no backslash is left."""
    tokens = PARSER.parse(inline(text))
    rendered = "".join(token.content for token in inlines(tokens))
    assert re.search(f"[-@#!~&%$]{EMPTY}", rendered)
    assert rendered.replace(EMPTY, "") == text


@pytest.mark.parametrize("text", ["https://example.org", "see www.example.org", "mailto:a@example.org", "HTTP://x.org"])
def test_an_address_becomes_no_link(text: str) -> None:
    linking = markdown_it.MarkdownIt("gfm-like") if has_linkify() else PARSER
    assert "link_open" not in kinds(linking.parse(inline(text)))
    assert EMPTY in "".join(token.content for token in inlines(PARSER.parse(inline(text))))


def has_linkify() -> bool:
    try:
        import linkify_it  # noqa: F401
    except ImportError:
        return False
    return True


def test_what_cannot_be_seen_is_left_out_and_a_long_text_is_shortened() -> None:
    assert inline("a|b\n<img>\x1b[2J\u202e") == "a\\|b &lt;img&gt;\\[2J"
    assert inline("x" * 5000) == f"{'x' * (MAX_INLINE // 2)}…{'x' * (MAX_INLINE // 2)}"
    assert inline("/close") == "\\/close"


def spoil(value: Any, name: str, keys: frozenset[str]) -> Any:
    """A document in which every free text is this one."""
    if isinstance(value, list):
        return [spoil(one, name, keys) for one in value]
    if isinstance(value, dict):
        return {
            key: name
            if key in keys and isinstance(of, str)
            else [name] * len(of)
            if key == "warnings"
            else spoil(of, name, keys)
            for key, of in value.items()
        }
    return value


@pytest.mark.parametrize("make", [make_run, make_rich_run])
def test_a_runs_summary_shows_machine_warnings_and_reasons_as_they_stand(make: Callable[[], Any]) -> None:
    name = " ".join([*EXAMPLES, "@someone"])
    document = spoil(make(), name, frozenset({"cpu", "gpu", "torch", "reason", "stopped"}))
    tokens = PARSER.parse(markdown(from_json(document)))
    assert not kinds(tokens) & FORBIDDEN
    rendered = "".join(token.content for token in inlines(tokens) if token.type != "code_inline")
    assert f"@{EMPTY}someone" in rendered
    assert "@someone" not in rendered
