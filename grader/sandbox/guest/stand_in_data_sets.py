"""torchvision's data sets without their files: stand-in images, with the lengths, shapes and classes of the real ones.

A notebook that only looks at data works with them. What trains on them ends (`trainings/left_out.py`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from grader.sandbox.guest.internals.torchvision import initialise_data_set, name_data_set
from grader.sandbox.guest.stand_in_images import make_stand_in_images

__all__ = ["INITIALISERS", "is_stand_in"]

_MARK = "_is_stand_in"
_OF_EMNIST = {  # training images, test images, classes
    "byclass": (697_932, 116_323, 62),
    "bymerge": (697_932, 116_323, 47),
    "balanced": (112_800, 18_800, 47),
    "letters": (124_800, 20_800, 26),
    "digits": (240_000, 40_000, 10),
    "mnist": (60_000, 10_000, 10),
}
_OF_QMNIST = {"train": 60_000, "test": 60_000, "test10k": 10_000, "test50k": 50_000, "nist": 402_953}
_OF_SVHN = {"train": 73_257, "test": 26_032, "extra": 531_131}
_OF_STL10 = {"train": 5_000, "test": 8_000, "unlabeled": 100_000, "train+unlabeled": 105_000}
_IN_A_FOLD = 1_000  # of STL10's training images
_CLASSES = {
    "CIFAR10": "airplane automobile bird cat deer dog frog horse ship truck",
    "STL10": "airplane bird car cat deer dog horse monkey ship truck",
    "CIFAR100": """
    apple aquarium_fish baby bear beaver bed bee beetle bicycle bottle bowl boy bridge bus butterfly camel can castle
    caterpillar cattle chair chimpanzee clock cloud cockroach couch crab crocodile cup dinosaur dolphin elephant
    flatfish forest fox girl hamster house kangaroo keyboard lamp lawn_mower leopard lion lizard lobster man maple_tree
    motorcycle mountain mouse mushroom oak_tree orange orchid otter palm_tree pear pickup_truck pine_tree plain plate
    poppy porcupine possum rabbit raccoon ray road rocket rose sea seal shark shrew skunk skyscraper snail snake spider
    squirrel streetcar sunflower sweet_pepper table tank telephone television tiger tractor train trout tulip turtle
    wardrobe whale willow_tree wolf woman worm
    """,
}


def is_stand_in(data_set: Any) -> bool:
    """Return whether a data set has stand-in images."""
    return _MARK in getattr(data_set, "__dict__", ())


def _begin(data_set: Any, root: Any, transform: Any, target_transform: Any) -> None:
    initialise_data_set(data_set, root, transform, target_transform)
    setattr(data_set, _MARK, True)


def _make_mnist(
    data_set: Any, root: Any, train: bool = True, transform: Any = None, target_transform: Any = None, download: Any = 0
) -> None:
    """Initialise MNIST or one of the data sets that are derived from it."""
    _begin(data_set, root, transform, target_transform)
    data_set.train = train
    name = name_data_set(data_set)
    count, classes = 60_000 if train else 10_000, 10
    if name == "EMNIST":
        of_train, of_test, classes = _OF_EMNIST[data_set.split]
        count = of_train if train else of_test
    if name == "QMNIST":
        count = _OF_QMNIST[data_set.what]
    images, labels = make_stand_in_images(count, (28, 28), classes)
    if name == "EMNIST" and data_set.split == "letters":
        labels += 1
    data_set.data, data_set.targets = torch.from_numpy(images), torch.from_numpy(labels)
    if name == "QMNIST":  # its other columns say who wrote a digit
        data_set.targets = torch.nn.functional.pad(data_set.targets[:, None], (0, 7))


def _make_cifar(
    data_set: Any, root: Any, train: bool = True, transform: Any = None, target_transform: Any = None, download: Any = 0
) -> None:
    """Initialise CIFAR10 or CIFAR100."""
    _begin(data_set, root, transform, target_transform)
    data_set.train = train
    classes = _CLASSES[name_data_set(data_set)].split()
    data_set.data, labels = make_stand_in_images(50_000 if train else 10_000, (32, 32, 3), len(classes))
    data_set.targets = labels.tolist()
    data_set.classes = classes
    data_set.class_to_idx = {name: index for index, name in enumerate(classes)}


def _make_svhn(
    data_set: Any,
    root: Any,
    split: str = "train",
    transform: Any = None,
    target_transform: Any = None,
    download: Any = False,
) -> None:
    _begin(data_set, root, transform, target_transform)
    data_set.split = _check_split(split, _OF_SVHN)
    data_set.data, data_set.labels = make_stand_in_images(_OF_SVHN[split], (3, 32, 32), 10)


def _make_stl10(
    data_set: Any,
    root: Any,
    split: str = "train",
    folds: int | None = None,
    transform: Any = None,
    target_transform: Any = None,
    download: Any = False,
) -> None:
    _begin(data_set, root, transform, target_transform)
    data_set.split, data_set.folds = _check_split(split, _OF_STL10), folds
    count, labelled = _OF_STL10[split], 0 if split == "unlabeled" else _OF_STL10["test" if split == "test" else "train"]
    if folds is not None and split.startswith("train"):
        count, labelled = count - labelled + _IN_A_FOLD, _IN_A_FOLD
    data_set.data, data_set.labels = make_stand_in_images(count, (3, 96, 96), 10)
    data_set.labels[labelled:] = -1
    data_set.classes = _CLASSES["STL10"].split()


def _make_usps(
    data_set: Any, root: Any, train: bool = True, transform: Any = None, target_transform: Any = None, download: Any = 0
) -> None:
    _begin(data_set, root, transform, target_transform)
    data_set.data, labels = make_stand_in_images(7_291 if train else 2_007, (16, 16), 10)
    data_set.targets = labels.tolist()


def _check_split(split: Any, sizes: dict[str, int]) -> str:
    if split not in sizes:
        raise ValueError(f"Unknown value '{split}' for argument split. Valid values are {', '.join(sizes)}.")
    return str(split)


# By the class that reads files; the other data sets that homework uses are derived from these.
INITIALISERS: dict[str, Callable[..., None]] = {
    "MNIST": _make_mnist,
    "CIFAR10": _make_cifar,
    "SVHN": _make_svhn,
    "STL10": _make_stl10,
    "USPS": _make_usps,
}
