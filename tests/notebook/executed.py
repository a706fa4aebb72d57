"""Runs ``docs/notebook.ipynb`` by this interpreter; ``python -m tests.notebook.executed`` writes its outputs anew."""

from __future__ import annotations

import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

NOTEBOOK = Path(__file__).parents[2] / "docs" / "notebook.ipynb"
SECONDS = 400  # at most, for a cell


def kernel_of_this_interpreter(folder: Path) -> dict[str, str]:
    """Environment variables with which the kernel ``python3`` is this interpreter, and its commands are found."""
    kernel = folder / "kernels" / "python3"
    kernel.mkdir(parents=True)
    arguments = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    specification = {"argv": arguments, "display_name": "Python 3", "language": "python"}
    (kernel / "kernel.json").write_text(json.dumps(specification), "utf-8")
    return {
        "JUPYTER_PATH": str(folder),
        "JUPYTER_RUNTIME_DIR": str(folder / "runtime"),
        "IPYTHONDIR": str(folder / "ipython"),
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
    }


def executed(folder: Path) -> Any:
    """The notebook with the outputs of a run in an empty folder; progress that was emptied is left out."""
    import nbformat
    from nbclient import NotebookClient

    notebook = nbformat.read(NOTEBOOK, 4)
    resources = {"metadata": {"path": str(folder)}}
    NotebookClient(notebook, timeout=SECONDS, kernel_name="python3", resources=resources).execute()
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)
        if cell.cell_type == "code":
            cell.outputs = [output for output in cell.outputs if output.get("data") != {}]
    notebook.metadata = {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }
    return notebook


def main() -> None:
    """Run the notebook, and write it with its new outputs."""
    import nbformat

    with tempfile.TemporaryDirectory() as folder:
        os.environ |= kernel_of_this_interpreter(Path(folder) / "jupyter")
        (Path(folder) / "work").mkdir()
        nbformat.write(executed(Path(folder) / "work"), NOTEBOOK)


if __name__ == "__main__":
    main()
