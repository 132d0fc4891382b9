"""torchvision's data sets as a notebook finds them: read from a folder of the sandbox, or with stand-in images.

Nothing here keeps anything secret: files that must not be read are not in the sandbox.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from grader.models.recipe import Mode
from grader.sandbox.guest.internals.torchvision import (
    find_data_set,
    name_data_set,
    read_from_folders,
    replace_initialiser,
)
from grader.sandbox.guest.stand_in_data_sets import INITIALISERS

__all__ = ["offer_data_sets"]

# Where notebooks look for the files themselves: in the book's folder and in torchvision's.
_ROOTS = (Path("../data"), Path("data"))


def offer_data_sets(mode: Mode, folders: Mapping[str, str], notify: Callable[[str, str, str], None]) -> tuple[str, ...]:
    """Offer the data sets whose files are there, and stand-in images for all others.

    Args:
        mode: how trainings run; with `none`, every data set has stand-in images.
        folders: the folder with the raw files of each data set, by torchvision's name ("FashionMNIST").
        notify: takes a notice for the report, its kind and its subject. It is called for a data set whose files should
            be there.

    Returns:
        The names of the data sets whose files are there.
    """
    listed = folders if mode is not Mode.NONE and find_data_set("MNIST") is not None else {}
    offered = {name: Path(folder) for name, folder in listed.items() if _is_readable(Path(folder))}
    announced: set[str] = set()

    def announce(name: str) -> None:
        if name in announced:
            return
        announced.add(name)
        reason = "trainings are left out in this run" if mode is Mode.NONE else "its files are not on this machine"
        text = f"{name} has stand-in images here, because {reason} (--training {mode})"
        sys.stdout.write(f"({text})\n")
        if mode is not Mode.NONE:
            notify(text, "no data", name)

    for name, initialise in INITIALISERS.items():
        _offer_stand_in(name, initialise, offered, announce)
    if offered:
        read_from_folders(lambda name, expected: _find_folder(offered.get(name), expected))
        for name, folder in offered.items():
            for root in _ROOTS:
                _link(root / name / "raw", folder)
    return tuple(offered)


def _offer_stand_in(
    name: str, initialise: Callable[..., None], offered: Mapping[str, Path], announce: Callable[[str], None]
) -> None:
    """Let a class and those derived from it have stand-in images, except for those that are offered."""

    def initialise_either(data_set: Any, *args: Any, **options: Any) -> None:
        derived = name_data_set(data_set)
        if derived in offered and read_files is not None:
            read_files(data_set, *args, **options)
        else:
            initialise(data_set, *args, **options)
            announce(derived)

    read_files = replace_initialiser(name, initialise_either)


def _is_readable(folder: Path) -> bool:
    """Return whether a folder has files. Without the private file system it is missing."""
    try:
        return any(folder.iterdir())
    except OSError:
        return False


def _find_folder(folder: Path | None, expected: Path) -> Path | None:
    """Return where to read files: `expected` with links to them, or their own folder if that cannot be written."""
    return folder if folder is None or not _link(expected, folder) else expected


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
