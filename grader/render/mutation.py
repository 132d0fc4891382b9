"""Show on a terminal what a rubric makes of mutants."""

from __future__ import annotations

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from grader.render.text import sanitise_text
from grader.results.mutation import GOAL_CAUGHT, GOAL_TOLD, Diagnosis, JudgedMutant, MutationTable

__all__ = ["render_mutation"]

_SHOWN = 40  # mutants of a kind that are listed
_COLUMNS = ("named", "exact", "placed", "bare", "false")


def render_mutation(table: MutationTable, console: Console) -> None:
    """Print the table of an assignment's definitions, the survivors, and the false and bare diagnoses."""
    shown = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("definition", "mutants", "equivalent", "survived", "caught", *_COLUMNS):
        shown.add_column(column, justify="left" if column == "definition" else "right", overflow="fold")
    for row in table.rows:
        numbers = (row.mutants, row.equivalent, row.survived, row.caught)
        told = [row.told[Diagnosis(column)] for column in _COLUMNS]
        shown.add_row(escape(sanitise_text(row.definition)), *(str(number) for number in (*numbers, *told)))
    console.print(shown)
    _list(console, "Survived", [mutant for mutant in table.mutants if mutant.survived])
    for diagnosis, title in ((Diagnosis.FALSE, "Named falsely"), (Diagnosis.BARE, "Bare")):
        _list(console, title, [mutant for mutant in table.mutants if mutant.diagnosis is diagnosis])
    console.print()
    console.print(
        f"Caught: {100 * table.caught:.1f} % (goal {100 * GOAL_CAUGHT:g} %)   "
        f"named or placed: {100 * table.told:.1f} % (goal {100 * GOAL_TOLD:g} %)   "
        f"false: {table.rows[-1].told[Diagnosis.FALSE]} (goal 0)",
        markup=False,
        highlight=False,
    )


def _list(console: Console, title: str, mutants: list[JudgedMutant]) -> None:
    if not mutants:
        return
    console.print(f"\n[bold]{title}[/]")
    for mutant in mutants[:_SHOWN]:
        where = f"{mutant.definition or 'a statement'}, line {mutant.line} ({mutant.origin}; {mutant.operator})"
        console.print(sanitise_text(where), markup=False, highlight=False)
        for sign, lines in (("-", mutant.before), ("+", mutant.after)):
            for line in lines.splitlines()[:4]:
                console.print(f"    {sign} {sanitise_text(line)}", markup=False, highlight=False)
        for note in _list_notes(mutant):
            console.print(f"    {sanitise_text(note)}", markup=False, highlight=False)
    if len(mutants) > _SHOWN:
        console.print(f"and {len(mutants) - _SHOWN} more: --json lists all of them")


def _list_notes(mutant: JudgedMutant) -> list[str]:
    notes = [mutant.why] if mutant.why else []
    for item in mutant.told:
        name = f" [{item.misconception}: {item.why or 'nothing speaks against it'}]" if item.misconception else ""
        notes.append(f"{item.item}: {item.message}{name}")
    return notes
