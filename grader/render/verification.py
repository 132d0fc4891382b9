"""The verification of a rubric in a terminal."""

from __future__ import annotations

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from grader.render.text import sanitise_text
from grader.results.verification import Verification, VerifiedSubmission

__all__ = ["render_verification"]


def render_verification(verification: Verification, console: Console) -> None:
    """Print what each known submission came to, the mutation score, survivors, and tests that no mutant needs."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("", "submission", "replaces", "points", "loses"):
        table.add_column(column, justify="right" if column == "points" else "left", overflow="fold")
    for each in verification.checked:
        table.add_row(*_row(each, verification.max_points))
    console.print(table)
    console.print()
    for each in verification.checked:
        if not each.right:
            console.print(f"✗ {_wrong(each)}", markup=False)
    mutants = len(verification.mutants)
    score = f"{100 * verification.caught / mutants:.0f} %" if mutants else "no mutants"
    console.print(f"Mutation score: {verification.caught} of {mutants} ({score})", markup=False)
    survivors = ", ".join(each.name for each in verification.survivors) or "none"
    console.print(f"Survivors: {survivors}", markup=False)
    unneeded = ", ".join(f"{test.name} ({test.item})" for test in verification.unneeded) or "none"
    console.print(f"Tests that no mutant needs: {unneeded}", markup=False)


def _row(each: VerifiedSubmission, max_points: float) -> tuple[str, ...]:
    mark = "✓" if each.right else "✗"
    loses = "everything" if each.kind == "empty" and each.right else ", ".join(each.loses)
    kind = each.kind if each.kind in ("alternative", "mutant") else ""
    name = f"{kind}: {each.name}" if kind else each.name
    points = f"{each.points:g} / {max_points:g}"
    return tuple(escape(sanitise_text(text)) for text in (mark, name, ", ".join(each.replaces), points, loses))


def _wrong(each: VerifiedSubmission) -> str:
    """Say what is wrong with a known submission, and what to do about it."""
    missed = ", ".join(item for item in each.must_lose if item not in each.loses)
    said = f" ({sanitise_text(each.why)})" if each.why else ""
    extra = ", ".join(item for item in each.loses if item not in each.must_lose)
    parts = []
    if missed:
        parts.append(f"keeps {missed}: no test tells it from the reference; add a case, or take the item out of breaks")
    if extra:
        fix = "add them to breaks, or make the test less strict" if each.kind == "mutant" else "the test is too strict"
        parts.append(f"loses {extra}{said}: {fix}")
    return f"{each.kind} {sanitise_text(each.name)} " + "; and ".join(parts)
