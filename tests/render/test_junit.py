"""JUnit XML conforms to its schema and is read by a parser, whatever a student wrote."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import xmlschema
from junitparser import Error, Failure, JUnitXml, Skipped, TestCase, TestSuite

from grader.render import junit
from grader.render.junit import render_junit
from grader.results.notice import Notice
from grader.results.report import CellResult, File, ItemResult, Report, Verdict

SCHEMA = xmlschema.XMLSchema(Path(__file__).with_name("junit.xsd"))
HOSTILE = ']]> <failure message="x"/> &lt; &amp; " \' \x00\x08\x1b[31m\u202e\ud800\ufffe\uffff\r\n <!-- <![CDATA[ 제'


def item(verdict: Verdict, points: float = 0, section: str = "7.2.1", **others: Any) -> ItemResult:
    values = {"message": "is wrong", **others}
    return ItemResult("corr2d.values", section, "Cross-correlation", points, 6, verdict, **values)


def report_of(*items: ItemResult, **others: Any) -> Report:
    return Report("hw2", "HW2", "revision", (File("hw2.ipynb", "0" * 64),), items, **others)


def read(report: Report) -> list[TestSuite]:
    """Return what a reader makes of the XML that a report becomes, after the schema had its say."""
    text = render_junit(report)
    SCHEMA.validate(text)
    return list(JUnitXml.fromstring(text.encode()))


def properties(of: TestSuite | TestCase) -> dict[str, str]:
    return {each.get("name"): each.get("value") for each in of._elem.iterfind("properties/property")}


def test_the_public_names_are_sorted() -> None:
    assert junit.__all__ == sorted(junit.__all__)


def test_a_section_is_a_suite_and_an_item_a_case_with_its_points() -> None:
    report = report_of(
        item(Verdict.PASSED, 6, file="hw2.ipynb", cell=3),
        item(Verdict.PARTIAL, 1.5),
        item(Verdict.PASSED, 6, section="7.3"),
        timing={"total_seconds": 1.25},
    )
    first, second = read(report)
    assert (first.name, second.name) == ("hw2.7.2.1", "hw2.7.3")
    assert properties(first) == {"points": "7.5", "max_points": "12", "revision": "revision"}
    case, other = first
    assert (case.classname, case.name, case._elem.get("file")) == ("hw2.7.2.1", "corr2d.values", "hw2.ipynb")
    assert properties(case) == {"points": "6", "max_points": "6"}
    assert case.is_passed
    assert properties(other)["points"] == "1.5"
    assert 'time="1.250"' in render_junit(report)


@pytest.mark.parametrize(
    ("verdict", "kind"),
    [
        (Verdict.FAILED, Failure),
        (Verdict.PARTIAL, Failure),
        (Verdict.ABSENT, Failure),
        (Verdict.ERROR, Error),
        (Verdict.PENDING, Skipped),
    ],
)
def test_items_that_did_not_pass_have_a_message(verdict: Verdict, kind: type) -> None:
    (suite,) = read(report_of(item(verdict, file="hw2.ipynb", cell=3)))
    (case,) = suite
    (result,) = case.result
    assert type(result) is kind
    assert result.message == "is wrong"
    if kind is not Skipped:
        assert (result.type, result.text) == (verdict, "is wrong\nhw2.ipynb, cell 4")


def test_counts_add_up() -> None:
    report = report_of(*[item(verdict) for verdict in Verdict], item(Verdict.ERROR, section="7.3"))
    whole = JUnitXml.fromstring(render_junit(report).encode())
    first, second = whole
    assert (first.tests, first.failures, first.errors, first.skipped) == (6, 3, 1, 1)
    assert (second.tests, second.failures, second.errors, second.skipped) == (1, 0, 1, 0)
    assert (whole.tests, whole.failures, whole.errors) == (7, 3, 2)


def test_a_student_s_text_is_escaped_and_valid_xml() -> None:
    hostile = item(Verdict.FAILED, message=HOSTILE, file=HOSTILE, cell=1)
    (suite,) = read(report_of(hostile, cells=(CellResult(HOSTILE, 1, "raised", HOSTILE),), notices=(Notice(HOSTILE),)))
    (case,) = suite
    (result,) = case.result
    assert result.text.startswith(']]> <failure message="x"/> &lt; &amp; " \' \u2400\u2408\u27e8U+202E\u27e9')
    assert "\ufffd" in result.text
    assert "제" in result.text


def test_evidence_and_names_of_tests_stay_out() -> None:
    secret = item(Verdict.FAILED, evidence={"expected": "secret"}, tests={"test_secret": Verdict.FAILED})
    assert "secret" not in render_junit(report_of(secret))


def test_a_report_without_items_is_whole() -> None:
    assert read(report_of()) == []
