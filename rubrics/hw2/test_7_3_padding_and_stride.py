"""Padding and stride: d2l.ai section 7.3."""

from collections.abc import Iterator

from torch.nn import functional as F

import reference
from grader.testing import Case, Draw, Mismatch, Student, assert_close, assert_shape, given, item

# Image, kernel, padding on each side, stride. The section's own four come first: (8, 8), (8, 8), (4, 4), (2, 2).
LAYERS = (
    ((8, 8), (3, 3), (1, 1), (1, 1)),
    ((8, 8), (5, 3), (2, 1), (1, 1)),
    ((8, 8), (3, 3), (1, 1), (2, 2)),
    ((8, 8), (3, 5), (0, 1), (3, 4)),
    ((5, 7), (1, 1), (0, 0), (1, 1)),
    ((6, 8), (1, 2), (0, 0), (1, 1)),
    ((4, 7), (4, 7), (0, 0), (1, 1)),
    ((7, 5), (2, 4), (1, 2), (1, 1)),
    ((6, 7), (3, 2), (2, 0), (1, 3)),
    ((8, 5), (3, 1), (0, 0), (2, 1)),
    ((5, 8), (2, 3), (1, 1), (2, 3)),
    ((7, 6), (5, 5), (2, 2), (3, 2)),
    ((3, 8), (3, 3), (2, 1), (2, 4)),
    ((8, 3), (4, 2), (3, 1), (1, 2)),
)


def image_and_layer(draw: Draw) -> Iterator[Case]:
    """Generate an image X and the weight, bias, padding and stride of a layer of one channel."""
    for n, k, padding, stride in LAYERS:
        yield Case(
            f"an image of {n[0]}x{n[1]}, kernel_size={k}, padding={padding}, stride={stride}",
            X=draw.normal(*n),
            weight=draw.normal(1, 1, *k),
            bias=draw.normal(1),
            padding=padding,
            stride=stride,
        )


@item("comp_conv2d.shape")
@given(image_and_layer)
def test_comp_conv2d_gives_the_map_of_the_layer(student: Student, case: Case) -> None:
    kernel = tuple(case.weight.shape[2:])
    layer = student.layer("Conv2d", 1, 1, kernel_size=kernel, padding=case.padding, stride=case.stride)
    weight = layer.parameters().get("weight")
    if weight is None:
        raise Mismatch("torch.nn.Conv2d is no longer a convolution in this submission")
    # The student's default dtype may be float64, so convert the image to the layer's dtype.
    dtype = weight.dtype
    layer.load({"weight": case.weight.to(dtype), "bias": case.bias.to(dtype)})
    found = student.comp_conv2d(layer, case.X.to(dtype))
    both_sides = (2 * case.padding[0], 2 * case.padding[1])
    assert_shape(found, reference.output_shape(tuple(case.X.shape), kernel, both_sides, case.stride))
    X = case.X[None, None]
    assert_close(found, F.conv2d(X, case.weight, case.bias, padding=case.padding, stride=case.stride)[0, 0])
