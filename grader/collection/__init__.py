"""Submissions as students and learning management systems hand them over: folders, zip files, notebooks and data."""

from grader.collection.archive import ArchiveBounds
from grader.collection.collected import CollectedSubmission, Collection
from grader.collection.collecting import collect, collect_archive, collect_files
from grader.collection.layouts import CollectionLayout
from grader.collection.reading import collect_submission, read_submission

__all__ = [
    "ArchiveBounds",
    "CollectedSubmission",
    "Collection",
    "CollectionLayout",
    "collect",
    "collect_archive",
    "collect_files",
    "collect_submission",
    "read_submission",
]
