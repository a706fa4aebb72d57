"""Makes pages for MkDocs of files that GitHub shows by itself: links that leave ``docs/``, and the notebook."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from nbconvert import MarkdownExporter

NOTEBOOK, OUTPUTS = "notebook.ipynb", "notebook-outputs.md"
LEAVING = re.compile(r"\]\((?:\.\./)+(?!\.\.)([^)\s]+)\)")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Replace the notebook by a page with its cells and outputs."""
    source = files.get_file_from_path(NOTEBOOK)
    assert source is not None
    files.remove(source)
    body, _ = MarkdownExporter().from_filename(Path(config.docs_dir) / NOTEBOOK)
    # Outputs are HTML of their own: without a blank line within, Markdown takes each as one block.
    body = re.sub(r"<(div|style)\b.*?</\1>(?=\s*(?:\n#|\n```|\n\n|\Z))", lambda html: _dense(html[0]), body, flags=re.S)
    files.append(File.generated(config, OUTPUTS, content=body))
    return files


def on_page_markdown(markdown: str, page: Any, config: MkDocsConfig, files: Files) -> str:
    """Let links to other files of the repository lead to where it is kept."""
    del page, files
    inside = markdown.replace(f"]({NOTEBOOK})", f"]({OUTPUTS})")
    return LEAVING.sub(rf"]({config.extra['repository']}/blob/main/\1)", inside)


def on_page_content(html: str, page: Any, config: MkDocsConfig, files: Files) -> str:
    """Show ``quick|full`` in a table, where GitHub needs a backslash before the bar."""
    del page, config, files
    return re.sub(r"<code>[^<]*</code>", lambda code: code[0].replace(r"\|", "|"), html)


def _dense(html: str) -> str:
    return re.sub(r"\n\s*\n", "\n", html)
