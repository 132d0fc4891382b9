"""A name that differs in case, underscores or one letter stands for the assignment's, and no other one does."""

from __future__ import annotations

import pytest

from grader.judging.near_names import find_near_names, is_near


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        *[("Lenet", "LeNet"), ("lenet", "LeNet"), ("Le_Net", "LeNet"), ("LeNet5", "LeNet"), ("LeNett", "LeNet")],
        *[("corr2D", "corr2d"), ("corr_2d", "corr2d"), ("cor2d", "corr2d"), ("cror2d", "corr2d")],
        *[("corr2d_multi_in_out_1X1", "corr2d_multi_in_out_1x1"), ("Residuel", "Residual"), ("vgg", "VGG")],
    ],
)
def test_a_slip_of_the_pen_is_near(name: str, expected: str) -> None:
    assert is_near(name, expected)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        *[("corr2d", "corr2d"), ("corr1d", "corr2d"), ("conv2d", "corr2d"), ("pool3d", "pool2d")],
        *[("ResNet34", "ResNet18"), ("ResNet", "ResNet18"), ("VGG16", "VGG"), ("VGS", "VGG"), ("net", "LeNet")],
        *[("corr2d_multi_in", "corr2d_multi_in_out"), ("AlexNet", "LeNet"), ("", "LeNet")],
    ],
)
def test_another_word_is_not(name: str, expected: str) -> None:
    assert not is_near(name, expected)


def test_the_name_of_another_item_is_never_taken_for_a_slip() -> None:
    names = ["relu_layer", "Relu_Layer", "layer", "relu_layer"]
    assert find_near_names("ReLULayer", names, {"Relu_Layer"}) == ["relu_layer"]
