"""Submissions of a class, each under a key of its own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from grader.collection.layouts import CollectionLayout

__all__ = ["CollectedSubmission", "Collection"]


@dataclass(frozen=True)
class CollectedSubmission:
    """The submission of one student or one group.

    Attributes:
        key: unique in the collection even if case is ignored, and safe as a file name.
        name: the name that the learning management system shows.
        identifiers: the ids in that system: `canvas_id`, `canvas_anonymous`, `moodle_participant`, `login`.
        files: names and contents of the notebooks; empty if there is no notebook.
        notices: which files were skipped and why, and other remarks.
    """

    key: str
    name: str
    identifiers: Mapping[str, str] = field(default_factory=dict)
    files: tuple[tuple[str, bytes], ...] = ()
    notices: tuple[str, ...] = ()


@dataclass(frozen=True)
class Collection:
    """The submissions of a class, sorted by key; `notices` lists skipped files that belong to no student."""

    layout: CollectionLayout
    submissions: tuple[CollectedSubmission, ...]
    notices: tuple[str, ...] = ()
