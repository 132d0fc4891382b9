"""Render a report as JUnit XML, which GitLab, Jenkins and most CI systems show as tests."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import groupby
from xml.etree import ElementTree
from xml.etree.ElementTree import Element, SubElement

from grader.render.places import quote_place
from grader.render.text import describe_missing_layers, format_points, sanitise_line, sanitise_text
from grader.results.report import ItemResult, Report, Verdict

__all__ = ["render_junit"]

_OUTCOMES = {
    Verdict.FAILED: "failure",
    Verdict.PARTIAL: "failure",
    Verdict.ABSENT: "failure",
    Verdict.ERROR: "error",
    Verdict.PENDING: "skipped",
}
_COUNTED = {"failure": "failures", "error": "errors", "skipped": "skipped"}
_NO_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def render_junit(report: Report) -> str:
    """Return a report with a `testsuite` for each section and a `testcase` for each item; points are properties.

    Items are not timed one by one, so only the whole has a time.
    """
    items = report.items if report.is_readable else [_explain(report)]
    root = Element("testsuites", {"name": _text(sanitise_line(report.assignment)), **_count_outcomes(items)})
    del root.attrib["skipped"]  # the schema allows it in suites only
    if "total_seconds" in report.timing:
        root.set("time", f"{report.timing['total_seconds']:.3f}")
    for section, group in groupby(items, key=lambda item: item.section):
        _add_suite(root, report, section, list(group))
    ElementTree.indent(root)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{ElementTree.tostring(root, encoding="unicode")}\n'


def _explain(report: Report) -> ItemResult:
    """Return a test that says why nothing was graded."""
    return ItemResult("notebook", "submission", "A notebook that can be read", 0, 0, Verdict.ERROR, report.obstacle)


def _add_suite(root: Element, report: Report, section: str, items: Sequence[ItemResult]) -> None:
    name = f"{sanitise_line(report.assignment)}.{sanitise_line(section)}"
    suite = SubElement(root, "testsuite", {"name": _text(name), **_count_outcomes(items)})
    earned, possible = sum(item.points for item in items), sum(item.max_points for item in items)
    about = {"sandbox": missing} if (missing := describe_missing_layers(report.missing_layers)) else {}
    points = {"points": format_points(earned), "max_points": format_points(possible)}
    _add_properties(suite, **points, revision=report.revision, **about)
    for item in items:
        case = SubElement(suite, "testcase", classname=_text(name), name=_text(sanitise_line(item.id)))
        if item.file:
            case.set("file", _text(sanitise_line(item.file)))
        _add_properties(case, points=format_points(item.points), max_points=format_points(item.max_points))
        if outcome := _OUTCOMES.get(item.verdict):
            _add_outcome(case, outcome, report, item)


def _add_outcome(case: Element, outcome: str, report: Report, item: ItemResult) -> None:
    element = SubElement(case, outcome, message=_text(sanitise_line(item.reason)))
    if outcome != "skipped":
        element.set("type", item.verdict)
        element.text = _text("\n".join((sanitise_text(item.reason), *quote_place(report, item))))


def _add_properties(parent: Element, **values: str) -> None:
    properties = SubElement(parent, "properties")
    for name, value in values.items():
        SubElement(properties, "property", name=name, value=_text(value))


def _count_outcomes(items: Sequence[ItemResult]) -> dict[str, str]:
    outcomes = [_OUTCOMES.get(item.verdict) for item in items]
    return {"tests": str(len(items)), **{name: str(outcomes.count(kind)) for kind, name in _COUNTED.items()}}


def _text(text: str) -> str:
    """Return text with the characters replaced that XML does not allow."""
    return _NO_XML.sub("\ufffd", text)
