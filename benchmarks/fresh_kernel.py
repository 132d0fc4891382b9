"""Run each notebook in a fresh kernel and do nothing else: `python -m benchmarks.fresh_kernel NOTEBOOK ...`."""

from __future__ import annotations

import sys
from pathlib import Path

import nbformat
from nbclient import NotebookClient

from benchmarks.assignment import a_class

__all__ = ["FreshKernel"]


class FreshKernel:
    """nbclient alone, in two processes that each run half a class. Nothing is judged."""

    name = "fresh kernel"

    def commands(self, notebook: str, size: int, folder: Path) -> list[list[str]]:
        """Write a notebook for each student."""
        paths = []
        for student, content in a_class(notebook, size).items():
            paths.append(folder / f"{student}.ipynb")
            paths[-1].write_bytes(content)
        loop = [sys.executable, "-m", "benchmarks.fresh_kernel"]
        return [[*loop, *map(str, half)] for half in (paths[0::2], paths[1::2]) if half]

    def require_full_marks(self, notebook: str, size: int, folder: Path) -> None:
        """Count the notebooks that the processes marked as run."""
        ran = len(list(folder.glob("*.ran")))
        assert ran == size, f"{ran} notebooks of {size} ran to their end"


def run(path: Path) -> None:
    """Run the cells of a notebook and kill the kernel."""
    notebook = nbformat.read(path, as_version=4)
    NotebookClient(notebook, kernel_name="python3", shutdown_kernel="immediate").execute()
    path.with_suffix(".ran").touch()


if __name__ == "__main__":
    for each in sys.argv[1:]:
        run(Path(each))
