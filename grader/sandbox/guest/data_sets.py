"""torchvision's data sets as a notebook finds them: read from a folder of the sandbox, or withheld.

Nothing here keeps anything secret: files that must not be read are not in the sandbox.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from grader.models.recipe import Mode
from grader.sandbox.guest.internals.torchvision import find_data_set, read_from_folders, withhold
from grader.sandbox.protocol.stops import StopKind

__all__ = ["WITHHELD", "TrainingDataWithheld", "offer_data_sets"]

WITHHELD = "the training data is withheld in this run, so this training ends here; it costs no points"
# Those that fetch files themselves. The other data sets that homework uses are derived from them.
_SOURCES = ("MNIST", "CIFAR10", "SVHN", "STL10", "EMNIST", "USPS")
# Where notebooks look for the files themselves: in the book's folder and in torchvision's.
_ROOTS = (Path("../data"), Path("data"))


class TrainingDataWithheld(RuntimeError):
    """The notebook asked for training data that this run withholds."""

    stop_kind = StopKind.LEFT_OUT

    def __init__(self) -> None:
        super().__init__(WITHHELD)


def offer_data_sets(mode: str, folders: Mapping[str, str]) -> tuple[str, ...]:
    """Offer the data sets whose files are there. The others end with a clear notice instead of a long wait.

    Args:
        mode: a `Mode`; with `none`, nothing is offered.
        folders: the folder with the raw files of each data set, by torchvision's name ("FashionMNIST").

    Returns:
        The names of the data sets that can be read.
    """
    listed = folders if mode != Mode.NONE and find_data_set("MNIST") is not None else {}
    offered = {name: Path(folder) for name, folder in listed.items() if _is_readable(Path(folder))}
    for name in _SOURCES:
        data_set = find_data_set(name)
        if data_set is not None and not (name == "MNIST" and offered):
            withhold(data_set, _refuse)
    if offered:

        def find_folder(name: str, expected: Path) -> Path:
            return expected if _link(expected, offered[name]) else offered[name]

        read_from_folders(offered, find_folder, _refuse)
        for name, folder in offered.items():
            for root in _ROOTS:
                _link(root / name / "raw", folder)
    return tuple(offered)


def _is_readable(folder: Path) -> bool:
    """Return whether a folder has files. Without the private file system it is missing."""
    try:
        return any(folder.iterdir())
    except OSError:
        return False


def _refuse() -> None:
    raise TrainingDataWithheld()


def _link(expected: Path, folder: Path) -> bool:
    """Link the files of a folder into `expected`. Return False if that cannot be written ("/content/data")."""
    try:
        expected.mkdir(parents=True, exist_ok=True)
        for file in folder.iterdir():
            link = expected / file.name
            if not link.exists():
                link.unlink(missing_ok=True)
                link.symlink_to(file)
    except OSError:
        return False
    return True
