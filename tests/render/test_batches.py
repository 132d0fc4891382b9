"""Batches in a terminal: counts that follow the events, and names without effect on the terminal."""

from __future__ import annotations

import io
from typing import Any

from rich.console import Console

from grader.render.batches import BatchProgress, render_batches, render_changes, render_submissions


def console(*, terminal: bool = False) -> Console:
    return Console(file=io.StringIO(), width=120, force_terminal=terminal, color_system=None)


def shown(written: Console) -> str:
    assert isinstance(written.file, io.StringIO)
    return written.file.getvalue()


def about(total: int, **states: int) -> dict[str, Any]:
    waiting = total - sum(states.values())
    defaults = {"waiting": waiting, "leased": 0, "graded": 0, "failed": 0, "cancelled": 0, **states}
    return {"id": "b1", "title": "", "assignment": "hw2", "submissions": total, "states": defaults}


def test_lines_follow_the_events() -> None:
    lines = console()
    with BatchProgress(lines, about(3)) as progress:
        for kind, submission in (
            ("accepted", "None"),
            ("claimed", "a"),
            ("graded", "a"),
            ("claimed", "b"),
            ("given_back", "b"),
            ("claimed", "b"),
            ("claimed", "c"),
            ("failed", "b"),
            ("cancelled", "c"),
            ("done", "None"),
        ):
            progress.update(kind, submission)
    assert shown(lines).splitlines() == [
        "0 of 3 done",
        "1 of 3 done",
        "2 of 3 done, 1 being graded, 1 failed",
        "3 of 3 done, 1 failed, 1 cancelled",
    ]


def test_earlier_events_are_not_shown_as_new() -> None:
    lines = console()
    with BatchProgress(lines, about(4, graded=2, leased=1)) as progress:
        for kind, submission in (("graded", "a"), ("graded", "b"), ("claimed", "c"), ("graded", "c")):
            progress.update(kind, submission)
    assert shown(lines).splitlines() == ["2 of 4 done, 1 being graded", "3 of 4 done"]


def test_a_regrade_is_counted_from_its_start() -> None:
    lines = console()
    with BatchProgress(lines, about(2)) as progress:
        for kind in ("graded", "regrade", "graded"):
            for submission in "ab":
                progress.update(kind, submission)
    assert shown(lines).splitlines()[-1] == "2 of 2 done"


def test_a_large_batch_prints_a_hundred_lines() -> None:
    lines = console()
    with BatchProgress(lines, about(1000)) as progress:
        for number in range(1000):
            progress.update("claimed", str(number))
            progress.update("graded", str(number))
    assert len(shown(lines).splitlines()) == 101


def test_a_terminal_gets_a_bar() -> None:
    screen = console(terminal=True)
    with BatchProgress(screen, about(2)) as progress:
        for kind in ("claimed", "graded"):
            for submission in "ab":
                progress.update(kind, submission)
    assert "2/2" in shown(screen)


def row(**values: Any) -> dict[str, Any]:
    defaults = {"key": "kim", "name": "Kim", "state": "graded", "message": "", "draft": False, "points": None}
    return {**defaults, **values}


def test_names_are_shown_literally() -> None:
    screen = console()
    hostile = "\x1b[2J[bold]Kim[/bold]\u202e"
    render_submissions({**about(1), "title": hostile}, [row(name=hostile, message=f"{hostile}\nsecond")], screen)
    batch = {**about(1), "title": hostile, "created_at": "2026-11-25T18:05:00+00:00", "owner": hostile}
    render_batches([batch], screen)
    render_changes({"drafts": 1, "changes": [{"key": hostile, "name": hostile, "old": 1, "new": 2}]}, screen)
    assert "\x1b" not in shown(screen)
    assert "\u202e" not in shown(screen)
    assert shown(screen).count("[bold]Kim[/bold]") >= 6


def test_pending_points_and_drafts_are_shown() -> None:
    screen = console()
    points = {"score": 68.0, "max_score": 94.0, "pending_points": 18.0}
    render_submissions(about(1, graded=1), [row(points=points, draft=True)], screen)
    assert "68 / 94 (18 pending)" in shown(screen)
    assert "a newer report is not published" in shown(screen)


def test_an_empty_list_says_so() -> None:
    screen = console()
    render_batches([], screen)
    assert shown(screen) == "there are no batches\n"
