"""What many submissions of a class share that is no mistake of the students: a missing package, a file, a limit."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from grader.models.recipe import IMPLAUSIBLE
from grader.results.notice import NoticeKind
from grader.results.report import Report, Verdict

__all__ = ["Alarm", "AlarmCounter"]

_FEWEST = 3  # submissions, or
_SHARE = 0.1  # of the class, if at least two have it
_MOST = 10  # alarms of one class
# Exceptions that speak of the machine, the network or the file system, and hardly ever of the student's code.
_OF_THE_ENVIRONMENT = (
    "ConnectionError",
    "FileNotFoundError",
    "HTTPError",
    "ImportError",
    "ModuleNotFoundError",
    "NotADirectoryError",
    "OSError",
    "PermissionError",
    "URLError",
)
_IMPLAUSIBLE = "implausible accuracy"  # an alarm even if only one submission has it
_LIMIT = "limit"
_STOP = "stop"
_LIMITS = {
    "timed out": ("a cell ran past its time", "raise cell_seconds in [limits] of rubric.toml"),
    "out of memory": ("a cell ran out of memory", "raise memory_bytes in [limits] of rubric.toml"),
    "flooded": ("a cell printed too much", "raise cell_output_bytes in [limits] of rubric.toml"),
}
_LONGEST = 200


@dataclass(frozen=True)
class Alarm:
    """One cause that `count` of `total` submissions share.

    Attributes:
        kind: the kind of the notices that were counted, "stop" for an exception in cells, "limit", or "implausible
            accuracy".
        subject: what it is about, such as the name of a package.
        text: what is wrong.
        advice: what the instructor can do.
    """

    kind: str
    subject: str
    count: int
    total: int
    text: str
    advice: str

    def __str__(self) -> str:
        return f"{self.count} of {self.total}: {self.text}; {self.advice}"


@dataclass
class AlarmCounter:
    """Counts causes over the reports of a class. Each submission counts once for each cause."""

    total: int = 0
    _counts: Counter[tuple[str, str]] = field(default_factory=Counter)

    def add(self, report: Report, name: str = "") -> None:
        """Count the causes of one report; `name` is the submission's."""
        self.total += 1
        self._counts.update({*_find_causes(report), *_find_implausible(report, name)})

    def alarms(self) -> tuple[Alarm, ...]:
        """Return the causes that many submissions share, the most frequent first."""
        needed = min(_FEWEST, max(2, _SHARE * self.total))
        shared = [
            (kind, subject, count)
            for (kind, subject), count in self._counts.items()
            if count >= needed or kind == _IMPLAUSIBLE
        ]
        shared.sort(key=lambda cause: (-cause[2], cause[0], cause[1]))
        return tuple(
            Alarm(kind, subject, n, self.total, *_describe(kind, subject)) for kind, subject, n in shared[:_MOST]
        )


def _find_causes(report: Report) -> Iterator[tuple[str, str]]:
    for notice in report.notices:
        match notice.kind:
            case NoticeKind.MISSING_PACKAGE | NoticeKind.VERSION | NoticeKind.HIDDEN_NAME | NoticeKind.NO_DATA:
                yield notice.kind, notice.subject[:_LONGEST]
            case NoticeKind.SKIPPED_FILE:
                yield notice.kind, notice.subject.rpartition("/")[2][:_LONGEST]
            case NoticeKind.UNREADABLE_FILE:
                yield notice.kind, ""  # each has a name of its own
    packages = {notice.subject for notice in report.notices if notice.kind is NoticeKind.MISSING_PACKAGE}
    yield from ((_STOP, error) for error in _find_errors(report) if not any(name in error for name in packages))
    yield from ((_LIMIT, cell.status) for cell in report.cells if cell.status in _LIMITS)


def _find_implausible(report: Report, name: str) -> Iterator[tuple[str, str]]:
    """Find accuracies that a student's process claims and no right model reaches."""
    for item in report.items:
        training = item.evidence.get("training", {})
        claims = [*(training.get("runs", ()) if item.verdict is Verdict.PENDING else ()), *training.get("own", ())]
        highest = max((claim.get("accuracy") or 0.0 for claim in claims), default=0.0)
        if highest > IMPLAUSIBLE.get(training.get("mode", ""), 1.0):
            yield _IMPLAUSIBLE, f"{name}, {item.id}: {highest:.1%}"


def _find_errors(report: Report) -> Iterable[str]:
    errors = (stop.error for cell in report.cells for stop in cell.stops)
    return [error[:_LONGEST] for error in errors if error.partition(":")[0] in _OF_THE_ENVIRONMENT]


def _describe(kind: str, subject: str) -> tuple[str, str]:
    """Return what is wrong, and what to do."""
    match kind:
        case NoticeKind.MISSING_PACKAGE:
            return (
                f"{subject} is not installed here",
                "install it in the grader's environment and grade again, or tell the class that it is not used",
            )
        case NoticeKind.VERSION:
            return (
                f"written for another version: {subject}",
                "grade with that version, or tell the class which one is used",
            )
        case NoticeKind.HIDDEN_NAME:
            return (
                f"an import with * replaces Python's own {subject}",
                "tell the class to import the names that they use",
            )
        case NoticeKind.NO_DATA:
            return f"the data set {subject} is not here", "install it on the grader's machine and grade again"
        case NoticeKind.SKIPPED_FILE:
            return f"{subject} was handed in and not used", "read the notice in one of the reports"
        case NoticeKind.UNREADABLE_FILE:
            return "a file cannot be read", "read the notices, and ask these students to hand in again"
    if kind == _IMPLAUSIBLE:
        return (
            f"an accuracy that no right model reaches, measured in the notebook's own process ({subject})",
            "it was given no points for that; read this notebook before you mark it",
        )
    if kind == _LIMIT:
        return _LIMITS[subject]
    return f"a cell stopped with {subject}", "look at one of these notebooks: this is probably not their mistake"
