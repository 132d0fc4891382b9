"""torchvision's data sets: where they look for files, and what is called when one is made.

torchvision need not be installed, so it is looked up when it is needed and not imported.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

from grader.sandbox.guest.internals.replacement import call_after_init, replace_attribute

__all__ = ["call_after_data_set", "find_data_set", "read_from_folders", "read_true_labels", "withhold"]


def find_data_set(name: str) -> Any:
    """Return a data set's class, or None if torchvision is not loaded or does not have it."""
    found = getattr(sys.modules.get("torchvision.datasets"), name, None)
    return found if isinstance(found, type) else None


def withhold(data_set: Any, refuse: Callable[[], None]) -> None:
    """Call `refuse`, which raises, instead of making a data set of this class."""
    replace_attribute(data_set, "__init__", lambda *_, **__: refuse())


def read_from_folders(
    offered: Collection[str], find_folder: Callable[[str, Path], Path], refuse: Callable[[], None]
) -> None:
    """Let MNIST and the classes derived from it read their raw files elsewhere.

    Args:
        offered: the classes whose files are there. For the others `refuse` is called, which raises.
        find_folder: returns the folder to read, given the class's name and the folder that torchvision would read.
        refuse: is called for a data set that is not offered.
    """
    mnist: Any = find_data_set("MNIST")

    def name_of(data_set: Any) -> str:
        # A student's own class may be derived from one of torchvision's and have any name.
        return next(kind.__name__ for kind in type(data_set).__mro__ if kind.__module__ == mnist.__module__)

    def initialise_if_offered(data_set: Any, *args: Any, **options: Any) -> None:
        if name_of(data_set) not in offered:
            refuse()
        initialise(data_set, *args, **options)

    def folder_of(data_set: Any) -> str:
        return str(find_folder(name_of(data_set), Path(raw_folder(data_set))))

    raw_folder = mnist.raw_folder.fget
    initialise = replace_attribute(mnist, "__init__", initialise_if_offered)
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
