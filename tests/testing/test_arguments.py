"""Arguments of known meaning reach the parameters that mean the same, whatever these are called."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from grader.judging.local import LocalRemote
from grader.student import Parameter, StudentFault
from grader.testing import Argument, input_channels, learning_rate, number_of_classes
from grader.testing.arguments import fit_arguments

CONVS = Argument(2, ("num_convs", "n_convs"))
INPUTS = input_channels(3)
OUTPUTS = Argument(64, ("out_channels", "channels"))
BLOCK = (CONVS, INPUTS, OUTPUTS)
MODEL = (learning_rate(0.1), number_of_classes(10))


def _by_name(num_convs: int, out_channels: int) -> None: ...
def _by_name_in_another_order(out_channels: int, num_convs: int) -> None: ...
def _by_name_in_another_case(OutChannels: int, N_Convs: int) -> None: ...
def _with_the_inputs_in_the_middle(num_convs: int, in_channels: int, out_channels: int) -> None: ...
def _by_position(n: int, o: int) -> None: ...
def _by_position_with_the_inputs_in_the_middle(n: int, i: int, o: int) -> None: ...
def _half_by_name(n: int, out_channels: int) -> None: ...
def _the_other_half_by_name(num_convs: int, o: int) -> None: ...
def _inputs_by_name_and_the_rest_by_position(n: int, c_in: int, o: int) -> None: ...
def _by_position_with_a_default(n: int, o: int = 1) -> None: ...
def _by_position_beside_a_default(n: int, o: int, kernel_size: int = 3) -> None: ...
def _keyword_only(*, out_channels: int, num_convs: int) -> None: ...
def _keyword_only_of_other_names(*, n: int, o: int) -> None: ...
def _by_name_before_variadic(num_convs: int, out_channels: int, *rest: Any, **more: Any) -> None: ...
def _with_too_few(n: int) -> None: ...
def _with_too_many(n: int, i: int, o: int, more: int) -> None: ...


@pytest.mark.parametrize(
    ("function", "named"),
    [
        (_by_name, {"num_convs": 2, "out_channels": 64}),
        (_by_name_in_another_order, {"num_convs": 2, "out_channels": 64}),
        (_by_name_in_another_case, {"N_Convs": 2, "OutChannels": 64}),
        (_with_the_inputs_in_the_middle, {"num_convs": 2, "in_channels": 3, "out_channels": 64}),
        (_by_position, {"n": 2, "o": 64}),
        (_by_position_with_the_inputs_in_the_middle, {"n": 2, "i": 3, "o": 64}),
        (_half_by_name, {"n": 2, "out_channels": 64}),
        (_the_other_half_by_name, {"num_convs": 2, "o": 64}),
        (_inputs_by_name_and_the_rest_by_position, {"n": 2, "c_in": 3, "o": 64}),
        (_by_position_with_a_default, {"n": 2, "o": 64}),
        (_by_position_beside_a_default, {"n": 2, "o": 64}),
        (_keyword_only, {"num_convs": 2, "out_channels": 64}),
        (_keyword_only_of_other_names, {"n": 2, "o": 64}),
        (_by_name_before_variadic, {"num_convs": 2, "out_channels": 64}),
        (_with_too_few, {"n": 2}),
        (_with_too_many, {"n": 2, "i": 3, "o": 64}),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_a_block_is_called_with_what_its_parameters_mean(function: Callable[..., None], named: dict[str, Any]) -> None:
    assert fit_arguments(LocalRemote(function), BLOCK) == ((), named)


def _nothing() -> None: ...
def _defaults(lr: float = 0.5, num_classes: int = 7) -> None: ...
def _classes_required(num_classes: int) -> None: ...
def _both_required(num_classes: int, lr: float) -> None: ...
def _other_names(n: int) -> None: ...


@pytest.mark.parametrize(
    ("function", "named"),
    [
        (_nothing, {}),
        (_defaults, {}),
        (_classes_required, {"num_classes": 10}),
        (_both_required, {"num_classes": 10, "lr": 0.1}),
        (_other_names, {}),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_a_students_own_default_counts_where_a_value_is_only_for_what_is_required(
    function: Callable[..., None], named: dict[str, Any]
) -> None:
    assert fit_arguments(LocalRemote(function), MODEL) == ((), named)


def _residual(num_channels: int, use_1x1conv: bool = False, strides: int = 1) -> None: ...
def _residual_of_an_older_edition(input_channels: int, num_channels: int, use_1x1conv: bool = False) -> None: ...
def _residual_without_a_flag(c: int, stride: int = 1) -> None: ...


@pytest.mark.parametrize(
    ("function", "named"),
    [
        (_residual, {"num_channels": 8, "use_1x1conv": False, "strides": 1}),
        (_residual_of_an_older_edition, {"input_channels": 4, "num_channels": 8, "use_1x1conv": False}),
        (_residual_without_a_flag, {"c": 8, "stride": 1}),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_what_is_passed_only_by_name_goes_nowhere_else(function: Callable[..., None], named: dict[str, Any]) -> None:
    arguments = (
        input_channels(4),
        Argument(8, ("num_channels",)),
        Argument(False, ("use_1x1conv",), "named"),
        Argument(1, ("strides", "stride"), "named"),
    )
    assert fit_arguments(LocalRemote(function), arguments) == ((), named)


def test_a_class_is_called_with_what_its_constructor_has() -> None:
    class Block:
        def __init__(self, num_convs: int, channels: int) -> None: ...

    assert fit_arguments(LocalRemote(Block), BLOCK) == ((), {"num_convs": 2, "channels": 64})


def test_without_a_signature_the_textbooks_order_is_all_there_is() -> None:
    with pytest.raises(StudentFault, match="no signature"):
        LocalRemote(dict).signature()
    assert fit_arguments(LocalRemote(dict), BLOCK) == ((2, 64), {})


@pytest.mark.parametrize(
    ("name", "asked"),
    [("num_convs", True), ("NumConvs", True), ("numconvs", True), ("_num_convs", True), ("convs", False), ("", False)],
)
def test_case_and_underscores_do_not_matter(name: str, asked: bool) -> None:
    assert Argument(2, ("num_convs",)).matches(Parameter(name, True)) is asked


STRIDES = Argument(1, ("strides", "stride"), "needed")


def _default_of_its_own(channels: int, strides: int = 2) -> None: ...
def _no_default(channels: int, strides: int) -> None: ...
def _no_default_and_another_name(channels: int, step: int) -> None: ...


@pytest.mark.parametrize(
    ("function", "named"),
    [
        (_default_of_its_own, {"channels": 64}),
        (_no_default, {"channels": 64, "strides": 1}),
        (_no_default_and_another_name, {"channels": 64, "step": 1}),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_a_students_own_default_counts_where_a_value_is_passed_only_if_it_is_needed(
    function: Callable[..., None], named: dict[str, Any]
) -> None:
    assert fit_arguments(LocalRemote(function), (OUTPUTS, STRIDES)) == ((), named)
