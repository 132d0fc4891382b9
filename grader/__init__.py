"""An automated grader for deep-learning notebooks: student code runs in a sandbox that holds no answers.

The names below are the Python API (docs/api.md). Each is imported when it is first used, so `import grader` is cheap
and imports no torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from grader.assignment import Assignment, find_assignment
    from grader.collection.reading import read_submission
    from grader.errors import GraderError, InputError, SystemFault
    from grader.grading.session import GradingSession
    from grader.grading.single import grade
    from grader.models.recipe import Mode
    from grader.results.report import ItemResult, Report, Verdict
    from grader.submission.submission import Submission

__all__ = [
    "Assignment",
    "GraderError",
    "GradingSession",
    "InputError",
    "ItemResult",
    "Mode",
    "Report",
    "Submission",
    "SystemFault",
    "Verdict",
    "find_assignment",
    "grade",
    "load_ipython_extension",
    "read_submission",
]

_MODULES = {
    "Assignment": "grader.assignment",
    "GraderError": "grader.errors",
    "GradingSession": "grader.grading.session",
    "InputError": "grader.errors",
    "ItemResult": "grader.results.report",
    "Mode": "grader.models.recipe",
    "Report": "grader.results.report",
    "Submission": "grader.submission.submission",
    "SystemFault": "grader.errors",
    "Verdict": "grader.results.report",
    "find_assignment": "grader.assignment",
    "grade": "grader.grading.single",
    "read_submission": "grader.collection.reading",
}


def load_ipython_extension(shell: Any) -> None:
    """Register the magic `%grader` for `%load_ext grader` (docs/checking.md)."""
    from grader.self_check.magic import register

    register(shell)


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used (PEP 562)."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(_MODULES[name]), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
