"""Cross-correlation and the convolutional layer: d2l.ai sections 7.2.1 and 7.2.2."""

from collections.abc import Iterator

import torch
from torch import Tensor

import reference
from grader.testing import (
    Case,
    Draw,
    Mismatch,
    Student,
    assert_close,
    assert_module,
    assert_shape,
    call_anyway,
    given,
    image_and_kernel,
    item,
)


@item("corr2d.values")
@given(image_and_kernel(), ahead=lambda case: [("corr2d", case.X, case.K)])
def test_corr2d_is_cross_correlation(student: Student, case: Case) -> None:
    assert_close(student.corr2d(case.X, case.K), reference.corr2d(case.X, case.K))


@item("corr2d.shape")
@given(image_and_kernel(), ahead=lambda case: [("corr2d", case.X, case.K)])
def test_corr2d_gives_one_entry_for_each_place_of_the_kernel(student: Student, case: Case) -> None:
    n, k = case.X.shape, case.K.shape
    assert_shape(call_anyway(student.corr2d, case.X, case.K), (n[0] - k[0] + 1, n[1] - k[1] + 1))


def image_kernel_and_bias(draw: Draw) -> Iterator[Case]:
    """Generate an image X, the weight K and the bias b of a layer (never 0), and a cotangent G of its output."""
    for n_h, n_w, k_h, k_w in ((3, 5, 1, 2), (4, 4, 2, 2), (4, 4, 3, 2), (5, 4, 2, 4), (3, 5, 3, 5)):
        yield Case(
            f"Conv2D(({k_h}, {k_w})) and an image of {n_h}x{n_w}",
            X=draw.normal(n_h, n_w),
            K=draw.normal(k_h, k_w),
            b=draw.choice((-1.5, -0.75, 0.5, 2.25)),
            G=draw.normal(n_h - k_h + 1, n_w - k_w + 1),
        )


@item("conv2d_layer")
@given(image_kernel_and_bias)
def test_conv2d_layer_adds_a_learnable_bias(student: Student, case: Case) -> None:
    size = tuple(case.K.shape)
    layer = assert_module(student.Conv2D(size), f"Conv2D({size})")
    parameters = layer.parameters()
    weight, bias = weight_and_bias(parameters, size)
    # The student's default dtype may be float64, so convert the image to the layer's dtype.
    dtype, shape = parameters[weight].dtype, parameters[bias].shape
    X, G = case.X.to(dtype), case.G.to(dtype)
    layer.load({weight: case.K.to(dtype), bias: torch.full(shape, case.b, dtype=dtype)})
    assert_close(layer(X), reference.corr2d(case.X, case.K) + case.b)
    gradients = layer.gradients(X, cotangent=G)
    for name, expected in ((weight, reference.corr2d(case.X, case.G)), (bias, case.G.sum().reshape(shape))):
        gradient = gradients.get(name)
        if gradient is None:
            raise Mismatch(f"no gradient reaches {name}: the layer cannot learn it", expected=expected, found=None)
        try:
            assert_close(gradient, expected)
        except Mismatch as wrong:
            raise Mismatch(f"the gradient of {name} is not right: {wrong}", expected=expected, found=gradient) from None


def weight_and_bias(parameters: dict[str, Tensor], size: tuple[int, ...]) -> tuple[str, str]:
    """Return the names of the weight and the bias, recognised by their shapes."""
    shapes = ", ".join(f"{name} {tuple(value.shape)}" for name, value in parameters.items()) or "none"
    found = sorted(list(value.shape) for value in parameters.values())
    learnable = {name: value for name, value in parameters.items() if value.is_floating_point()}
    weights = [name for name, value in learnable.items() if tuple(value.shape) == size]
    if not weights:
        message = f"the layer has no learnable weight of shape {size} (its parameters: {shapes})"
        raise Mismatch(f"{message}; a weight that is learned is an nn.Parameter", found=found)
    for weight in weights:
        for bias, value in learnable.items():
            if bias != weight and value.numel() == 1:
                return weight, bias
    message = f"the layer has no learnable bias of one element (its parameters: {shapes})"
    raise Mismatch(f"{message}; a number that is learned is an nn.Parameter", found=found)
