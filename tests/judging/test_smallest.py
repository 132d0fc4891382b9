"""The smallest input that goes wrong, whatever chance would have."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pytest
import torch

from grader.errors import SandboxFault
from grader.judging.local import LocalStudent
from grader.judging.smallest import find_smallest_failing
from grader.student import Fault, Student, StudentFault
from grader.testing import Case, Draw, Mismatch, assert_close, image_and_kernel, image_and_window
from grader.testing.cases import Searchable

NO_STUDENT = cast(Student, None)


def number(draw: Draw) -> Case:
    return Case("a number", number=draw.size(0, 1000))


def above(limit: int) -> Callable[[Any, Any], None]:
    def test(student: Any, case: Any) -> None:
        if case.number > limit:
            raise Mismatch(f"{case.number} is too much")

    return test


@pytest.mark.parametrize("limit", [0, 1, 17, 499])
def test_the_least_number_that_goes_wrong_is_found(limit: int) -> None:
    found = find_smallest_failing(above(limit), number, NO_STUDENT)
    assert found is not None
    case, mismatch = found
    assert case.number == limit + 1
    assert str(mismatch) == f"{limit + 1} is too much"


def test_nothing_is_found_where_nothing_goes_wrong() -> None:
    assert find_smallest_failing(above(1000), number, NO_STUDENT) is None


@pytest.mark.parametrize("error", [StudentFault(Fault.RAISED, "raises"), AssertionError("no mismatch")])
def test_another_fault_is_no_mismatch(error: Exception) -> None:
    def test(student: Any, case: Any) -> None:
        raise error

    assert find_smallest_failing(test, number, NO_STUDENT) is None

    def mixed(student: Any, case: Any) -> None:
        if case.number < 20:
            raise error
        raise Mismatch("wrong")

    found = find_smallest_failing(mixed, number, NO_STUDENT)
    assert found is not None
    assert found[0].number == 20


def test_an_answer_that_breaks_the_test_is_no_mismatch_and_a_fault_of_ours_is_raised() -> None:
    def test(student: Any, case: Any) -> None:
        raise error

    error: Exception = ZeroDivisionError()
    assert find_smallest_failing(test, number, NO_STUDENT) is None
    error = SandboxFault("the sandbox is gone")
    with pytest.raises(SandboxFault):
        find_smallest_failing(test, number, NO_STUDENT)


def test_the_students_work_is_asked_a_bounded_number_of_times() -> None:
    asked: list[tuple[int, ...]] = []

    def digits(draw: Draw) -> Case:
        return Case("digits", digits=[draw.size(0, 9) for _ in range(40)])

    def test(student: Any, case: Any) -> None:
        asked.append(tuple(case.digits))
        if sum(case.digits) % 3:
            raise Mismatch("wrong")

    found = find_smallest_failing(test, digits, NO_STUDENT)
    assert found is not None
    assert len(asked) <= 400
    assert tuple(found[0].digits) in asked


def loses_signs(X: Any, K: Any) -> Any:
    return right(X, K).abs()


def right(X: Any, K: Any) -> Any:
    return torch.nn.functional.conv2d(X[None, None], K[None, None])[0, 0]


def corr2d_is_right(student: Any, case: Any) -> None:
    assert_close(student.corr2d(case.X, case.K), right(case.X, case.K))


def wrong(corr2d: Callable[..., Any]) -> tuple[dict[str, Any], str]:
    cases = image_and_kernel()
    assert isinstance(cases, Searchable)
    found = find_smallest_failing(corr2d_is_right, cases.draw_case, LocalStudent({"corr2d": corr2d}))
    assert found is not None
    case, mismatch = found
    return {"description": case.description, "X": case.X.tolist(), "K": case.K.tolist()}, str(mismatch)


def test_a_wrong_corr2d_has_a_smallest_input_with_entries_near_zero() -> None:
    assert wrong(loses_signs) == (
        {"description": "an image of 1x1 and a kernel of 1x1", "X": [[1.0]], "K": [[-1.0]]},
        "expected -1 at [0, 0], found 1",
    )
    found, _ = wrong(lambda X, K: right(X, K.flip(0, 1)))
    assert sorted((len(found["K"]), len(found["K"][0]))) == [1, 2]
    assert (len(found["X"]), len(found["X"][0])) == (len(found["K"]), len(found["K"][0]))
    entries = [abs(entry) for rows in (found["X"], found["K"]) for row in rows for entry in row]
    assert sorted(entries) == [0, 0, 1, 1]


def test_it_depends_on_nothing_random() -> None:
    first = wrong(lambda X, K: right(X, K.flip(0, 1)))
    random.seed(3)
    torch.manual_seed(3)
    torch.randn(5)
    second = wrong(lambda X, K: right(X, K.flip(0, 1)))
    assert first == second
    state, torch_state = random.getstate(), torch.get_rng_state()
    wrong(loses_signs)
    assert random.getstate() == state
    assert torch.equal(torch.get_rng_state(), torch_state)


def test_what_is_drawn_keeps_within_its_bounds() -> None:
    seen: list[Case] = []

    def one(draw: Draw) -> Case:
        X = draw.whole(2, 3, low=-2, high=5)
        return Case("all kinds", X=X, Y=draw.normal(2), n=draw.size(3, 6), mode=draw.choice(["max", "avg"]))

    def test(student: Any, case: Case) -> None:
        seen.append(case)

    assert find_smallest_failing(test, one, NO_STUDENT) is None
    assert len(seen) > 50
    for case in seen:
        assert case.X.shape == (2, 3)
        assert case.X.dtype == case.Y.dtype == torch.float32
        assert -2 <= float(case.X.min()) <= float(case.X.max()) <= 5
        assert torch.equal(case.Y, case.Y.round())
        assert 3 <= case.n <= 6
    assert {case.mode for case in seen} == {"max", "avg"}


@pytest.mark.parametrize("cases", [image_and_kernel(), image_and_window()])
def test_small_images_are_never_smaller_than_what_slides_over_them(cases: Any) -> None:
    for seed in range(50):
        case = cases.draw_case(Draw(str(seed)))
        window = case.values.get("size") or case.K.shape
        assert all(1 <= k <= n <= k + 2 for n, k in zip(case.X.shape, window, strict=True))
        assert f"an image of {case.X.shape[0]}x{case.X.shape[1]}" in case.description
        assert f"{window[0]}x{window[1]}" in case.description


def test_work_that_is_wrong_only_now_and_then_breaks_nothing() -> None:
    calls = 0

    def now_and_then(X: Any, K: Any) -> Any:
        nonlocal calls
        calls += 1
        return right(X, K) + calls % 2

    find_smallest_failing(corr2d_is_right, image_and_kernel().draw_case, LocalStudent({"corr2d": now_and_then}))  # type: ignore[attr-defined]
    assert calls


def test_nothing_is_left_where_the_student_works(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    wrong(loses_signs)
    assert list(tmp_path.iterdir()) == []
