"""Submissions of a class as learning management systems export them: folders, zip files, notebooks."""

from grader.collection.archive import ArchiveBounds
from grader.collection.collected import CollectedSubmission, Collection
from grader.collection.collecting import collect, collect_archive, collect_notebooks
from grader.collection.layouts import CollectionLayout

__all__ = [
    "ArchiveBounds",
    "CollectedSubmission",
    "Collection",
    "CollectionLayout",
    "collect",
    "collect_archive",
    "collect_notebooks",
]
