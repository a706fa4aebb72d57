"""Makes the readme of the package: README.md, whose links to files here become addresses that work on any page."""

import re
from pathlib import Path

from setuptools import setup

HOME = "https://github.com/torchduet/torchduet"
README = (Path(__file__).parent / "README.md").read_text(encoding="utf-8")

sections = re.sub(r"\]\(#", f"]({HOME}#", README)
files = re.sub(r"\]\((?=[\w./-]+\.(?:md|ipynb)\b)", f"]({HOME}/blob/main/", sections)
setup(long_description=files, long_description_content_type="text/markdown")
