"""The API for rubric authors: items, cases, comparisons.

A rubric test reads like the textbook:

    @item("corr2d.values")
    @given(image_and_kernel())
    def test_corr2d_is_cross_correlation(student, case):
        assert_close(student.corr2d(case.X, case.K), reference.corr2d(case.X, case.K))

`student` is one state of a submission's notebook (`Student`). A test that needs random inputs without `given` may use
the `draw` fixture.
"""

from grader.models.rerun import Substitution
from grader.student import Fault, Operation, Recorded, Remote, Rerun, Student, StudentFault
from grader.testing.arguments import (
    Argument,
    call_anyway,
    input_channels,
    learning_rate,
    number_of_classes,
    output_channels,
)
from grader.testing.book import Book, assert_like_book, compare_with_book, remark_on
from grader.testing.cases import Ahead, Case, Cases, Draw, Searchable, given
from grader.testing.compare import assert_close, assert_module, assert_shape
from grader.testing.descent import Descent, DescentKind, find_descent
from grader.testing.examples import Shown
from grader.testing.failures import Absent, Mismatch, NeedsPerson
from grader.testing.foreign_tests import as_written
from grader.testing.images import image_and_kernel, image_and_window, small_sizes
from grader.testing.items import item
from grader.testing.learning import Training, learn
from grader.testing.misconceptions import alter, misconception
from grader.testing.models import (
    Layer,
    Model,
    assert_layers,
    assert_output,
    assert_parameters,
    assert_registered,
)
from grader.testing.running import build, run
from grader.training.differences import Difference

__all__ = [
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
]
