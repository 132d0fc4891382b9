"""The names that others import. A change here is a change of what they rely on."""

from __future__ import annotations

from types import ModuleType

import pytest

import grader.render
import grader.sandbox.host.sandbox
import grader.student
import grader.testing

EXPORTS = {
    grader.testing: [
        "Absent",
        "Ahead",
        "Argument",
        "Book",
        "Case",
        "Cases",
        "Descent",
        "DescentKind",
        "Difference",
        "Draw",
        "Fault",
        "Layer",
        "Mismatch",
        "Model",
        "NeedsPerson",
        "Operation",
        "Recorded",
        "Remote",
        "Rerun",
        "Searchable",
        "Shown",
        "Student",
        "StudentFault",
        "Substitution",
        "Training",
        "alter",
        "as_written",
        "assert_close",
        "assert_layers",
        "assert_like_book",
        "assert_module",
        "assert_output",
        "assert_parameters",
        "assert_registered",
        "assert_shape",
        "build",
        "call_anyway",
        "compare_with_book",
        "find_descent",
        "given",
        "image_and_kernel",
        "image_and_window",
        "input_channels",
        "item",
        "learn",
        "learning_rate",
        "misconception",
        "number_of_classes",
        "output_channels",
        "remark_on",
        "run",
        "small_sizes",
    ],
    grader.render: ["render_body", "render_html", "render_terminal"],
    grader.sandbox.host.sandbox: ["Sandbox", "Zygote", "ZygoteLine"],
    grader.student: [
        "Candidate",
        "Definition",
        "Fault",
        "Operation",
        "OwnTraining",
        "Parameter",
        "Recorded",
        "Remote",
        "Rerun",
        "Student",
        "StudentFault",
        "Work",
    ],
}


@pytest.mark.parametrize("module", EXPORTS, ids=lambda module: str(module.__name__))
def test_a_module_exports_these_names_and_no_others(module: ModuleType) -> None:
    assert module.__all__ == EXPORTS[module]
    assert all(hasattr(module, name) for name in module.__all__)
    assert module.__all__ == sorted(module.__all__)
