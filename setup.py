"""Makes the readme of the package: README.md, whose links and pictures here become addresses that work on any page."""

import re
from pathlib import Path

from setuptools import setup

HOME = "https://github.com/torchduet/torchduet"
PICTURES = "https://raw.githubusercontent.com/torchduet/torchduet/main"
README = (Path(__file__).parent / "README.md").read_text(encoding="utf-8")

sections = re.sub(r"\]\(#", f"]({HOME}#", README)
files = re.sub(r"\]\((?=[\w./-]+\.(?:md|ipynb)\b)", f"]({HOME}/blob/main/", sections)
pictures = re.sub(r'\b(src|srcset)="(?=docs/)', rf'\1="{PICTURES}/', files)
setup(long_description=pictures, long_description_content_type="text/markdown")
