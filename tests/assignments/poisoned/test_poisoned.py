"""A number, of which one is poison."""

import os

from grader.testing import Student, item


@item("value")
def test_value_gives_a_number(student: Student) -> None:
    if student.value() == 13:
        os._exit(1)
