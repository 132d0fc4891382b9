"""People read what lost points first, then what hangs on it, and what waits with nothing to say in one row."""

from __future__ import annotations

from typing import Any

from grader.results.reading_order import arrange, describe_counts, describe_mend_first, group_alike, order_items
from grader.results.report import File, ItemResult, Report, Verdict


def item(name: str, verdict: Verdict = Verdict.FAILED, **others: Any) -> ItemResult:
    return ItemResult(name, "1", name, 0, 2, verdict, "wrong", **others)


def report_of(*items: ItemResult) -> Report:
    return Report("hw2", "HW2", "revision", (File("hw2.ipynb", "0" * 64, 26),), items)


def test_what_lost_points_comes_first_and_what_waits_last() -> None:
    items = [
        item("waits", Verdict.PENDING),
        item("right", Verdict.PASSED),
        item("hangs", because_of="wrong"),
        item("absent", Verdict.ABSENT),
        item("wrong"),
        item("raises", Verdict.ERROR),
        item("not written", Verdict.ABSENT, file="hw2.ipynb", cell=3),
    ]
    order = ["wrong", "raises", "not written", "absent", "hangs", "right", "waits"]
    assert [one.id for one in order_items(items)] == order
    assert [one.id for one in arrange(report_of(*items)).items] == order


def test_what_waits_and_says_the_same_is_one_row() -> None:
    waiting = [item(f"discussion.{name}", Verdict.PENDING) for name in ("7.1", "7.2", "8.6")]
    (row,) = group_alike(waiting)
    assert (row.id, row.points, row.max_points) == ("discussion.7.1, 7.2, 8.6", 0, 6)
    (row,) = group_alike([item("a.x", Verdict.PENDING), item("b.x", Verdict.PENDING)])
    assert row.id == "a.x, b.x"


def test_what_was_lost_or_stands_somewhere_keeps_its_row() -> None:
    items = [item("a"), item("b"), item("c", Verdict.PENDING, file="hw2.ipynb", cell=1), item("d", Verdict.PENDING)]
    assert group_alike(items) == items


def test_the_items_are_counted_by_verdict() -> None:
    items = (item("a", Verdict.PASSED), item("b"), item("c"), item("d", Verdict.PENDING))
    assert describe_counts(report_of(*items)) == "2 wrong, 1 right, 1 pending"


def test_what_to_mend_first_is_named_with_its_place() -> None:
    causes = [item(f"{name}.values", file="hw2.ipynb", cell=number, line=1) for number, name in enumerate("abcd")]
    hanging = [
        item(f"{cause.id}_{n}", because_of=cause.id) for cause in causes for n in range(1 + (cause.id[0] == "b"))
    ]
    assert list(describe_mend_first(report_of(*causes, *hanging))) == [
        "Mend first: b, 2 items hang on it (hw2.ipynb, cell 2 of 26, line 1)",
        "Then: a, 1 item hangs on it (hw2.ipynb, cell 1 of 26, line 1)",
        "Then: c, 1 item hangs on it (hw2.ipynb, cell 3 of 26, line 1)",
        "Then: 1 more on which items hang",
    ]
    assert list(describe_mend_first(report_of(*causes))) == []
