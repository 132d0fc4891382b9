"""Executed notebooks: a submission's cells with their outputs from the sandbox, in nbformat 4.5."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from grader.errors import InputError
from grader.results.report import CellResult
from grader.submission.submission import Cell, Notebook

__all__ = ["ExecutedNotebook", "decode_executed_notebooks", "encode_executed_notebooks", "make_executed_notebook"]

Outputs = Sequence[Mapping[str, Any]]
Place = tuple[str, int]

_MAX_SOURCE = 4_000_000  # characters of all cells together
_CUT = "[the grader kept no more of this notebook]"
_SHOWN_BY_OUTPUTS = ("ok", "raised")


@dataclass(frozen=True)
class ExecutedNotebook:
    """A notebook's cells with their outputs. Both are data from a student's process, and may be hostile."""

    name: str
    cells: tuple[Mapping[str, Any], ...]

    def to_json(self) -> str:
        """Return the text of an .ipynb file."""
        return json.dumps(self._document(), ensure_ascii=False, indent=1) + "\n"

    def _document(self) -> dict[str, Any]:
        kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
        metadata = {"kernelspec": kernel, "language_info": {"name": "python"}}
        return {"cells": self.cells, "metadata": metadata, "nbformat": 4, "nbformat_minor": 5}


def make_executed_notebook(
    notebook: Notebook, ends: Mapping[Place, CellResult], outputs: Mapping[Place, Outputs]
) -> ExecutedNotebook:
    """Combine a notebook's cells with their outputs.

    Args:
        notebook: the submitted notebook.
        ends: how each code cell ended, by file and cell.
        outputs: the outputs of each code cell in nbformat's form, by file and cell.
    """
    cells, left, count = [], _MAX_SOURCE, 0
    for cell in notebook.cells:
        place = (notebook.name, cell.index)
        end = ends.get(place)
        was_run = end is not None and end.status != "not run"
        count += was_run
        source = cell.source if len(cell.source) <= left else _CUT
        left -= len(source)
        shown = [*outputs.get(place, ()), *_describe_end(end)]
        cells.append(_make_cell(cell, source, shown, count if was_run else None))
    return ExecutedNotebook(notebook.name, tuple(cells))


def encode_executed_notebooks(notebooks: Iterable[ExecutedNotebook]) -> str:
    """Return the executed notebooks of one submission as one JSON text."""
    return json.dumps([{"name": item.name, "cells": item.cells} for item in notebooks], ensure_ascii=False)


def decode_executed_notebooks(text: str) -> tuple[ExecutedNotebook, ...]:
    """Return the executed notebooks of a JSON text.

    Raises:
        InputError: the text is not from `encode_executed_notebooks`.
    """
    try:
        return tuple(ExecutedNotebook(str(item["name"]), tuple(map(dict, item["cells"]))) for item in json.loads(text))
    except (KeyError, RecursionError, TypeError, ValueError) as error:
        raise InputError(f"these are not executed notebooks of this version of the grader ({error})") from error


def _make_cell(cell: Cell, source: str, outputs: Outputs, count: int | None) -> dict[str, Any]:
    stored = {"cell_type": cell.kind, "id": f"cell-{cell.index}", "metadata": {}, "source": source}
    if cell.kind != "code":
        return stored
    numbered = [
        {**output, "execution_count": count} if output.get("output_type") == "execute_result" else output
        for output in outputs
    ]
    return {**stored, "execution_count": count, "outputs": numbered}


def _describe_end(end: CellResult | None) -> Outputs:
    """Return an output that says how a cell ended, if its own outputs do not show that."""
    if end is None or end.status in _SHOWN_BY_OUTPUTS:
        return ()
    text = f"grader: {end.status}: {end.message}".encode("utf-8", "replace").decode()
    return ({"output_type": "stream", "name": "stderr", "text": f"{text}\n"},)
