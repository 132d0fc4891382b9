"""Multiple input and output channels: d2l.ai section 7.4."""

from collections.abc import Iterator
from typing import Any

import torch

import reference
from grader.testing import Ahead, Case, Draw, Mismatch, Searchable, Student, assert_close, given, item, small_sizes

# Channels of the image, its height and width, the kernel's. Images are only as large as is needed to tell
# sizes apart: a student's loops take 7 microseconds for each entry of each channel's map.
SIZES = (
    (1, (3, 6), (2, 3)),
    (2, (4, 3), (3, 1)),
    (3, (4, 3), (2, 2)),
    (4, (3, 5), (1, 4)),
    (5, (4, 3), (2, 3)),
    (3, (4, 3), (4, 3)),
    (2, (2, 3), (1, 1)),
)


def book_image() -> torch.Tensor:
    first = torch.arange(9.0).reshape(3, 3)
    return torch.stack((first, first + 1))


def book_kernel() -> torch.Tensor:
    first = torch.arange(4.0).reshape(2, 2)
    return torch.stack((first, first + 1))


def image_and_kernel(draw: Draw) -> Iterator[Case]:
    """Generate an image X, (c_i, n_h, n_w), and a kernel K for each of its channels, (c_i, k_h, k_w)."""
    yield Case("the book's example", X=book_image(), K=book_kernel())
    for number, (channels, n, k) in enumerate(SIZES):
        entries = draw.whole if number % 2 else draw.normal
        description = f"{channels} channels of {n[0]}x{n[1]} and kernels of {k[0]}x{k[1]}"
        yield Case(description, X=entries(channels, *n), K=entries(channels, *k))


def small_image_and_kernel(draw: Draw) -> Case:
    channels, (n, k) = draw.size(1, 3), small_sizes(draw)
    description = f"{channels} channels of {n[0]}x{n[1]} and kernels of {k[0]}x{k[1]}"
    return Case(description, X=draw.whole(channels, *n), K=draw.whole(channels, *k))


def image_and_kernels(draw: Draw) -> Iterator[Case]:
    """Generate an image X, (c_i, n_h, n_w), and kernels K, (c_o, c_i, k_h, k_w)."""
    K = book_kernel()
    yield Case("the book's example", X=book_image(), K=torch.stack((K, K + 1, K + 2)))
    for number, (inputs, n, k) in enumerate(SIZES):
        entries = draw.whole if number % 2 else draw.normal
        outputs = draw.choice([c for c in range(1, 5) if c != inputs])
        description = f"{inputs} channels of {n[0]}x{n[1]} and {outputs} kernels of {k[0]}x{k[1]}"
        yield Case(description, X=entries(inputs, *n), K=entries(outputs, inputs, *k))


def small_image_and_kernels(draw: Draw) -> Case:
    inputs, outputs, (n, k) = draw.size(1, 3), draw.size(1, 3), small_sizes(draw)
    description = f"{inputs} channels of {n[0]}x{n[1]} and {outputs} kernels of {k[0]}x{k[1]}"
    return Case(description, X=draw.whole(inputs, *n), K=draw.whole(outputs, inputs, *k))


def image_and_1x1_kernels(draw: Draw) -> Iterator[Case]:
    """Generate an image X, (c_i, h, w), and kernels K, (c_o, c_i, 1, 1).

    The book's sizes come first with whole numbers, whose sums of products are exact: there is nothing to round.
    """
    yield Case("the book's sizes", X=draw.whole(3, 3, 3), K=draw.whole(2, 3, 1, 1))
    for inputs, outputs, h, w in ((3, 2, 2, 3), (1, 4, 2, 3), (4, 1, 3, 2), (3, 3, 1, 4), (2, 3, 1, 1), (5, 3, 2, 1)):
        description = f"{inputs} channels of {h}x{w} and {outputs} kernels of 1x1"
        yield Case(description, X=draw.normal(inputs, h, w), K=draw.normal(outputs, inputs, 1, 1))


def small_image_and_1x1_kernels(draw: Draw) -> Case:
    inputs, outputs, h, w = draw.size(1, 3), draw.size(1, 3), draw.size(1, 3), draw.size(1, 3)
    description = f"{inputs} channels of {h}x{w} and {outputs} kernels of 1x1"
    return Case(description, X=draw.whole(inputs, h, w), K=draw.whole(outputs, inputs, 1, 1))


