"""What a student reads of a report, in any form, holds no byte of a test or of the reference."""

from __future__ import annotations

import base64
import dataclasses
import re

import pytest

from grader.assignment import Assignment
from grader.cli.formats import GradedSubmission, ReportFormat, render
from grader.collection import read_submission
from grader.grading.grade import grade
from grader.render.html import render_body
from grader.sandbox.host.sandbox import Zygote
from tests.support.notebooks import notebook_bytes
from tests.support.paths import ROOT

WRONG = """
import torch
from torch import nn
def corr2d(X, K):
    K = K.flip(0, 1)
    h, w = K.shape
    Y = torch.zeros((X.shape[0] - h + 1, X.shape[1] - w + 1))
    for i in range(Y.shape[0]):
        for j in range(Y.shape[1]):
            Y[i, j] = (X[i:i + h, j:j + w] * K).sum()
    return Y
def pool2d(X, pool_size, mode="max"):
    return X
class Residual(nn.Module):
    def forward(self, X): return X
"""


def secrets() -> set[str]:
    """Return the names of all tests, and the lines of tests and reference that are long enough to be nobody else's."""
    sources = [*(ROOT / "rubrics" / "hw2").rglob("*.py"), *(ROOT / "reference").glob("*.py")]
    texts = [path.read_text("utf-8") for path in sources if "alternatives" not in path.parts]
    names = {name for text in texts for name in re.findall(r"^def (test_\w+)", text, re.MULTILINE)}
    code = {
        line.strip() for text in texts for line in text.splitlines() if re.match(r"\s+(return|assert|yield|for) ", line)
    }
    return names | {line for line in code if len(line) > 30}


@pytest.fixture(scope="module", params=[True, False], ids=["visible", "hidden"])
def graded(
    request: pytest.FixtureRequest, zygote: Zygote, hw2: Assignment, tmp_path_factory: pytest.TempPathFactory
) -> GradedSubmission:
    path = tmp_path_factory.mktemp("wrong") / "hw2.ipynb"
    path.write_bytes(notebook_bytes(WRONG))
    items = tuple(dataclasses.replace(item, visible=request.param or item.by_person) for item in hw2.items)
    assignment = dataclasses.replace(hw2, items=items)
    submission = read_submission([path])
    return GradedSubmission(grade(submission, assignment, zygote), submission, [path], assignment, "after_published")


@pytest.mark.parametrize("form", [*ReportFormat, "page"])
def test_no_form_of_a_report_holds_a_string_of_tests_or_reference(
    form: ReportFormat | str, graded: GradedSubmission
) -> None:
    text = render_body(graded.report) if form == "page" else render(ReportFormat(form), graded)
    if form is ReportFormat.CLASSROOM:
        text = base64.b64decode(text).decode()
    assert "corr2d" in text
    assert {secret for secret in secrets() if secret in text} == set()


def test_the_strings_that_are_looked_for_are_there_to_be_found(graded: GradedSubmission) -> None:
    inside = next(item for item in graded.report.items if item.id == "corr2d.values").tests
    assert set(inside) <= secrets()
    assert inside
