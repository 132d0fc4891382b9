"""The data sets of torchvision as a notebook finds them: read from a folder of the sandbox, or withheld.

It runs in the student's kernel. Nothing here keeps anything secret: what is not to be read is not in the sandbox.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from grader.models.recipe import Mode

__all__ = ["WITHHELD", "TrainingDataWithheld", "offer_data_sets"]

WITHHELD = "the training data is withheld in this run, so this training ends here; it costs no points"
# Those that fetch files by themselves; all others of torchvision's that homework uses are made from these.
_SOURCES = ("MNIST", "CIFAR10", "SVHN", "STL10", "EMNIST", "USPS")
# Where notebooks look for the files by hand: in the book's folder and in torchvision's.
_ROOTS = (Path("../data"), Path("data"))


class TrainingDataWithheld(RuntimeError):
    """The notebook asked for training data that this run keeps out."""

    def __init__(self) -> None:
        super().__init__(WITHHELD)


def offer_data_sets(mode: str, folders: Mapping[str, str]) -> tuple[str, ...]:
    """Let the data sets that are there be found, and make all others end with a clear notice instead of a long wait.

    Args:
        mode: a `Mode`; nothing is offered where it is none.
        folders: the folder with the raw files of each data set, by torchvision's name ("FashionMNIST").

    Returns:
        The names of the data sets that can be read.
    """
    datasets = sys.modules.get("torchvision.datasets")
    wanted = folders if mode != Mode.NONE and datasets is not None else {}
    offered = {name: Path(folder) for name, folder in wanted.items() if _readable(Path(folder))}
    for name in _SOURCES:
        data_set = getattr(datasets, name, None)
        if isinstance(data_set, type) and not (name == "MNIST" and offered):
            data_set.__init__ = _withheld  # type: ignore[misc]
    if offered:
        _read_from(sys.modules["torchvision.datasets"].MNIST, offered)
        for name, folder in offered.items():
            for root in _ROOTS:
                _link(root / name / "raw", folder)
    return tuple(offered)


def _readable(folder: Path) -> bool:
    """Tell whether a folder is there; without the private file system it is not."""
    try:
        return any(folder.iterdir())
    except OSError:
        return False


def _withheld(*_: object, **__: object) -> None:
    raise TrainingDataWithheld()


def _read_from(mnist: Any, offered: Mapping[str, Path]) -> None:
    """Have torchvision's MNIST and what is derived from it look for its files in these folders."""
    initialise, raw_folder = mnist.__init__, mnist.raw_folder.fget

    def name_of(data_set: Any) -> str:
        # A student's own class is made from one of torchvision's, and may be called as it likes.
        return next(kind.__name__ for kind in type(data_set).__mro__ if kind.__module__ == mnist.__module__)

    def initialise_if_offered(data_set: Any, *args: Any, **options: Any) -> None:
        if name_of(data_set) not in offered:
            raise TrainingDataWithheld()
        initialise(data_set, *args, **options)

    def folder_of(data_set: Any) -> str:
        wanted, folder = Path(raw_folder(data_set)), offered[name_of(data_set)]
        return str(wanted if _link(wanted, folder) else folder)

    mnist.__init__ = initialise_if_offered
    mnist.raw_folder = property(folder_of)


def _link(wanted: Path, folder: Path) -> bool:
    """Make the files of a folder appear in another one; False where that one cannot be written ("/content/data")."""
    try:
        wanted.mkdir(parents=True, exist_ok=True)
        for file in folder.iterdir():
            link = wanted / file.name
            if not link.exists():
                link.unlink(missing_ok=True)
                link.symlink_to(file)
    except OSError:
        return False
    return True
