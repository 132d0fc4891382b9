"""Render a report as a self-contained HTML page without scripts, or as part of another page.

Items that lost points come first, each beside the code that it is about. A self-contained page holds the notebooks,
too, so that an item links to its cell.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import partial
from itertools import groupby
from typing import Any, Literal

from markupsafe import Markup

from grader.place import describe_cell
from grader.render.code_view import CodeView, make_code_view
from grader.render.curves import read_curves
from grader.render.notebook import render_notebook
from grader.render.picture import make_scenes
from grader.render.places import describe_notice, describe_report_place
from grader.render.stages import read_stages
from grader.render.templates import load_template
from grader.render.text import MARKS, describe_missing_layers
from grader.render.written import read_written_answer
from grader.results.reading_order import describe_mend_first, order_items
from grader.results.report import ItemResult, Report, Verdict
from grader.results.source_cells import Sources

__all__ = ["render_body", "render_html"]

_MAX_LISTED = 200
_NO_ANCHOR = re.compile(r"[^A-Za-z0-9._-]")
_MAX_NOTEBOOK = 2**20  # characters of a notebook in a page


def render_html(report: Report, sources: Sources | None = None) -> str:
    """Return a report as a page that can be opened, sent to its student and printed.

    Args:
        report: the report.
        sources: the cells that were handed in, to show code beside results; without them only lines are quoted.
    """
    sources = sources or {}
    prefixes = _choose_prefixes(sources)
    notebooks = [
        (name, render_notebook({"cells": _to_cells(cells)}, prefixes[name], _MAX_NOTEBOOK))
        for name, cells in sources.items()
    ]
    links = {name: f"#{prefix}" for name, prefix in prefixes.items()}
    context = _make_context(report, sources, links, "h1")
    return load_template("report.html.jinja").render(context, notebooks=notebooks)


def render_body(
    report: Report, sources: Sources | None = None, links: Mapping[str, str] | None = None, *, for_staff: bool = False
) -> Markup:
    """Return the content of such a page, for a page with its own title and style.

    Args:
        report: the report.
        sources: the cells that were handed in.
        links: the beginning of the address of each notebook's cells, to which a cell's number is added.
        for_staff: whether the page shows how the sandbox held, which is no concern of students.
    """
    context = _make_context(report, sources or {}, links or {}, "h2", for_staff=for_staff)
    return Markup(load_template("report_body.html.jinja").render(context))


def _make_context(
    report: Report,
    sources: Sources,
    links: Mapping[str, str],
    heading: Literal["h1", "h2"],
    *,
    for_staff: bool = False,
) -> Mapping[str, Any]:
    totals = {name: len(cells) for name, cells in sources.items()}

    def show_code(item: ItemResult) -> CodeView | None:
        cells = sources.get(item.file or "", ())
        if item.cell is None or item.cell >= len(cells):
            return None
        return make_code_view(cells[item.cell].text, item.line)

    def link(file: str, cell: Any) -> str:
        return f"{links[file]}{cell + 1}" if file in links and _is_cell(cell) and cell < totals.get(file, 0) else ""

    return {
        "anchor": _anchor_item,
        "report": report,
        "heading": heading,
        "sections": _sum_sections(report.items),
        "notices": [describe_notice(report, notice) for notice in report.notices],
        "mend_first": list(zip(report.mend_first, describe_mend_first(report), strict=False)),
        "groups": _group_items(report),
        "counts": Counter(item.verdict for item in report.items),
        "failed_cells": report.failed_cells,
        "for_staff": for_staff,
        "missing_layers": describe_missing_layers(report.missing_layers),
        "most": _MAX_LISTED,
        "marks": MARKS,
        "verdicts": list(Verdict),
        "code": show_code,
        "curves": read_curves,
        "link": link,
        "scenes": make_scenes,
        "stages": read_stages,
        "describe_cell": describe_cell,
        "place": partial(_describe_place, report),
        "written": read_written_answer,
    }


def _group_items(report: Report) -> list[tuple[str, list[ItemResult]]]:
    """Group items for a reader: what to mend first, what is still open, and what is right."""
    items = report.items
    hanging = {cause.id: len(dependents) for cause, dependents in report.mend_first}
    # What most items hang on stands before all others.
    lost = sorted((item for item in order_items(items) if item.has_lost), key=lambda item: -hanging.get(item.id, 0))
    groups = {
        "Points lost": lost,
        "Still to be decided": [item for item in items if item.verdict is Verdict.PENDING],
        "Passed": [item for item in items if item.verdict is Verdict.PASSED],
    }
    return [(title, group) for title, group in groups.items() if group]


def _sum_sections(items: Sequence[ItemResult]) -> list[tuple[str, float, float]]:
    """Return the points earned and the most points of each section."""
    by_section = [(section, list(group)) for section, group in groupby(items, key=lambda item: item.section)]
    return [(name, sum(i.points for i in group), sum(i.max_points for i in group)) for name, group in by_section]


def _describe_place(report: Report, file: str, cell: Any, line: int | None = None) -> str:
    return describe_report_place(report, file, cell if _is_cell(cell) else None, line)


def _is_cell(cell: Any) -> bool:
    """Return whether this is the index of a cell: what stands in evidence may be anything."""
    return isinstance(cell, int) and not isinstance(cell, bool) and cell >= 0


def _anchor_item(item: str) -> str:
    return f"item-{_NO_ANCHOR.sub('_', item)}"


def _choose_prefixes(sources: Sources) -> dict[str, str]:
    """Return the beginning of the anchors of each notebook's cells on a page that holds them all."""
    return {name: f"cell-{f'{number}-' if number > 1 else ''}" for number, name in enumerate(sources, 1)}


def _to_cells(cells: Sequence[Any]) -> list[dict[str, str]]:
    return [{"cell_type": cell.kind, "source": cell.text} for cell in cells]
