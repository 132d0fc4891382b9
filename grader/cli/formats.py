"""The formats of `grader check --format`, and how a report is rendered in each."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import IO, TYPE_CHECKING

from grader.assignment import Assignment
from grader.errors import InputError
from grader.results.report import Report
from grader.submission.submission import Submission

if TYPE_CHECKING:
    from grader.render.gradescope import Visibility

__all__ = ["FORMATS_FOR_CI", "GradedSubmission", "ReportFormat", "fill_step_files", "render"]


class ReportFormat(StrEnum):
    """A format for reports."""

    JSON = "json"
    HTML = "html"
    MARKDOWN = "markdown"
    GITHUB = "github"
    JUNIT = "junit"
    CLASSROOM = "classroom"
    GRADESCOPE = "gradescope"
    PRAIRIELEARN = "prairielearn"


# For systems that grade what others hand in.
FORMATS_FOR_CI = frozenset(ReportFormat) - {ReportFormat.JSON, ReportFormat.HTML, ReportFormat.MARKDOWN}


@dataclass(frozen=True)
class GradedSubmission:
    """A report, with the data that some formats add to it."""

    report: Report
    submission: Submission
    paths: Sequence[Path]  # its files, as named on the command line
    assignment: Assignment
    visibility: Visibility

    @property
    def files(self) -> Mapping[str, Path]:
        """The notebooks' paths by their names in the report, without those of notebooks in zip files."""
        from grader.collection.reading import find_notebooks

        return find_notebooks(self.submission, self.paths)

    @property
    def hidden(self) -> frozenset[str]:
        """The ids of the items that the rubric hides."""
        return frozenset(item.id for item in self.assignment.items if not item.visible)


def render(name: ReportFormat, graded: GradedSubmission) -> str:
    """Return a report in one of the formats."""
    return _renderers()[name](graded)


def fill_step_files(graded: GradedSubmission) -> None:
    """Append the summary and the outputs to the files that GitHub names for the current step.

    Raises:
        InputError: one of these files cannot be written.
    """
    from grader.render.github import render_step_outputs, render_step_summary

    with _step_file("GITHUB_STEP_SUMMARY") as summary:
        if summary:
            summary.write(render_step_summary(graded.report, summary.tell()))
    if not graded.report.is_readable:
        return  # so that no step takes it for a zero
    with _step_file("GITHUB_OUTPUT") as outputs:
        if outputs:
            outputs.write(render_step_outputs(graded.report))


@contextmanager
def _step_file(variable: str) -> Iterator[IO[str] | None]:
    """Open the file that an environment variable names; yield None if it is not set."""
    name = os.environ.get(variable)
    if not name:
        yield None
        return
    try:
        with open(name, "a", encoding="utf-8") as file:
            yield file
    except OSError as error:
        raise InputError(f"cannot write to {name}, which {variable} names: {error.strerror}") from None


def _renderers() -> Mapping[ReportFormat, Callable[[GradedSubmission], str]]:
    # Imported here, so that the command line starts faster.
    from grader.render.classroom import render_classroom
    from grader.render.github import render_github
    from grader.render.gradescope import render_gradescope
    from grader.render.html import render_html
    from grader.render.junit import render_junit
    from grader.render.markdown import render_markdown
    from grader.render.prairielearn import render_prairielearn

    return {
        ReportFormat.JSON: lambda graded: graded.report.to_json(),
        ReportFormat.HTML: lambda graded: render_html(graded.report, graded.submission.sources),
        ReportFormat.MARKDOWN: lambda graded: render_markdown(graded.report),
        ReportFormat.GITHUB: lambda graded: render_github(graded.report, graded.files, _repository()),
        ReportFormat.JUNIT: lambda graded: render_junit(graded.report),
        ReportFormat.CLASSROOM: lambda graded: render_classroom(graded.report),
        ReportFormat.GRADESCOPE: lambda graded: render_gradescope(graded.report, graded.hidden, graded.visibility),
        ReportFormat.PRAIRIELEARN: lambda graded: render_prairielearn(graded.report),
    }


def _repository() -> Path:
    return Path(os.environ.get("GITHUB_WORKSPACE") or Path.cwd())
