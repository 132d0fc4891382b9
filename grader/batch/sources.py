"""Collects the folders, zip files and notebooks on a command line as one batch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from grader.collection import CollectedSubmission, Collection, collect, collect_files
from grader.collection.folder import read_file
from grader.errors import InputError

__all__ = ["collect_sources"]


def collect_sources(paths: Sequence[Path], out: Path) -> tuple[list[CollectedSubmission], list[str]]:
    """Collect the submissions at all of these paths.

    Args:
        paths: folders, zip files, and other files; all other files form one collection.
        out: the folder of the reports, which must not be taken for submissions next time.

    Returns:
        The submissions, and notices on skipped files.

    Raises:
        InputError: a path cannot be read or holds no notebook, or `out` lies inside it.
    """
    for path in paths:
        if path.is_dir() and out.resolve().is_relative_to(path.resolve()):
            raise InputError(f"{out} lies inside {path}, where it would be taken for a submission: give another --out")
    single = [path for path in paths if not path.is_dir() and path.suffix.casefold() != ".zip"]
    collections = [collect(path) for path in paths if path not in single or len(single) == 1]
    if len(single) > 1:
        collections.append(collect_files([(str(path), read_file(path)) for path in single]))
    notices = [notice for collection in collections for notice in collection.notices]
    return _make_keys_unique(collections), notices


def _make_keys_unique(collections: Sequence[Collection]) -> list[CollectedSubmission]:
    """Number keys that occur in several collections; within one collection they are unique."""
    taken: set[str] = set()
    submissions = []
    for submission in (submission for collection in collections for submission in collection.submissions):
        key, number = submission.key, 1
        while key.casefold() in taken:
            number += 1
            key = f"{submission.key}-{number}"
        taken.add(key.casefold())
        submissions.append(replace(submission, key=key))
    return submissions
