"""Notebooks made in code: lists of cells in, submissions out."""

from __future__ import annotations

import textwrap

import nbformat

from grader.submission.submission import Submission, read_notebook

__all__ = ["CORR2D", "CORR2D_POINTS", "notebook_bytes", "submission"]

# corr2d of d2l.ai section 7.2.1 earns these points, whatever else is missing.
CORR2D_POINTS = 9
CORR2D = """
import torch
def corr2d(X, K):
    h, w = K.shape
    Y = torch.zeros((X.shape[0] - h + 1, X.shape[1] - w + 1))
    for i in range(Y.shape[0]):
        for j in range(Y.shape[1]):
            Y[i, j] = (X[i:i + h, j:j + w] * K).sum()
    return Y
"""


def notebook_bytes(*cells: str) -> bytes:
    """Return a notebook file with these code cells; common indentation is taken away."""
    code = [nbformat.v4.new_code_cell(textwrap.dedent(cell).strip("\n")) for cell in cells]
    for number, cell in enumerate(code):
        cell["id"] = f"cell-{number}"  # the same cells are the same bytes
    return str(nbformat.writes(nbformat.v4.new_notebook(cells=code))).encode()


def submission(*cells: str) -> Submission:
    """Return a submission of one notebook with these code cells."""
    return Submission((read_notebook("homework.ipynb", notebook_bytes(*cells)),))
