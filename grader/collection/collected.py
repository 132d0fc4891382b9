"""What a class handed in, each student's notebooks under a key."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from grader.collection.forms import CollectionLayout

__all__ = ["CollectedSubmission", "Collection"]


@dataclass(frozen=True)
class CollectedSubmission:
    """What one student, or one group, handed in.

    Attributes:
        key: no other's in this collection, also where upper and lower case are the same; safe as a file's name.
        name: as the learning management system shows it.
        identifiers: what that system knows it by: `canvas_id`, `canvas_anonymous`, `moodle_participant`, `login`.
        files: the notebooks' names and bytes; none where nothing handed in is a notebook.
        notices: what was left aside and why, and what else to know.
    """

    key: str
    name: str
    identifiers: Mapping[str, str] = field(default_factory=dict)
    files: tuple[tuple[str, bytes], ...] = ()
    notices: tuple[str, ...] = ()


@dataclass(frozen=True)
class Collection:
    """What a class handed in, in order of the keys, and what was left aside as nobody's."""

    form: CollectionLayout
    handed_in: tuple[CollectedSubmission, ...]
    notices: tuple[str, ...] = ()
