"""A class at one look: its scores, how its items did, the mistakes that were made, and who needs somebody to look.

Points that are still to be decided count neither for nor against anyone: a score is the share of the points that were
decided, and an item's numbers are those of the submissions in which it was judged.
"""

from __future__ import annotations

import json
import statistics
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from grader.results.journal import JournalRecord, Status
from grader.results.report import ItemResult, Report, Verdict

__all__ = ["Bin", "ItemOverview", "Lost", "Overview", "Scores", "SubmissionOverview", "summarise"]

_BINS = 10  # of the histogram
_LISTED = 10  # misconceptions, messages, slowest
_PLACES = 6
_FEWEST = 3  # submissions between which a correlation says anything: two always lie on a line
_WRONG = {Verdict.FAILED, Verdict.PARTIAL, Verdict.ERROR}


@dataclass(frozen=True)
class Bin:
    """How many scores are at least `lowest` and below `highest`, in percent; the last bin has 100 too."""

    lowest: float
    highest: float
    count: int


@dataclass(frozen=True)
class Scores:
    """The scores of a class, each in percent of the points that were decided.

    `deviation` is the standard deviation of this class, not an estimate for others (the sum is divided by n);
    the quartiles lie between neighbours in proportion, as numpy's do.
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
    """How one item did.

    Attributes:
        id: the item's, as its section, title and points are.
        judged: in how many submissions it came to something else than pending.
        pass_rate: the share of those that passed, None where there is none.
        mean_share: of its points, over the same submissions.
        discrimination: the correlation of its points with the share of all others' (item-rest correlation, Ebel and
            Frisbie, Essentials of Educational Measurement, chapter 13); None where all are alike or fewer than three.
        verdicts: how many submissions came to each verdict.
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
    """A reason for which several submissions lost an item: a misconception's id, or what the report says."""

    item: str
    reason: str
    count: int


@dataclass(frozen=True)
class SubmissionOverview:
    """One submission: how it ended, where its report is below the batch's folder, and its points where it has one."""

    key: str
    name: str
    status: Status
    message: str
    report: str
    seconds: float
    points: float | None = None
    max_points: float | None = None
    pending_points: float | None = None


