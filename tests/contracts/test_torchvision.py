"""What grader/sandbox/guest relies on in torchvision: internals/torchvision.py and trainings/image_batches.py."""

from __future__ import annotations

import inspect

import pytest

from tests.support.library_contracts import Library

TORCHVISION = Library("torchvision")


@pytest.mark.parametrize(
    ("path", "parameters"),
    [
        ("torchvision.datasets:MNIST.__init__", "self root train transform target_transform download"),
        ("torchvision.datasets:MNIST.__getitem__", "self index"),
        ("torchvision.datasets.mnist:read_label_file", "path"),
        ("torchvision.datasets:CIFAR10.__init__", "self root train transform target_transform download"),
        ("torchvision.datasets:SVHN.__init__", "self root split transform target_transform download"),
        ("torchvision.datasets:STL10.__init__", "self root split folds transform target_transform download"),
        ("torchvision.datasets:USPS.__init__", "self root train transform target_transform download"),
        ("torchvision.datasets.vision:VisionDataset.__init__", "self root transforms transform target_transform"),
    ],
)
def test_a_function_is_there_with_its_parameters(path: str, parameters: str) -> None:
    TORCHVISION.check_parameters(path, parameters)


@pytest.mark.parametrize("name", ["MNIST", "CIFAR10", "SVHN", "STL10", "EMNIST", "USPS"])
def test_a_data_set_with_stand_in_images_is_there(name: str) -> None:
    vision = TORCHVISION.find("torchvision.datasets.vision:VisionDataset")
    data_set = TORCHVISION.find(f"torchvision.datasets:{name}")
    TORCHVISION.check(issubclass(data_set, vision), f"{name} is a VisionDataset")


def test_mnist_reads_its_raw_folder() -> None:
    mnist = TORCHVISION.find("torchvision.datasets:MNIST")
    fashion = TORCHVISION.find("torchvision.datasets:FashionMNIST")
    TORCHVISION.check(isinstance(mnist.raw_folder, property), "MNIST.raw_folder is a property")
    TORCHVISION.check("raw_folder" not in vars(fashion), "FashionMNIST reads the folder that MNIST does")
    TORCHVISION.check(fashion.__module__ == mnist.__module__, "FashionMNIST stands beside MNIST")
    source = inspect.getsource(mnist)
    for use in ("self.raw_folder", "self.data", "self.targets", "self.transform", "self.target_transform"):
        TORCHVISION.check(use in source, f"MNIST uses {use}")


@pytest.mark.parametrize(
    ("name", "attributes"),
    [
        ("EMNIST", "self.split self.classes_split_dict"),
        ("QMNIST", "self.what self.compat"),
        ("CIFAR10", "self.train self.data self.targets self.classes self.class_to_idx"),
        ("SVHN", "self.split self.data self.labels"),
        ("STL10", "self.split self.folds self.data self.labels self.classes"),
        ("USPS", "self.data self.targets"),
    ],
)
def test_stand_in_images_are_where_a_data_set_looks_for_them(name: str, attributes: str) -> None:
    source = inspect.getsource(TORCHVISION.find(f"torchvision.datasets:{name}"))
    for use in attributes.split():
        TORCHVISION.check(use in source, f"{name} uses {use}")


def test_transforms_keep_their_settings() -> None:
    transforms = TORCHVISION.find("torchvision.transforms")
    resize = transforms.Resize(28)
    known = {"size", "interpolation", "max_size", "antialias"}
    TORCHVISION.check(known <= vars(resize).keys(), f"Resize has {', '.join(sorted(known))}")
    TORCHVISION.check(hasattr(transforms.Compose([]), "transforms"), "Compose has its transforms")
