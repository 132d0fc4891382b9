"""Pooling: d2l.ai section 7.5."""

import reference
from grader.testing import Case, Student, assert_close, assert_shape, call_anyway, given, image_and_window, item


def ask_maximum(student: Student, case: Case) -> object:
    return student.pool2d(case.X, case.size, "max")


def ask_mean(student: Student, case: Case) -> object:
    return student.pool2d(case.X, case.size, "avg")


@item("pool2d.max")
@given(image_and_window(), ahead=lambda case: [("pool2d", case.X, case.size)], further=(ask_maximum, ask_mean))
def test_pool2d_takes_the_maximum_of_each_window(student: Student, case: Case) -> None:
    assert_close(student.pool2d(case.X, case.size), reference.pool2d(case.X, case.size))


@item("pool2d.avg")
@given(image_and_window(), ahead=lambda case: [("pool2d", case.X, case.size, "avg")], further=(ask_maximum,))
def test_pool2d_takes_the_mean_of_each_window(student: Student, case: Case) -> None:
    pool2d = student.pool2d
    by_name = [parameter.name for parameter in pool2d.signature() if parameter.keyword_only]
    found = pool2d(case.X, case.size, mode="avg") if "mode" in by_name else pool2d(case.X, case.size, "avg")
    assert_close(found, reference.pool2d(case.X, case.size, "avg"))


@item("pool2d.shape")
@given(image_and_window(), ahead=lambda case: [("pool2d", case.X, case.size)])
def test_pool2d_gives_one_entry_for_each_place_of_the_window(student: Student, case: Case) -> None:
    (n_h, n_w), (p_h, p_w) = case.X.shape, case.size
    assert_shape(call_anyway(student.pool2d, case.X, case.size), (n_h - p_h + 1, n_w - p_w + 1))
