"""A failed test names how a model differs from the textbook's."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from grader.judging.local import LocalRemote
from grader.judging.responses import RecordingStudent
from grader.student import StudentFault
from grader.testing import Book, Draw, Mismatch, Remote, assert_like_book, assert_parameters, compare_with_book, run
from tests.support.small_models import sequential

IMAGE = (1, 28, 28)
BOOK = Book([sequential], ("the convolution C", "the output"))


def narrow() -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(1, 3, 5, padding=2), *list(sequential())[1:4], nn.Linear(588, 10))


def clash() -> nn.Sequential:
    return nn.Sequential(*list(sequential())[:4], nn.Linear(100, 10))


class Recorded:
    """Stands for a student's work with one factory."""

    def __init__(self, make: Callable[[], Any]) -> None:
        self.Net = LocalRemote(make)


def judge(make: Callable[[], Any], test: Callable[[Remote], None]) -> tuple[str, list[Any]]:
    """Return the message of a failed test, and what was recorded of the student's model."""
    student = RecordingStudent(Recorded(make))  # type: ignore[arg-type]
    with pytest.raises((Mismatch, StudentFault)) as raised:
        test(student.Net)
    error = raised.value
    return error.describe() if isinstance(error, StudentFault) else str(error), student.responses


def count(thing: Remote) -> None:
    with run(thing, (), "Net()", IMAGE, Draw("a secret"), BOOK) as model:
        assert_parameters(model, 7954)


def reject(thing: Remote) -> None:
    with run(thing, (), "Net()", IMAGE, Draw("a secret"), BOOK):
        raise Mismatch("is not right")


def test_the_difference_takes_the_place_of_a_test_s_own_message_or_follows_a_number() -> None:
    said = "the convolution C has 3 output channels (the book's: 4)"
    assert judge(narrow, reject)[0] == said
    assert judge(narrow, count)[0].endswith(f": {said}")
    assert judge(sequential, reject)[0] == "is not right"


def test_what_torch_refuses_is_named_in_an_exception() -> None:
    message, _ = judge(clash, reject)
    assert "RuntimeError" in message
    assert "the output takes 100 numbers, its input has 784 (4x14x14)" in message


def test_differences_are_recorded_and_layers_if_there_are_none() -> None:
    _, (*_, recorded) = judge(narrow, reject)
    assert [key[:3] for key in recorded] == [("setting", "convolution", "the convolution C")]
    _, (*_, recorded) = judge(sequential, reject)
    assert [layer.kind for layer in recorded] == ["convolution", "pooling", "linear"]


def test_a_module_is_compared_only_if_the_body_fails() -> None:
    asked: list[tuple[int, ...]] = []

    class Watched(LocalRemote):
        def graph(self, image: tuple[int, ...]) -> Any:
            asked.append(image)
            return super().graph(image)

    with compare_with_book(Watched(narrow()), IMAGE, BOOK):
        pass
    assert asked == []
    with pytest.raises(Mismatch, match="has 3 output channels"), compare_with_book(Watched(narrow()), IMAGE, BOOK):
        raise Mismatch("is not right")
    assert asked == [IMAGE]


def test_what_a_rubric_accepts_is_no_difference() -> None:
    lenient = Book([sequential], ignores=lambda difference: difference.kind == "convolution")
    with pytest.raises(Mismatch, match="is not right"), compare_with_book(LocalRemote(narrow()), IMAGE, lenient):
        raise Mismatch("is not right")


def test_a_rubric_may_require_what_shapes_do_not_show() -> None:
    def without_activation() -> nn.Sequential:
        return nn.Sequential(sequential()[0], *list(sequential())[2:])

    def require(thing: Remote) -> None:
        with run(thing, (), "Net()", IMAGE, Draw("a secret"), BOOK) as model:
            assert_like_book(model, lambda difference: difference.kind == "activation")

    assert judge(without_activation, require)[0] == "no ReLU stands after the convolution C"
    require(LocalRemote(narrow))


class ReturnsNothing(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.net = sequential()

    def forward(self, X: Tensor) -> None:
        self.net(X)


def test_a_forward_pass_without_a_result_is_wrong() -> None:
    assert judge(ReturnsNothing, reject)[0].startswith("its forward pass returns nothing: ")


def test_a_model_without_a_graph_keeps_the_test_s_message() -> None:
    class OutOfTorch(nn.Module):
        def forward(self, X: Tensor) -> Tensor:
            return torch.from_numpy(X.detach().numpy()).flatten(1)

    with pytest.raises(Mismatch, match="is not right"), compare_with_book(LocalRemote(OutOfTorch()), IMAGE, BOOK):
        raise Mismatch("is not right")
