"""Show the verification of a rubric on a terminal."""

from __future__ import annotations

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from grader.render.text import sanitise_text
from grader.results.verification import Verification, VerifiedSubmission

__all__ = ["render_verification"]


def render_verification(verification: Verification, console: Console) -> None:
    """Print the points of each known submission, the mutation score, survivors, and tests that no mutant needs."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("", "submission", "replaces", "points", "loses"):
        table.add_column(column, justify="right" if column == "points" else "left", overflow="fold")
    for submission in verification.checked:
        table.add_row(*_make_row(submission, verification.max_points))
    console.print(table)
    console.print()
    for submission in verification.checked:
        if not submission.right:
            console.print(f"✗ {_describe_problem(submission)}", markup=False)
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
