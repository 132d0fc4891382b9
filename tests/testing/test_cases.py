"""Cases: drawn from a seed alone, all run, the first wrong one kept."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, cast

import pytest
import torch

from grader.student import Fault, Student, StudentFault
from grader.testing import Case, Draw, Mismatch, given, image_and_kernel, image_and_window
from grader.testing.cases import WrongCases

NO_STUDENT = cast(Student, None)


def numbers(draw: Draw) -> Iterator[Case]:
    for number in range(4):
        yield Case(f"number {number}", number=number)


def test_a_draw_depends_on_its_seed_alone() -> None:
    first = Draw("a").normal(3)
    torch.manual_seed(7)
    torch.randn(5)
    assert torch.equal(first, Draw("a").normal(3))
    assert not torch.equal(first, Draw("b").normal(3))


def test_a_draw_gives_float32_whatever_the_default_dtype() -> None:
    torch.set_default_dtype(torch.float64)
    try:
        assert Draw("a").normal(3).dtype == Draw("a").whole(3).dtype == torch.float32
    finally:
        torch.set_default_dtype(torch.float32)


def test_given_runs_every_case_and_keeps_the_first_wrong_one() -> None:
    seen = []

    @given(numbers)
    def test(student: Student, case: Any) -> None:
        seen.append(case.number)
        if case.number % 2:
            raise Mismatch(f"{case.number} is odd")

    with pytest.raises(WrongCases) as raised:
        test(NO_STUDENT, Draw("a"))
    assert seen == [0, 1, 2, 3]
    assert (raised.value.right, raised.value.total) == (2, 4)
    assert str(raised.value.first) == "1 is odd"
    assert raised.value.case.description == "number 1"


def test_given_asks_nothing_more_of_a_process_that_ended() -> None:
    seen = []

    @given(numbers)
    def test(student: Student, case: Any) -> None:
        seen.append(case.number)
        raise StudentFault(Fault.TIMED_OUT if case.number else Fault.RAISED, "no answer")

    with pytest.raises(WrongCases) as raised:
        test(NO_STUDENT, Draw("a"))
    assert seen == [0, 1]
    assert (raised.value.right, raised.value.total) == (0, 4)


def test_given_without_cases_is_the_authors_mistake() -> None:
    with pytest.raises(ValueError, match="no cases"):
        given(lambda draw: [])(lambda student, case: None)(NO_STUDENT, Draw("a"))


@pytest.mark.parametrize("seed", ["a", "b", "c"])
def test_images_are_float32_of_many_shapes_with_negative_and_whole_entries(seed: str) -> None:
    for cases, window in ((image_and_kernel(), "K"), (image_and_window(), "size")):
        drawn = list(cases(Draw(seed)))
        sizes = [tuple(getattr(case, window).shape) if window == "K" else case.size for case in drawn]
        assert drawn[0].description == "the book's example"
        assert all(case.X.dtype == torch.float32 and case.X.numel() <= 64 for case in drawn)
        assert any((case.X < 0).any() and case.X.frac().any().logical_not() for case in drawn)
        assert any(h != w for h, w in sizes)
        assert (1, 1) in sizes
        # A student's loops run once for each place, so that there are no more than it takes to tell them apart.
        places = [
            [n - k + 1 for n, k in zip(case.X.shape, size, strict=True)]
            for case, size in zip(drawn, sizes, strict=True)
        ]
        assert max(h * w for h, w in places) <= 16
        assert any(tuple(case.X.shape) == size for case, size in zip(drawn, sizes, strict=True))
        assert len({case.description for case in drawn}) == len(drawn)


@pytest.mark.parametrize("seed", [str(number) for number in range(8)])
def test_every_draw_has_images_with_more_positions_down_and_images_with_more_to_the_right(seed: str) -> None:
    # Otherwise the draw would decide whether loops over the wrong axis lose the output's shape.
    for cases, window in ((image_and_kernel(), "K"), (image_and_window(), "size")):
        drawn = list(cases(Draw(seed)))
        sizes = [case.K.shape if window == "K" else case.size for case in drawn]
        positions = [(len(c.X) - h, c.X.shape[1] - w) for c, (h, w) in zip(drawn, sizes, strict=True)]
        assert any(down < right for down, right in positions)
        assert any(down > right for down, right in positions)
        assert all(len(set(case.X.shape)) == 2 for case in drawn[1:8])


def test_given_keeps_the_questions_that_only_tell_mistakes_apart() -> None:
    asked: list[str] = []
    questions = (lambda student, case: asked.append("further"),)

    @given(lambda draw: [Case("one")], further=questions)
    def test(student: Student, case: Case) -> None:
        asked.append("case")

    test(cast(Student, None), Draw(""))
    assert asked == ["case"]
    assert test.further == questions  # type: ignore[attr-defined]


def test_a_case_says_which_value_it_lacks() -> None:
    with pytest.raises(AttributeError, match="the case 'one' has no Y"):
        _ = Case("one", X=1).Y