def calls(*names: str) -> Ahead:
    """Return a function that lists the calls of these functions with a case's image and kernels."""
    return lambda case: [(name, case.X, case.K) for name in names]


@item("corr2d_multi_in")
@given(Searchable(image_and_kernel, small_image_and_kernel), ahead=calls("corr2d_multi_in"))
def test_corr2d_multi_in_sums_over_the_channels(student: Student, case: Case) -> None:
    assert_close(student.corr2d_multi_in(case.X, case.K), reference.corr2d_multi_in(case.X, case.K))


@item("corr2d_multi_in_out")
@given(Searchable(image_and_kernels, small_image_and_kernels), ahead=calls("corr2d_multi_in_out"))
def test_corr2d_multi_in_out_gives_a_map_for_each_kernel(student: Student, case: Case) -> None:
    assert_close(student.corr2d_multi_in_out(case.X, case.K), reference.corr2d_multi_in_out(case.X, case.K))


@item("corr2d_1x1")
@given(Searchable(image_and_1x1_kernels, small_image_and_1x1_kernels), ahead=calls("corr2d_multi_in_out_1x1"))
def test_corr2d_multi_in_out_1x1_is_convolution_with_1x1_kernels(student: Student, case: Case) -> None:
    assert_close(student.corr2d_multi_in_out_1x1(case.X, case.K), reference.corr2d_multi_in_out(case.X, case.K))


WAYS = ("corr2d_multi_in_out_1x1", "corr2d_multi_in_out")


@item("equivalence_1x1")
@given(
    Searchable(image_and_1x1_kernels, small_image_and_1x1_kernels),
    ahead=calls(*WAYS),
)
def test_both_ways_to_a_1x1_convolution_agree(student: Student, case: Case) -> None:
    found = {name: getattr(student, name)(case.X, case.K) for name in WAYS}
    expected = reference.corr2d_multi_in_out(case.X, case.K)
    wrong = {name: mismatch for name, value in found.items() if (mismatch := compare(value, expected))}
    if not wrong:
        return
    name, mismatch = next(iter(wrong.items()))
    how = describe_disagreement(found)
    if how:
        culprit = f"{name} is the wrong one" if len(wrong) == 1 else "both are wrong"
        raise Mismatch(f"the two ways disagree: {how}; {culprit}", gist="the two ways disagree", **mismatch.evidence)
    # Two functions that are wrong alike do agree, and that shows nothing.
    raise prefix(f"the two ways agree, and both are wrong: {name}" if len(wrong) > 1 else f"{name} is wrong", mismatch)


def describe_disagreement(found: dict[str, Any]) -> str:
    """Say what two functions give where they disagree, or "" if they do not."""
    one, other = found.values()
    place = ""
    said = {name: describe(value) for name, value in found.items()}
    if len(set(said.values())) == 1:
        if not (isinstance(one, torch.Tensor) and is_real(one) and compare(one, other)):
            return ""
        a, b = one.detach().double(), other.detach().double()
        distance = torch.where((a == b) | (a.isnan() & b.isnan()), 0.0, (a - b).abs()).nan_to_num(torch.inf)
        index = tuple(int(i) for i in (distance == distance.max()).nonzero()[0])
        said = {name: f"{float(value[index]):.6g}" for name, value in found.items()}
        place = f" at {list(index)}"
    return ", ".join(f"{name} gives {text}" for name, text in reversed(said.items())) + place


def compare(found: object, expected: torch.Tensor) -> Mismatch | None:
    """Return how a result differs from the expected one, or None if it does not."""
    try:
        assert_close(found, expected)
    except Mismatch as mismatch:
        return mismatch
    return None


def is_real(value: torch.Tensor) -> bool:
    return not value.is_complex() and value.dtype is not torch.bool


def describe(value: object) -> str:
    """Say what a function returned, in a few words."""
    if value is None:
        return "nothing"
    if not isinstance(value, torch.Tensor):
        return "no tensor"
    return f"the shape {tuple(value.shape)}" if is_real(value) else f"numbers of {value.dtype}"


def prefix(beginning: str, mismatch: Mismatch) -> Mismatch:
    """Return a mismatch whose message has a beginning that says what it is about."""
    return Mismatch(f"{beginning}: {mismatch}", **mismatch.evidence)
