"""Doubling and halving."""

from collections.abc import Iterator

import torch

from grader.testing import Case, Draw, Student, assert_close, given, item


def rows(draw: Draw) -> Iterator[Case]:
    """Give rows X of several lengths."""
    for length in (1, 3):
        yield Case(f"a row of {length}", X=draw.normal(length))


@item("double")
@given(rows)
def test_double_gives_twice_each_entry(student: Student, case: Case) -> None:
    assert_close(student.double(case.X), 2 * case.X)


@item("halve")
@given(rows)
def test_halve_gives_half_of_each_entry(student: Student, case: Case) -> None:
    assert_close(student.halve(case.X), case.X / torch.tensor(2.0))
