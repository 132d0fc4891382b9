"""The cells of a submission as they were handed in, for reports that show code beside its result."""

from __future__ import annotations

from collections.abc import Iterator

from grader.errors import SubmissionError
from grader.results.source_cells import Sources, collect_sources
from grader.service.api.service import Service
from grader.service.store.queries.submissions import SubmissionStatus
from grader.submission.submission import Notebook, read_notebook

__all__ = ["read_sources"]


def read_sources(service: Service, submission: SubmissionStatus) -> Sources:
    """Return the cells of a submission's notebooks, without those that cannot be read.

    Raises:
        SystemFault: the blob of a notebook is missing or damaged.
    """
    notebooks = _read_notebooks(service, submission)
    return collect_sources(
        (notebook.name, ((cell.kind, cell.source) for cell in notebook.cells)) for notebook in notebooks
    )


def _read_notebooks(service: Service, submission: SubmissionStatus) -> Iterator[Notebook]:
    for name, sha256 in submission.files:
        data = service.store.blobs.get(sha256)
        try:
            with service.unpacking:
                notebook = read_notebook(name, data)
        except SubmissionError:
            continue
        yield notebook
