"""Squaring."""

from collections.abc import Iterator

from grader.testing import Case, Draw, Student, assert_close, given, item


def rows(draw: Draw) -> Iterator[Case]:
    """Give rows X of several lengths."""
    for length in (2, 3):
        yield Case(f"a row of {length}", X=draw.normal(length))


@item("square")
@given(rows)
def test_square_gives_the_square_of_each_entry(student: Student, case: Case) -> None:
    assert_close(student.square(case.X), case.X**2)
