"""Whole batches are, bit for bit, what torch collates from single images. Unknown transforms are left to torch."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy
import pytest
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import ConcatDataset, Subset, TensorDataset, default_collate
from torchvision import transforms  # type: ignore[import-untyped]
from torchvision.datasets import MNIST, FashionMNIST  # type: ignore[import-untyped]

from grader.sandbox.guest.trainings.image_batches import (
    WholeBatch,
    find_side,
    find_torchvision_data_set,
    read_batch,
    resolve_subset,
)
from grader.sandbox.guest.trainings.lazy_images import LazyImages
from tests.support import stand_in_device
from tests.support.idx_files import write_data_set

NORMALIZE = transforms.Normalize((0.5,), (0.5,))
RECOGNISED = {
    "to tensor": transforms.ToTensor(),
    "composed": transforms.Compose([transforms.ToTensor()]),
    "normalised": transforms.Compose([transforms.ToTensor(), NORMALIZE]),
    "normalised twice": transforms.Compose([transforms.ToTensor(), transforms.Normalize(0.2860, 0.3530), NORMALIZE]),
    "resized to what it is": transforms.Compose([transforms.Resize((28, 28)), transforms.ToTensor()]),
    "by one side": transforms.Compose([transforms.Resize(32), transforms.ToTensor(), NORMALIZE]),
    "by a list of one": transforms.Compose([transforms.Resize([40]), transforms.ToTensor()]),
    "larger": transforms.Compose([transforms.Resize((96, 96)), transforms.ToTensor()]),
    "largest": transforms.Compose([transforms.Resize((224, 224)), transforms.ToTensor(), NORMALIZE]),
    "higher": transforms.Compose([transforms.Resize((64, 32)), transforms.ToTensor()]),
    "wider": transforms.Compose([transforms.Resize((28, 224)), transforms.ToTensor()]),
    "smaller": transforms.Compose([transforms.Resize(14), transforms.ToTensor()]),
    "an odd side": transforms.Compose([transforms.Resize(227), transforms.ToTensor()]),
    "normalised by a tensor": transforms.Compose(
        [transforms.ToTensor(), transforms.Normalize(torch.tensor(0.5), torch.tensor([0.25]))]
    ),
}
LEFT_ALONE = {
    "no transform": None,
    "a function": lambda image: torch.zeros(1),
    "augmentation": transforms.Compose([transforms.RandomHorizontalFlip(), transforms.ToTensor()]),
    "wider and lower": transforms.Compose([transforms.Resize((14, 56)), transforms.ToTensor()]),
    "nothing left": transforms.Compose([transforms.Resize(0), transforms.ToTensor()]),
    "another interpolation": transforms.Compose(
        [transforms.Resize(32, Image.Resampling.BICUBIC), transforms.ToTensor()]
    ),
    "a longest side": transforms.Compose([transforms.Resize(32, max_size=40), transforms.ToTensor()]),
    "resized last": transforms.Compose([transforms.ToTensor(), transforms.Resize(32)]),
    "never a tensor": transforms.Resize(32),
    "nothing": transforms.Compose([]),
    "normalised by three channels": transforms.Compose(
        [transforms.ToTensor(), transforms.Normalize((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))]
    ),
    "normalised by no number": transforms.Compose([transforms.ToTensor(), transforms.Normalize("a", "b")]),
    "two channels more": transforms.Compose([transforms.Grayscale(3), transforms.ToTensor()]),
    "an own ToTensor": type("ToTensor", (transforms.ToTensor,), {})(),
}
PLACES = [5, 0, 17, 17, -1]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder: Path = tmp_path_factory.mktemp("data")
    for name in ("FashionMNIST", "MNIST"):
        write_data_set(folder / name / "raw", 200, 50)
    return folder


@pytest.fixture
def images(root: Path) -> Any:
    """Return a new data set with the plainest transform."""
    return FashionMNIST(root, transform=transforms.ToTensor())


def stock(data_set: Any, places: Sequence[Any]) -> list[Tensor]:
    collated: list[Tensor] = default_collate([data_set[place] for place in places])
    return collated


def assert_same(found: list[Tensor] | None, expected: list[Tensor]) -> None:
    assert type(found) is list
    for part, stock in zip(found, expected, strict=True):
        assert torch.equal(part, stock)
        assert (part.dtype, part.stride()) == (stock.dtype, stock.stride())


@pytest.mark.parametrize("kind", [FashionMNIST, MNIST])
@pytest.mark.parametrize("transform", RECOGNISED.values(), ids=RECOGNISED.keys())
def test_a_batch_is_what_torch_collates(root: Path, kind: Any, transform: Any) -> None:
    for train in (True, False):
        data_set = kind(root, train=train, transform=transform)
        assert_same(read_batch(data_set, PLACES), stock(data_set, PLACES))


@pytest.mark.parametrize("transform", LEFT_ALONE.values(), ids=LEFT_ALONE.keys())
def test_a_transform_that_is_not_recognised_is_left_to_torch(root: Path, transform: Any) -> None:
    data_set = FashionMNIST(root, transform=transform)
    assert WholeBatch.of(transform) is None
    assert read_batch(data_set, PLACES) is None
    assert find_side(data_set) is None


def test_subsets_are_resolved(images: Any) -> None:
    for indices in ([7, 3, 150], range(10, 40), torch.tensor([4, 2, 9]), numpy.array([4, 2, 9])):
        subset = Subset(Subset(images, indices), [2, 0, 1])  # type: ignore[arg-type]
        assert_same(read_batch(subset, [1, 0, -1]), stock(subset, [1, 0, -1]))
        assert resolve_subset(subset, [0]) == (images, [int(indices[2])])
    assert find_side(Subset(images, [1])) == 28


def test_indices_may_be_any_whole_numbers(images: Any) -> None:
    for places in (range(3), torch.arange(4), numpy.arange(4), [numpy.int64(3), torch.tensor(2)], (1, 2)):
        assert_same(read_batch(images, places), stock(images, places))  # type: ignore[arg-type]
    for nothing in ([], [1.5], ["1"]):
        assert read_batch(images, nothing) is None


def test_missing_indices_are_an_index_error(images: Any) -> None:
    for way in (read_batch, stock):
        with pytest.raises(IndexError):
            way(images, [1, 200])


def test_changes_by_the_student_are_seen_at_once(images: Any) -> None:
    changes: list[Any] = [
        lambda: images.data.__setitem__(5, 7),
        lambda: setattr(images, "data", images.data.flip(0)),
        lambda: setattr(images, "data", images.data[:20]),
        lambda: setattr(images, "targets", (images.targets + 3) % 10),
        lambda: images.targets.fill_(4),
        lambda: setattr(images, "transform", RECOGNISED["by one side"]),
        lambda: images.transform.transforms.pop(0),
    ]
    for change in changes:
        before = read_batch(images, PLACES)
        change()
        found = read_batch(images, PLACES)
        assert before is not None
        assert found is not None
        assert_same(found, stock(images, PLACES))
        assert not all(torch.equal(*each) for each in zip(before, found, strict=True))


def test_changing_a_batch_does_not_change_the_data_set(images: Any) -> None:
    before = images.data.clone(), images.targets.clone()
    found = read_batch(images, PLACES)
    assert found is not None
    for tensor in found:
        tensor.zero_()
    assert torch.equal(images.data, before[0])
    assert torch.equal(images.targets, before[1])


def test_the_default_dtype_is_respected(images: Any) -> None:
    torch.set_default_dtype(torch.float64)
    try:
        assert_same(read_batch(images, PLACES), stock(images, PLACES))
    finally:
        torch.set_default_dtype(torch.float32)


def test_customised_data_sets_are_left_to_torch(root: Path, images: Any) -> None:
    class Own(FashionMNIST):  # type: ignore[misc]
        def __getitem__(self, index: int) -> Any:
            return torch.zeros(1), 0

    class OwnSubset(Subset[Any]):
        pass

    plain = transforms.ToTensor()
    aside = [
        FashionMNIST(root, transform=plain, target_transform=lambda label: -label),
        OwnSubset(images, [1, 2]),
        ConcatDataset([images, images]),
        TensorDataset(images.data, images.targets),
    ]
    for name, value in [
        ("data", images.data.float()),
        ("data", images.data.numpy()),
        ("data", images.data[:, :14]),
        ("targets", images.targets.tolist()),
        ("targets", images.targets.float()),
        ("targets", images.targets[:, None]),
    ]:
        changed = FashionMNIST(root, transform=plain)
        setattr(changed, name, value)
        aside.append(changed)
    own = FashionMNIST(root, transform=plain)
    own.__class__ = Own
    aside.append(own)
    assert [read_batch(data_set, [0, 1]) for data_set in aside] == [None] * len(aside)
    assert [find_side(data_set) for data_set in aside] == [None] * len(aside)


def test_the_data_set_below_others_is_found_whatever_it_is_wrapped_in(images: Any) -> None:
    class Wrapped:
        def __init__(self) -> None:
            self.inner = images

        def __len__(self) -> int:
            return 3

        def __getitem__(self, index: int) -> Any:
            return self.inner[index]

    assert find_torchvision_data_set(images) is images
    assert find_torchvision_data_set(Subset(Subset(images, [1]), [0])) is images
    assert find_torchvision_data_set(ConcatDataset([TensorDataset(torch.zeros(1)), images])) is images
    assert find_torchvision_data_set(Wrapped()) is images
    assert find_torchvision_data_set(TensorDataset(images.data, images.targets)) is None
    assert find_torchvision_data_set([1, 2]) is None


@pytest.mark.parametrize("transform", RECOGNISED.values(), ids=RECOGNISED.keys())
def test_a_lazy_batch_is_made_on_a_device_as_torch_collates_it(root: Path, transform: Any) -> None:
    data_set = FashionMNIST(root, transform=transform)
    found = read_batch(data_set, PLACES, lazy=True)
    assert found is not None
    images, labels = found
    expected, expected_labels = stock(data_set, PLACES)
    moved = images.to(stand_in_device.NAME)
    assert isinstance(images, LazyImages)
    assert (moved.device.type, moved.dtype, moved.stride()) == ("standin", expected.dtype, expected.stride())
    assert torch.equal(moved.cpu(), expected)
    assert_same([images, labels], [expected, expected_labels])


def test_a_lazy_batch_stays_what_it_was_when_it_was_given_out(images: Any) -> None:
    expected = stock(images, PLACES)
    given = [read_batch(images, PLACES, lazy=True) for _ in range(2)]
    images.data.zero_()
    images.transform = RECOGNISED["largest"]
    assert given[0] is not None
    assert given[1] is not None
    assert torch.equal(given[0][0].to(stand_in_device.NAME).cpu(), expected[0])
    assert_same(given[1], expected)


def test_labels_come_on_the_default_device(images: Any) -> None:
    with torch.device(stand_in_device.NAME):
        found, expected = read_batch(images, PLACES, lazy=True), stock(images, PLACES)
    assert found is not None
    assert [part.device for part in found] == [part.device for part in expected]
    assert_same([part.cpu() for part in found], [part.cpu() for part in expected])
