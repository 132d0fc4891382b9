"""An overview of a class: scores, items, frequent mistakes, and submissions that need attention.

Points that are still to be decided do not count: a score is the share of the decided points, and an item's numbers are
those of the submissions in which it was judged.
"""

from __future__ import annotations

import json
import statistics
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from grader.place import describe_cell
from grader.results.alarms import Alarm, AlarmCounter
from grader.results.journal import JournalRecord, Status
from grader.results.report import ItemResult, Report, Verdict

__all__ = ["Bin", "ItemOverview", "Lost", "Overview", "Scores", "SubmissionOverview", "summarise"]

_BINS = 10  # of the histogram
_LISTED = 10  # misconceptions, messages, slowest
_MOST_PARTS = 3
_SHARE_OF_LONG = 0.2  # of the time of a submission
_PLACES = 6
_FEWEST = 3  # submissions for a correlation; two points always lie on a line
_WRONG = {Verdict.FAILED, Verdict.PARTIAL, Verdict.ERROR}


@dataclass(frozen=True)
class Bin:
    """The number of scores of at least `lowest` and below `highest` percent; the last bin includes 100."""

    lowest: float
    highest: float
    count: int


@dataclass(frozen=True)
class Scores:
    """The scores of a class, in percent of the decided points.

    `deviation` is the population standard deviation. The quartiles are interpolated linearly, like numpy's.
    """

    mean: float
    deviation: float
    lowest: float
    lower_quartile: float
    median: float
    upper_quartile: float
    highest: float
    histogram: tuple[Bin, ...]


@dataclass(frozen=True)
class ItemOverview:
    """The results of one item.

    Attributes:
        id: the id of the item; section, title and max_points are also those of the item.
        judged: the number of submissions in which it is not pending.
        pass_rate: the share of those submissions that passed; None if there are none.
        mean_share: the mean share of its points over the same submissions.
        discrimination: the correlation of its points with the share of the points of all other items (item-rest
            correlation, Ebel and Frisbie, Essentials of Educational Measurement, chapter 13). None if all values are
            equal, or for fewer than three submissions.
        verdicts: the number of submissions by verdict.
    """

    id: str
    section: str
    title: str
    max_points: float
    judged: int
    pass_rate: float | None
    mean_share: float | None
    discrimination: float | None
    verdicts: dict[str, int]


@dataclass(frozen=True)
class Lost:
    """A reason why submissions lost an item: the id of a misconception, or the message in the report."""

    item: str
    reason: str
    count: int


@dataclass(frozen=True)
class SubmissionOverview:
    """One submission: how it ended, and the file and the points of its report if it has one.

    `unused_files` are the notices on files that were left out or could not be read. `took` are the parts of the grading
    that took longest, each with its seconds.
    """

    key: str
    name: str
    status: Status
    message: str
    report: str
    seconds: float
    points: float | None = None
    max_points: float | None = None
    pending_points: float | None = None
    unused_files: tuple[str, ...] = ()
    took: tuple[tuple[str, float], ...] = ()