@dataclass(frozen=True)
class Overview:
    """What a batch came to.

    Attributes:
        title: of the assignment, "" where nothing was graded.
        revision: of the rubric that most reports were made with.
        other_revisions: how many reports were made with another.
        counts: how many submissions ended in each status.
        pending: in how many submissions points are still to be decided.
        scores: None where no points were decided.
        items: in the rubric's order.
        misconceptions: the most frequent ones.
        messages: what several reports say of an item that was lost, where no misconception was named.
        slowest: the submissions that took longest.
        unreadable: those in which there is nothing that can be read as a notebook.
        failed: system errors, which are nobody's zero.
        submissions: all of them.
    """

    title: str
    revision: str
    other_revisions: int
    counts: dict[str, int]
    pending: int
    scores: Scores | None
    items: tuple[ItemOverview, ...] = ()
    misconceptions: tuple[Lost, ...] = ()
    messages: tuple[Lost, ...] = ()
    slowest: tuple[SubmissionOverview, ...] = ()
    unreadable: tuple[SubmissionOverview, ...] = ()
    failed: tuple[SubmissionOverview, ...] = ()
    submissions: tuple[SubmissionOverview, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Return the overview as plain JSON values."""
        return asdict(self)

    def to_json(self) -> str:
        """Return the overview as JSON."""
        return json.dumps(self.to_dict(), ensure_ascii=False, indent=1, sort_keys=True) + "\n"


def summarise(entries: Iterable[tuple[JournalRecord, Report | None]]) -> Overview:
    """Sum up a batch.

    Args:
        entries: each submission's record, and its report where it has one; a report is let go once it was looked at.
    """
    ended: list[SubmissionOverview] = []
    titles: Counter[str] = Counter()
    revisions: Counter[str] = Counter()
    shares: list[float] = []
    pending = 0
    items: dict[str, _Item] = {}
    for record, report in entries:
        ended.append(_looked_at(record, report))
        if report is None:
            continue
        titles[report.title] += 1
        revisions[report.revision] += 1
        pending += report.pending_points > 0
        if (share := _share(report.items)) is not None:
            shares.append(share)
        for item in report.items:
            items.setdefault(item.id, _Item(item)).add(
                item, _share([each for each in report.items if each is not item])
            )
    (revision, count) = next(iter(revisions.most_common(1)), ("", 0))
    statuses = Counter(each.status for each in ended)
    return Overview(
        title=next((title for title, _ in titles.most_common(1)), ""),
        revision=revision,
        other_revisions=revisions.total() - count,
        counts={status.value: statuses[status] for status in Status},
        pending=pending,
        scores=_scores(shares) if shares else None,
        items=tuple(item.summed_up() for item in items.values()),
        misconceptions=_most((item.first.id, reason, n) for item in items.values() for reason, n in item.named.items()),
        messages=_most(
            (item.first.id, reason, n) for item in items.values() for reason, n in item.unnamed.items() if n > 1
        ),
        slowest=tuple(sorted(ended, key=lambda each: (-each.seconds, each.key))[:_LISTED]),
        unreadable=tuple(each for each in ended if each.status is Status.UNREADABLE),
        failed=tuple(each for each in ended if each.status is Status.FAILED),
        submissions=tuple(ended),
    )


@dataclass
class _Item:
    """What is gathered of one item while the reports go by."""

    first: ItemResult
    verdicts: Counter[Verdict] = field(default_factory=Counter)
    named: Counter[str] = field(default_factory=Counter)
    unnamed: Counter[str] = field(default_factory=Counter)
    shares: list[float] = field(default_factory=list)
    with_rest: list[tuple[float, float]] = field(default_factory=list)  # only where others were decided too

    def add(self, item: ItemResult, rest: float | None) -> None:
        self.verdicts[item.verdict] += 1
        if item.misconception:
            self.named[item.misconception] += 1
        elif item.verdict in _WRONG and not item.by_person:  # a comment is for one student
            self.unnamed[item.message] += 1
        if (share := _share([item])) is not None:
            self.shares.append(share)
            if rest is not None:
                self.with_rest.append((share, rest))

    def summed_up(self) -> ItemOverview:
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
    """Return which share of the points that were decided was earned, None where none were."""
    decided = [item for item in items if item.verdict is not Verdict.PENDING]
    possible = sum(item.max_points for item in decided)
    # Rounded, because sums of the same points in another order differ in their last digits.
    return round(sum(item.points for item in decided) / possible, 9) if possible else None


def _correlation(pairs: Sequence[tuple[float, float]]) -> float | None:
    """Return Pearson's correlation, None where there is none."""
    if len(pairs) < _FEWEST or len({own for own, _ in pairs}) < 2 or len({rest for _, rest in pairs}) < 2:
        return None
    own, rest = zip(*pairs, strict=True)
    return round(statistics.correlation(own, rest), _PLACES)


def _scores(shares: Sequence[float]) -> Scores:
    scores = [100 * share for share in shares]
    # One score lies at each quartile; `quantiles` wants two.
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


def _looked_at(record: JournalRecord, report: Report | None) -> SubmissionOverview:
    points = (report.score, report.max_score, report.pending_points) if report else (None, None, None)
    return SubmissionOverview(
        record.key, record.name, record.status, record.message, record.report, record.seconds, *points
    )


def _most(counted: Iterable[tuple[str, str, int]]) -> tuple[Lost, ...]:
    found = sorted((Lost(*each) for each in counted), key=lambda lost: (-lost.count, lost.item, lost.reason))
    return tuple(found[:_LISTED])
