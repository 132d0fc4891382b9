"""Softmax and accuracy: d2l.ai sections 4.3 to 4.5."""

from collections.abc import Iterator

import torch

from grader.testing import Case, Draw, Searchable, Student, assert_close, given, item

from .reference.classification import accuracy, softmax


def scores(draw: Draw) -> Iterator[Case]:
    """Give scores X: the book's example, then as many classes as examples, more of them, and fewer."""
    yield Case("the book's example", X=torch.tensor([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]))
    for examples, classes in ((3, 3), (2, 5), (5, 2), (1, 4), (4, 1)):
        yield Case(f"{examples} examples of {classes} classes", X=draw.normal(examples, classes))


def few_scores(draw: Draw) -> Case:
    """Draw a small case: where a student's softmax is wrong, the smallest of these that shows it is looked for."""
    examples, classes = draw.size(1, 3), draw.size(1, 3)
    return Case(f"{examples} examples of {classes} classes", X=draw.whole(examples, classes, low=-3, high=3))


@item("softmax.values")
@given(Searchable(scores, few_scores))
def test_softmax_gives_the_probabilities_of_each_row(student: Student, case: Case) -> None:
    assert_close(student.softmax(case.X), softmax(case.X))


def large_scores(draw: Draw) -> Iterator[Case]:
    """Give scores X whose powers of e are more than a float holds."""
    for examples, classes in ((1, 2), (3, 4), (4, 3)):
        yield Case(f"{examples} examples of {classes} classes", X=1000 + draw.normal(examples, classes))


@item("softmax.large")
@given(large_scores)
def test_softmax_holds_for_large_scores(student: Student, case: Case) -> None:
    assert_close(student.softmax(case.X), softmax(case.X))


def scores_and_labels(draw: Draw) -> Iterator[Case]:
    """Give scores X and labels y: first all labels are where the largest score is, then every second one is not."""
    for examples, classes in ((4, 4), (8, 3), (5, 2), (3, 6)):
        X = draw.normal(examples, classes)
        largest = X.argmax(dim=1)
        yield Case(f"{examples} right rows of {classes} classes", X=X, y=largest)
        some = (largest + torch.arange(examples) % 2) % classes
        yield Case(f"{examples} rows of {classes} classes, every second wrong", X=X, y=some)


@item("accuracy")
@given(scores_and_labels)
def test_accuracy_is_the_fraction_of_right_rows(student: Student, case: Case) -> None:
    assert_close(student.accuracy(case.X, case.y), accuracy(case.X, case.y))
