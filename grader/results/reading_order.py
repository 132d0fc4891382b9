"""The order in which people read items: what to mend first, what lost points, and the rest in few lines."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from grader.results.report import ItemResult, Report, Verdict

__all__ = ["arrange", "describe_counts", "describe_mend_first", "group_alike", "order_items"]

_MOST_CAUSES = 3
_WORDS = {
    Verdict.FAILED: "wrong",
    Verdict.PARTIAL: "partly right",
    Verdict.ERROR: "with an error",
    Verdict.ABSENT: "absent",
    Verdict.PASSED: "right",
    Verdict.PENDING: "pending",
}


def order_items(items: Sequence[ItemResult]) -> list[ItemResult]:
    """Return items in the order in which people read them, each group in the rubric's order.

    First those that lost points by themselves, then those that lost them because of another item or are absent, then
    those that passed, and last those that wait.
    """
    return sorted(items, key=_rank)


def arrange(report: Report) -> Report:
    """Return a report with its items in the order in which people read them."""
    return replace(report, items=tuple(order_items(report.items)))


def _rank(item: ItemResult) -> int:
    if not item.has_lost:
        return 3 if item.verdict is Verdict.PASSED else 4
    if item.because_of is not None:
        return 2
    return 1 if item.verdict is Verdict.ABSENT and item.place is None else 0


def group_alike(items: Sequence[ItemResult]) -> list[ItemResult]:
    """Return items with those put into one that wait and have the same to say, such as several unwritten answers.

    The one has their ids ("discussion.7.1, 7.3") and the sum of their points, and stands where the first of them did.
    """
    groups: dict[object, list[ItemResult]] = {}
    for number, item in enumerate(items):
        waits = item.verdict is Verdict.PENDING and item.file is None
        groups.setdefault(item.message if waits else number, []).append(item)
    return [_merge(group) for group in groups.values()]


def _merge(group: Sequence[ItemResult]) -> ItemResult:
    first = group[0]
    points, most = sum(item.points for item in group), sum(item.max_points for item in group)
    return replace(first, id=_join_ids([item.id for item in group]), points=points, max_points=most)


def _join_ids(ids: Sequence[str]) -> str:
    """Return ids with what they have in common up to a dot written once."""
    start = f"{ids[0].partition('.')[0]}."
    if all(name.startswith(start) for name in ids):
        return ", ".join([ids[0], *(name.removeprefix(start) for name in ids[1:])])
    return ", ".join(ids)


def describe_counts(report: Report) -> str:
    """Return how many items have each verdict: "2 wrong, 21 right, 8 pending"."""
    counts = ((verdict, sum(item.verdict is verdict for item in report.items)) for verdict in _WORDS)
    return ", ".join(f"{count} {_WORDS[verdict]}" for verdict, count in counts if count)


def describe_mend_first(report: Report) -> Iterator[str]:
    """Yield a line for each definition on which other items hang, the one with most of them first."""
    causes = report.mend_first
    for number, (cause, hanging) in enumerate(causes[:_MOST_CAUSES]):
        how_many = "1 item hangs" if len(hanging) == 1 else f"{len(hanging)} items hang"
        where = f" ({cause.place.describe(report.count_cells(cause.file))})" if cause.place else ""
        yield f"{'Then' if number else 'Mend first'}: {cause.id.partition('.')[0]}, {how_many} on it{where}"
    if len(causes) > _MOST_CAUSES:
        yield f"Then: {len(causes) - _MOST_CAUSES} more on which items hang"