@dataclass(frozen=True)
class Overview:
    """The overview of a batch.

    Attributes:
        title: the title of the assignment; "" if nothing was graded.
        revision: the revision of the rubric that most reports were made with.
        other_revisions: the number of reports that were made with another revision.
        counts: the number of submissions by status.
        pending: the number of submissions with points that are still to be decided.
        scores: the scores; None if no points were decided.
        alarms: what many submissions share that is no mistake of the students.
        items: the items in the rubric's order.
        misconceptions: the most frequent misconceptions.
        messages: the most frequent messages on lost items without a misconception, if in several reports.
        slowest: the submissions that took longest.
        unreadable: the submissions without a readable notebook; their reports decide nothing, and are not counted.
        missing_layers: the layers of the sandbox that did not hold, each with the number of reports.
        failed: the submissions that were not graded because of a system error; that is not a zero.
        submissions: all submissions.
    """

    title: str
    revision: str
    other_revisions: int
    counts: dict[str, int]
    pending: int
    scores: Scores | None
    alarms: tuple[Alarm, ...] = ()
    items: tuple[ItemOverview, ...] = ()
    misconceptions: tuple[Lost, ...] = ()
    messages: tuple[Lost, ...] = ()
    slowest: tuple[SubmissionOverview, ...] = ()
    unreadable: tuple[SubmissionOverview, ...] = ()
    failed: tuple[SubmissionOverview, ...] = ()
    submissions: tuple[SubmissionOverview, ...] = ()
    missing_layers: Mapping[str, int] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Return the overview as plain JSON values."""
        return asdict(self)

    def to_json(self) -> str:
        """Return the overview as JSON."""
        return json.dumps(self.to_dict(), ensure_ascii=False, indent=1, sort_keys=True) + "\n"


def summarise(entries: Iterable[tuple[JournalRecord, Report | None]]) -> Overview:
    """Return the overview of a batch.

    Args:
        entries: the record of each submission, and its report if it has one. Reports are not kept in memory.
    """
    submissions: list[SubmissionOverview] = []
    titles: Counter[str] = Counter()
    revisions: Counter[str] = Counter()
    shares: list[float] = []
    pending = 0
    items: dict[str, _ItemStatistics] = {}
    alarms = AlarmCounter()
    layers: Counter[str] = Counter()
    for record, report in entries:
        submissions.append(_summarise_submission(record, report))
        if report is None:
            continue
        titles[report.title] += 1
        revisions[report.revision] += 1
        alarms.add(report, record.name or record.key)
        layers.update(report.missing_layers)
        if not report.is_readable:
            continue
        pending += report.pending_points > 0
        if (share := _share(report.items)) is not None:
            shares.append(share)
        for item in report.items:
            others = [other for other in report.items if other is not item]
            items.setdefault(item.id, _ItemStatistics(item)).add(item, _share(others))
    (revision, count) = next(iter(revisions.most_common(1)), ("", 0))
    statuses = Counter(submission.status for submission in submissions)
    return Overview(
        title=next((title for title, _ in titles.most_common(1)), ""),
        revision=revision,
        other_revisions=revisions.total() - count,
        counts={status.value: statuses[status] for status in Status},
        pending=pending,
        scores=_summarise_scores(shares) if shares else None,
        alarms=alarms.alarms(),
        items=tuple(item.summarise() for item in items.values()),
        misconceptions=_most_frequent(
            (item.first.id, reason, n) for item in items.values() for reason, n in item.named.items()
        ),
        messages=_most_frequent(
            (item.first.id, reason, n) for item in items.values() for reason, n in item.unnamed.items() if n > 1
        ),
        slowest=tuple(sorted(submissions, key=lambda submission: (-submission.seconds, submission.key))[:_LISTED]),
        unreadable=tuple(item for item in submissions if item.status is Status.UNREADABLE),
        failed=tuple(item for item in submissions if item.status is Status.FAILED),
        submissions=tuple(submissions),
        missing_layers=dict(layers),
    )


@dataclass
class _ItemStatistics:
    """Counts of one item over the reports."""

    first: ItemResult
    verdicts: Counter[Verdict] = field(default_factory=Counter)
    named: Counter[str] = field(default_factory=Counter)
    unnamed: Counter[str] = field(default_factory=Counter)
    shares: list[float] = field(default_factory=list)
    with_rest: list[tuple[float, float]] = field(default_factory=list)  # only if other items are decided

    def add(self, item: ItemResult, rest: float | None) -> None:
        self.verdicts[item.verdict] += 1
        if item.misconception:
            self.named[item.misconception] += 1
        elif item.verdict in _WRONG and not item.by_person:  # comments of a person are for one student
            self.unnamed[item.reason] += 1
        if (share := _share([item])) is not None:
            self.shares.append(share)
            if rest is not None:
                self.with_rest.append((share, rest))

    def summarise(self) -> ItemOverview:
        judged = len(self.shares)
        return ItemOverview(
            id=self.first.id,
            section=self.first.section,
            title=self.first.title,
            max_points=self.first.max_points,
            judged=judged,
            pass_rate=round(self.verdicts[Verdict.PASSED] / judged, _PLACES) if judged else None,
            mean_share=round(statistics.fmean(self.shares), _PLACES) if judged else None,
            discrimination=_correlation(self.with_rest),
            verdicts={verdict.value: self.verdicts[verdict] for verdict in Verdict},
        )


def _share(items: Sequence[ItemResult]) -> float | None:
    """Return the earned share of the decided points, or None if none are decided."""
    decided = [item for item in items if item.verdict is not Verdict.PENDING]
    possible = sum(item.max_points for item in decided)
    # Rounded, because the last digits of a sum depend on its order.
    return round(sum(item.points for item in decided) / possible, 9) if possible else None


def _correlation(pairs: Sequence[tuple[float, float]]) -> float | None:
    """Return Pearson's correlation, or None if it is not defined."""
    if len(pairs) < _FEWEST or len({own for own, _ in pairs}) < 2 or len({rest for _, rest in pairs}) < 2:
        return None
    own, rest = zip(*pairs, strict=True)
    return round(statistics.correlation(own, rest), _PLACES)


def _summarise_scores(shares: Sequence[float]) -> Scores:
    scores = [100 * share for share in shares]
    # `quantiles` needs two values; a single score is each quartile.
    lower, median, upper = statistics.quantiles(scores * 2 if len(scores) == 1 else scores, method="inclusive")
    width = 100 / _BINS
    counts = Counter(min(int(score // width), _BINS - 1) for score in scores)
    return Scores(
        mean=round(statistics.fmean(scores), _PLACES),
        deviation=round(statistics.pstdev(scores), _PLACES),
        lowest=round(min(scores), _PLACES),
        lower_quartile=round(lower, _PLACES),
        median=round(median, _PLACES),
        upper_quartile=round(upper, _PLACES),
        highest=round(max(scores), _PLACES),
        histogram=tuple(Bin(number * width, (number + 1) * width, counts[number]) for number in range(_BINS)),
    )


def _summarise_submission(record: JournalRecord, report: Report | None) -> SubmissionOverview:
    about = (record.key, record.name, record.status, record.message, record.report, record.seconds)
    if report is None:
        return SubmissionOverview(*about)
    points = report.score, report.max_score, report.pending_points
    return SubmissionOverview(*about, *points, report.unused_files, _find_longest(report))


def _find_longest(report: Report) -> tuple[tuple[str, float], ...]:
    """Return the cells that took long, and the judging if it did, the longest first."""
    total = report.timing.get("total_seconds", 0.0)
    counts = {file.name: file.cells for file in report.files}
    parts = [("judging", total - report.timing.get("cells_seconds", 0.0))]
    for timed in report.timing.get("cells", ()):
        file = timed["file"]
        parts.append((f"{file}, {describe_cell(timed['cell'], counts.get(file))}", timed["seconds"]))
    longest = sorted(parts, key=lambda part: -part[1])[:_MOST_PARTS]
    least = max(_SHARE_OF_LONG * total, 0.1)
    return tuple((part, round(seconds, 1)) for part, seconds in longest if seconds >= least)


def _most_frequent(counted: Iterable[tuple[str, str, int]]) -> tuple[Lost, ...]:
    lost = sorted((Lost(*reason) for reason in counted), key=lambda lost: (-lost.count, lost.item, lost.reason))
    return tuple(lost[:_LISTED])
