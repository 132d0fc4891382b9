"""Bytes are resized and scaled on any device as PIL and torchvision do it, bit for bit."""

from __future__ import annotations

from collections.abc import Callable

import numpy
import pytest
import torch
from PIL import Image
from torch import Tensor
from torchvision import transforms  # type: ignore[import-untyped]

from grader.models.resize import look_up, resize_exactly, tabulate
from tests.support import stand_in_device

DEVICES = ["cpu", stand_in_device.NAME]
SIDES = [*range(1, 66), 80, 96, 112, 127, 128, 160, 192, 196, 224, 227, 256, 299]
OTHER_SIZES = [(28, 40), (56, 14), (227, 28), (96, 32), (1, 2), (300, 3)]


def resize_by_pil(image: Tensor, size: tuple[int, int]) -> Tensor:
    return torch.from_numpy(numpy.array(Image.fromarray(image.numpy()).resize(size[::-1], Image.Resampling.BILINEAR)))


@pytest.mark.parametrize("device", DEVICES)
def test_images_of_any_size_get_any_other_size(device: str) -> None:
    generator = torch.Generator().manual_seed(1)
    for height, width in ((28, 28), (32, 32), (17, 45)):
        images = torch.randint(256, (2, height, width), dtype=torch.uint8, generator=generator)
        images[1] = (images[1] > 127) * 255  # the largest sums
        sizes = [*((side, side) for side in SIDES), *OTHER_SIZES]
        for size in [size for size in sizes if not (size[0] < height and width < size[1])]:
            resized = resize_exactly(images.to(device), size)
            assert (resized.device.type, resized.dtype) == (device, torch.uint8)
            expected = torch.stack([resize_by_pil(image, size) for image in images])
            assert torch.equal(resized.cpu(), expected), (height, width, size)


@pytest.mark.parametrize("side", [32, 96, 224, 227])
def test_a_side_is_resized_whatever_the_pixels(side: int) -> None:
    # A pixel of a larger image is made from two neighbours, along one axis, then along the other: here is every pair.
    pairs = torch.cartesian_prod(torch.arange(256), torch.arange(256)).to(torch.uint8)
    rows = pairs.repeat(1, 14)
    for upright, size in ((rows, (65536, side)), (rows.T.contiguous(), (side, 65536))):
        assert torch.equal(resize_exactly(upright[None], size)[0], resize_by_pil(upright, size))


def test_many_images_are_resized_in_parts() -> None:
    images = torch.randint(256, (70, 28, 28), dtype=torch.uint8)
    resized = resize_exactly(images, (224, 224))
    assert torch.equal(resized[-1], resize_by_pil(images[-1], (224, 224)))
    assert (len(resized), resized.is_contiguous()) == (70, True)
    assert resize_exactly(images, (28, 28)) is images


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize(
    "compute",
    [lambda images: images.float().div_(255), lambda images: images.double().div_(255).sub_(0.2860).div_(0.3530)],
)
def test_bytes_are_looked_up_as_they_are_computed(device: str, compute: Callable[[Tensor], Tensor]) -> None:
    images = torch.randint(256, (3, 1, 50, 51), dtype=torch.uint8)
    found = look_up(images.to(device), tabulate(compute).to(device))
    expected = compute(images)
    assert torch.equal(found.cpu(), expected)
    assert (found.dtype, found.stride()) == (expected.dtype, expected.stride())


def test_a_table_is_what_torchvision_makes_of_each_byte() -> None:
    pixels = numpy.arange(256, dtype=numpy.uint8).reshape(16, 16)
    stock = transforms.Normalize((0.1307,), (0.3081,))(transforms.ToTensor()(Image.fromarray(pixels)))
    scale = transforms.Normalize((0.1307,), (0.3081,))
    assert torch.equal(tabulate(lambda images: scale(images.float().div_(255))), stock.reshape(256))


def test_what_is_kept_may_be_used_in_a_training_although_it_was_made_without_gradients() -> None:
    images = torch.randint(256, (1, 28, 28), dtype=torch.uint8)
    with torch.inference_mode():
        resize_exactly(images, (61, 61))
    resized = resize_exactly(images, (61, 61))
    assert not resized.is_inference()
