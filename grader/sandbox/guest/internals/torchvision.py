"""torchvision's data sets: where they look for files, and what is called when one is made.

torchvision need not be installed, so it is looked up when it is needed and not imported.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from grader.sandbox.guest.internals.replacement import call_after_init, replace_attribute

__all__ = [
    "call_after_data_set",
    "find_data_set",
    "initialise_data_set",
    "is_data_set",
    "name_data_set",
    "read_from_folders",
    "read_true_labels",
    "replace_initialiser",
]


def find_data_set(name: str) -> Any:
    """Return a data set's class, or None if torchvision is not loaded or does not have it."""
    found = getattr(sys.modules.get("torchvision.datasets"), name, None)
    return found if isinstance(found, type) else None


def is_data_set(value: Any) -> bool:
    """Return whether a value is one of torchvision's data sets, or of a class derived from one."""
    vision = sys.modules.get("torchvision.datasets.vision")
    return vision is not None and isinstance(value, vision.VisionDataset)


def name_data_set(data_set: Any) -> str:
    """Return the name of torchvision's class; a student's own class may be derived from it and have any name."""
    return next(kind.__name__ for kind in type(data_set).__mro__ if kind.__module__.startswith("torchvision."))


def initialise_data_set(data_set: Any, root: Any, transform: Any, target_transform: Any) -> None:
    """Do the part of making a data set that all of them share and that reads no file."""
    vision: Any = sys.modules["torchvision.datasets.vision"]
    vision.VisionDataset.__init__(data_set, root, transform=transform, target_transform=target_transform)


def replace_initialiser(name: str, initialise: Callable[..., None]) -> Callable[..., None] | None:
    """Make a data set by `initialise`, and return what made it before, or None if torchvision does not have it."""
    data_set = find_data_set(name)
    former: Callable[..., None] | None = None
    if data_set is not None:
        former = replace_attribute(data_set, "__init__", initialise)
    return former


def read_from_folders(find_folder: Callable[[str, Path], Path | None]) -> None:
    """Let MNIST and the classes derived from it read their raw files elsewhere.

    Args:
        find_folder: returns the folder to read, or None for torchvision's own, given the class's name and the folder
            that torchvision would read.
    """
    mnist: Any = find_data_set("MNIST")

    def folder_of(data_set: Any) -> str:
        own = Path(raw_folder(data_set))
        return str(find_folder(name_data_set(data_set), own) or own)

    raw_folder = mnist.raw_folder.fget
    replace_attribute(mnist, "raw_folder", property(folder_of))


def call_after_data_set(notice: Callable[[Any], None]) -> None:
    """Call `notice` with each data set of images that is made, if torchvision is loaded."""
    vision = sys.modules.get("torchvision.datasets.vision")
    if vision is not None:
        call_after_init(vision.VisionDataset, notice)


def read_true_labels(data_set: Any) -> Any:
    """Return the labels (n,) of the training images in the files of MNIST or a class derived from it."""
    read = sys.modules["torchvision.datasets.mnist"].read_label_file
    return read(str(Path(data_set.raw_folder) / "train-labels-idx1-ubyte"))
