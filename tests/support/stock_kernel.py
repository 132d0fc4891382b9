"""Run cells in a stock kernel: nbclient and ipykernel as they come, in a process of their own.

Reads a JSON list of sources from standard input and writes one of [status, outputs] to the file that is named.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import nbformat
from nbclient import NotebookClient


def main(target: Path) -> None:
    """Run the cells in one kernel."""
    cells = [nbformat.v4.new_code_cell(source) for source in json.load(sys.stdin)]
    notebook = nbformat.v4.new_notebook(cells=cells)
    statuses: dict[int, str] = {}

    def note(cell: Any, cell_index: int, execute_reply: Any) -> None:
        statuses[cell_index] = execute_reply["content"]["status"]

    with tempfile.TemporaryDirectory() as folder:
        client = NotebookClient(
            notebook, timeout=60, allow_errors=True, resources={"metadata": {"path": folder}}, on_cell_executed=note
        )
        client.execute()
    target.write_text(json.dumps([[statuses[i], cell.outputs] for i, cell in enumerate(notebook.cells)]))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
