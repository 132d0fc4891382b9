"""A right function takes the arguments that a student's own takes."""

from __future__ import annotations

from typing import Any

import pytest

from grader.judging.adapting import adapt
from grader.judging.local import LocalRemote
from grader.testing import Argument, input_channels, output_channels

ARGUMENTS = (
    Argument(1, ("num_convs", "n")),
    input_channels(1),
    output_channels(1),
    Argument(2, ("strides", "stride"), "usually"),
)


def right(num_convs: int, out_channels: int, strides: int = 1) -> tuple[int, int, int]:
    return num_convs, out_channels, strides


OWN = {
    "an older edition's": (lambda n, in_channels, out_channels: None, (2, 3, 5), {}, (2, 5, 1)),
    "another order": (lambda out_channels, num_convs: None, (5, 2), {}, (2, 5, 1)),
    "other names": (lambda n, c_out, stride=1: None, (2,), {"c_out": 5, "stride": 4}, (2, 5, 4)),
    "the same": (lambda num_convs, out_channels, strides=1: None, (2, 5), {"strides": 4}, (2, 5, 4)),
}


@pytest.mark.parametrize(("own", "args", "kwargs", "result"), OWN.values(), ids=OWN.keys())
def test_it_is_called_as_the_student_s_own_is(
    own: Any, args: tuple[int, ...], kwargs: dict[str, int], result: tuple[int, ...]
) -> None:
    assert adapt(right, LocalRemote(own), ARGUMENTS)(*args, **kwargs) == result


def test_it_stays_as_it_is_if_a_parameter_means_nothing_known() -> None:
    own = LocalRemote(lambda num_convs, in_channels, out_channels, strides, colour: None)
    assert adapt(right, own, ARGUMENTS) is right
    assert adapt(right, LocalRemote(lambda n, c: None), ()) is right
    assert adapt(right, LocalRemote(5), ARGUMENTS) is right


def test_too_many_arguments_are_an_error() -> None:
    with pytest.raises(TypeError):
        adapt(right, LocalRemote(lambda n, c_out: None), ARGUMENTS)(1, 2, 3)
