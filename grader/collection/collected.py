"""Submissions of a class, each under a key of its own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from grader.collection.layouts import CollectionLayout
from grader.results.notice import Notice
from grader.submission.assembly import assemble_submission
from grader.submission.submission import Submission

__all__ = ["CollectedSubmission", "Collection"]


@dataclass(frozen=True)
class CollectedSubmission:
    """The submission of one student or one group.

    Attributes:
        key: unique in the collection even if case is ignored, and safe as a file name.
        name: the name that the learning management system shows.
        identifiers: the ids in that system: `canvas_id`, `canvas_anonymous`, `moodle_participant`, `login`.
        files: paths and contents of the notebooks and of what was handed in beside them; empty if there is nothing.
        notices: which files were left out and why, and other remarks.
    """

    key: str
    name: str
    identifiers: Mapping[str, str] = field(default_factory=dict)
    files: tuple[tuple[str, bytes], ...] = ()
    notices: tuple[Notice, ...] = ()

    def read(self) -> Submission:
        """Return the submission as it is graded. Reading costs time, and no file that is no notebook is an error."""
        return assemble_submission(self.files, self.notices)


@dataclass(frozen=True)
class Collection:
    """The submissions of a class, sorted by key; `notices` lists skipped files that belong to no student."""

    layout: CollectionLayout
    submissions: tuple[CollectedSubmission, ...]
    notices: tuple[str, ...] = ()
