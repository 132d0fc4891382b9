"""A notebook as it was run: a submission's cells with what they showed in the sandbox, as nbformat 4.5 has them."""

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

_MOST_SOURCE = 4_000_000  # characters of all cells; what is longer was not run
_CUT = "[the grader kept no more of this notebook]"
_SAID_ALREADY = ("ok", "raised")  # by what the cell showed


@dataclass(frozen=True)
class ExecutedNotebook:
    """A notebook's cells as they ran, each with what it showed: data of a student's, and no less hostile for that."""

    name: str
    cells: tuple[Mapping[str, Any], ...]

    def to_json(self) -> str:
        """Return it as the text of an .ipynb file."""
        return json.dumps(self._document(), ensure_ascii=False, indent=1) + "\n"

    def _document(self) -> dict[str, Any]:
        kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
        metadata = {"kernelspec": kernel, "language_info": {"name": "python"}}
        return {"cells": self.cells, "metadata": metadata, "nbformat": 4, "nbformat_minor": 5}


def make_executed_notebook(
    notebook: Notebook, ends: Mapping[Place, CellResult], outputs: Mapping[Place, Outputs]
) -> ExecutedNotebook:
    """Put a notebook's cells and what they showed together.

    Args:
        notebook: as it was handed in; of its sources, what was run is taken.
        ends: how each code cell ended, by file and cell.
        outputs: what each showed, in nbformat's form.
    """
    cells, left = [], _MOST_SOURCE
    for cell in notebook.cells:
        place = (notebook.name, cell.index)
        source = cell.source if len(cell.source) <= left else _CUT
        left -= len(source)
        cells.append(_cell(cell, source, [*outputs.get(place, ()), *_word(ends.get(place))]))
    return ExecutedNotebook(notebook.name, tuple(cells))


def encode_executed_notebooks(notebooks: Iterable[ExecutedNotebook]) -> str:
    """Return the executed notebooks of one submission as one JSON text."""
    return json.dumps([{"name": each.name, "cells": each.cells} for each in notebooks], ensure_ascii=False)


def decode_executed_notebooks(text: str) -> tuple[ExecutedNotebook, ...]:
    """Return the executed notebooks of a JSON text.

    Raises:
        InputError: the text is none of `executed_notebooks_to_json`.
    """
    try:
        return tuple(ExecutedNotebook(str(each["name"]), tuple(map(dict, each["cells"]))) for each in json.loads(text))
    except (KeyError, RecursionError, TypeError, ValueError) as error:
        raise InputError(f"these are no executed notebooks of this version of the grader ({error})") from error


def _cell(cell: Cell, source: str, outputs: Outputs) -> dict[str, Any]:
    stored = {"cell_type": cell.kind, "id": f"cell-{cell.index}", "metadata": {}, "source": source}
    return {**stored, "execution_count": None, "outputs": list(outputs)} if cell.kind == "code" else stored


def _word(end: CellResult | None) -> Outputs:
    """Return the grader's own word on a cell that did not come to an end that can be seen in what it showed."""
    if end is None or end.status in _SAID_ALREADY:
        return ()
    said = f"grader: {end.status}: {end.message}".encode("utf-8", "replace").decode()
    return ({"output_type": "stream", "name": "stderr", "text": f"{said}\n"},)
