"""The submissions that a command names: folders, zip files and notebooks, as one batch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from grader.collection import CollectedSubmission, Collection, collect, collect_notebooks
from grader.collection.folder import read_file
from grader.errors import InputError

__all__ = ["collect_sources"]


def collect_sources(paths: Sequence[Path], out: Path) -> tuple[list[CollectedSubmission], list[str]]:
    """Collect what was handed in from all of these places.

    Args:
        paths: folders, zip files, and notebooks, which are looked at together.
        out: where reports will go, which must not be taken for submissions the next time.

    Returns:
        The submissions, and what was left aside and why.

    Raises:
        InputError: a place cannot be read or holds no notebook, or `out` lies inside of it.
    """
    for path in paths:
        if path.is_dir() and out.resolve().is_relative_to(path.resolve()):
            raise InputError(f"{out} lies inside {path}, where it would be taken for a submission: give another --out")
    alone = [path for path in paths if path.suffix.casefold() == ".ipynb" and not path.is_dir()]
    collections = [collect(path) for path in paths if path not in alone]
    if len(alone) == 1:
        collections.append(collect(alone[0]))
    elif alone:
        collections.append(collect_notebooks([(str(path), read_file(path)) for path in alone]))
    return _with_own_keys(collections), [notice for each in collections for notice in each.notices]


def _with_own_keys(collections: Sequence[Collection]) -> list[CollectedSubmission]:
    """Number the keys that two collections share: within one they differ."""
    taken: set[str] = set()
    found = []
    for one in (one for collection in collections for one in collection.handed_in):
        key, number = one.key, 1
        while key.casefold() in taken:
            number += 1
            key = f"{one.key}-{number}"
        taken.add(key.casefold())
        found.append(replace(one, key=key))
    return found
