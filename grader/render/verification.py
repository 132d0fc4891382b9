"""Show the verification of a rubric on a terminal."""

from __future__ import annotations

from collections import Counter

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from grader.render.text import sanitise_text
from grader.results.verification import Breakage, Verification, VerifiedSubmission

__all__ = ["render_verification"]

_SHOWN = 3  # answers that break a test at one place


def render_verification(verification: Verification, console: Console) -> None:
    """Print the points of each known submission, the confusion table, what breaks a test, and tests of no use."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("", "submission", "replaces", "points", "loses"):
        table.add_column(column, justify="right" if column == "points" else "left", overflow="fold")
    for submission in verification.checked:
        table.add_row(*_make_row(submission, verification.max_points))
    console.print(table)
    console.print()
    console.print(_tabulate_names(verification))
    console.print()
    for submission in verification.checked:
        if not submission.right:
            console.print(f"✗ {_describe_problem(submission)}", markup=False)
        if submission.confused:
            console.print(f"✗ {_describe_confusion(submission)}", markup=False)
    for breakage in verification.breakages:
        console.print(f"✗ {_describe_breakage(breakage)}", markup=False)
    mutants = len(verification.mutants)
    score = f"{100 * verification.caught / mutants:.0f} %" if mutants else "no mutants"
    console.print(f"Mutation score: {verification.caught} of {mutants} ({score})", markup=False)
    survivors = ", ".join(survivor.name for survivor in verification.survivors) or "none"
    console.print(f"Survivors: {survivors}", markup=False)
    unneeded = ", ".join(f"{test.name} ({test.item})" for test in verification.unneeded) or "none"
    console.print(f"Tests that no mutant needs: {unneeded}", markup=False)


def _make_row(submission: VerifiedSubmission, max_points: float) -> tuple[str, ...]:
    mark = "✓" if submission.right else "✗"
    loses = "everything" if submission.kind == "empty" and submission.right else ", ".join(submission.loses)
    kind = submission.kind if submission.kind in ("alternative", "mutant") else ""
    name = f"{kind}: {submission.name}" if kind else submission.name
    points = f"{submission.points:g} / {max_points:g}"
    return tuple(escape(sanitise_text(text)) for text in (mark, name, ", ".join(submission.replaces), points, loses))


def _tabulate_names(verification: Verification) -> Table:
    """Return the confusion table: what the reports on each mutant name, and in how many items."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("", "handed in", "named as (items)"):
        table.add_column(column, overflow="fold")
    for mutant in verification.mutants:
        counts = Counter(" or ".join(naming.misconceptions) or "no known mistake" for naming in mutant.names)
        named = ", ".join(f"{name} ({count})" for name, count in counts.most_common())
        row = ("✗" if mutant.confused else "✓", mutant.identifier, named)
        table.add_row(*(escape(sanitise_text(text)) for text in row))
    return table


def _describe_confusion(mutant: VerifiedSubmission) -> str:
    """Say which mistakes are named in place of the one that was made, and what to do about it."""
    names = "; ".join(f"{' or '.join(naming.misconceptions)} in {naming.item}" for naming in mutant.confused)
    return sanitise_text(
        f"mutant {mutant.name} is named {names}: add a case that tells them apart, or declare them with same_as"
    )


def _describe_problem(submission: VerifiedSubmission) -> str:
    """Say what is wrong with a known submission, and what to do about it."""
    missed = ", ".join(item for item in submission.must_lose if item not in submission.loses)
    reason = f" ({sanitise_text(submission.why)})" if submission.why else ""
    extra = ", ".join(item for item in submission.loses if item not in submission.must_lose)
    parts = []
    if missed:
        parts.append(f"keeps {missed}: no test tells it from the reference; add a case, or take the item out of breaks")
    if extra:
        fix = (
            "add them to breaks, or make the test less strict"
            if submission.kind == "mutant"
            else "the test is too strict"
        )
        parts.append(f"loses {extra}{reason}: {fix}")
    return f"{submission.kind} {sanitise_text(submission.name)} " + "; and ".join(parts)


def _describe_breakage(breakage: Breakage) -> str:
    """Say where a test breaks over which answers, and what to do about it."""
    place = f"{breakage.file}, line {breakage.line}" if breakage.line else breakage.file
    more = len(breakage.answers) - _SHOWN
    answers = "; ".join(breakage.answers[:_SHOWN]) + (f"; and {more} more" if more > 0 else "")
    case = f", with {breakage.case}" if breakage.case else ""
    where = f"{breakage.test.name} ({breakage.test.item}) breaks at {place}{case}, if {answers}: {breakage.error}"
    return sanitise_text(f"{where}; check the answer before you use it, and raise Mismatch with a sentence")
