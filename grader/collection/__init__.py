"""What a class handed in, in the forms that learning management systems give: folders, zip files, notebooks."""

from grader.collection.archive import ArchiveBounds
from grader.collection.collecting import collect, collect_archive, collect_notebooks
from grader.collection.forms import Form
from grader.collection.handed_in import Collection, HandedIn

__all__ = ["ArchiveBounds", "Collection", "Form", "HandedIn", "collect", "collect_archive", "collect_notebooks"]
