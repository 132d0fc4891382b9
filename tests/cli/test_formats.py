"""`grader check --format` and `--min-score` as CI uses them: real processes, their files and their exit codes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import get_args
from xml.etree import ElementTree

import jsonschema
import pytest
from typer.testing import CliRunner

from grader.assignment import Assignment, load_assignment
from grader.cli import app
from grader.cli.formats import GradedSubmission, ReportFormat, render
from grader.cli.minimum_score import MinimumScore
from grader.collection import read_submission
from grader.errors import InputError
from grader.grading.grade import grade
from grader.render.gradescope import Visibility
from grader.results.report import ItemResult, Report, Verdict, load_report_schema
from grader.sandbox.host.sandbox import Zygote
from tests.support.command_line import Ran, Run, refused
from tests.support.notebooks import CORR2D, CORR2D_POINTS, notebook_bytes
from tests.support.paths import ROOT

SCHEMA = json.loads((ROOT / "tests" / "render" / "gradescope.schema.json").read_text("utf-8"))
TEMPLATE = ROOT / "grader" / "authoring" / "template"


def report_of(*items: tuple[Verdict, float, float]) -> Report:
    results = (ItemResult("a", "1", "A", earned, most, verdict, "") for verdict, earned, most in items)
    return Report("hw2", "HW2", "revision", (), tuple(results))


@pytest.fixture(scope="module")
def graded(zygote: Zygote, hw2: Assignment, tmp_path_factory: pytest.TempPathFactory) -> GradedSubmission:
    """A submission of two notebooks of one name, graded."""
    paths = []
    for number, source in enumerate([CORR2D, "def pool2d(X, pool_size): return X"]):
        path = tmp_path_factory.mktemp(f"{number}") / "hw2.ipynb"
        path.write_bytes(notebook_bytes(source))
        paths.append(path)
    submission = read_submission([paths[0], *paths])
    report = grade(submission, hw2, zygote)
    return GradedSubmission(report, submission, [paths[0], *paths], hw2, "after_published")


@pytest.mark.parametrize("name", ReportFormat)
def test_every_format_is_written_from_a_real_report(name: ReportFormat, graded: GradedSubmission) -> None:
    text = render(name, graded)
    assert text.endswith("\n") or name is ReportFormat.HTML
    assert "corr2d" in text or name is ReportFormat.CLASSROOM


def test_annotations_name_the_file_that_holds_the_cell(graded: GradedSubmission) -> None:
    (wrong,) = [each for each in render(ReportFormat.GITHUB, graded).splitlines() if "title=pool2d.max" in each]
    assert f"file={graded.paths[2]}," in wrong
    lines = graded.paths[2].read_text("utf-8").split("\n")
    assert "def pool2d" in lines[int(wrong.partition("line=")[2].partition(",")[0]) - 1]


def test_gradescope_gets_the_visibility_of_hidden_items(graded: GradedSubmission) -> None:
    shop = load_assignment(TEMPLATE)
    hidden = {item.id for item in shop.items if not item.visible}
    assert hidden
    items = tuple(ItemResult(item.id, item.section, "", 0, item.points, Verdict.FAILED, "") for item in shop.items)
    report = Report("hw1", "HW1", "revision", (), items)
    values = json.loads(
        render(
            ReportFormat.GRADESCOPE, GradedSubmission(report, graded.submission, graded.paths, shop, "after_due_date")
        )
    )
    jsonschema.validate(values, SCHEMA)
    shown = {test["extra_data"]["id"]: test["visibility"] for test in values["tests"]}
    assert {name for name, rule in shown.items() if rule == "after_due_date"} == hidden
    assert set(shown.values()) == {"visible", "after_due_date"}


@pytest.mark.slow
def test_on_github_a_step_has_annotations_a_summary_and_outputs(run: Run, tmp_path: Path) -> None:
    folder = tmp_path / "week 2"
    folder.mkdir()
    (folder / "과제.ipynb").write_bytes(notebook_bytes("x = 1", CORR2D))
    (tmp_path / "summary").write_text("before\n")
    ran = run(
        *(
            "check",
            folder / "과제.ipynb",
            "--training",
            "none",
            "--format",
            "github",
            "--min-score",
            str(CORR2D_POINTS),
        ),
        GITHUB_WORKSPACE=str(tmp_path),
        GITHUB_STEP_SUMMARY="summary",
        GITHUB_OUTPUT="outputs",
    )
    assert ran.returncode == 0, ran.stderr
    assert f"reaches --min-score {CORR2D_POINTS}" in ran.stderr
    assert all(line.startswith(("::error ", "::notice ")) for line in ran.stdout.splitlines())
    assert "::error file=week 2/과제.ipynb,line=1,endLine=1,title=comp_conv2d.shape" in ran.stdout
    summary = (tmp_path / "summary").read_text("utf-8")
    assert summary.startswith("before\n## HW2")
    assert f"score={CORR2D_POINTS}\n" in (tmp_path / "outputs").read_text("utf-8")


def test_several_reports_come_from_one_grading(run_here: Run, tmp_path: Path) -> None:
    (tmp_path / "hw2.ipynb").write_bytes(notebook_bytes(CORR2D))
    ran = run_here(
        *("check", "hw2.ipynb", "--training", "none", "--format", "junit", "--out", "grader.xml"),
        *("--json", "-", "--min-score", "100%"),
        GITHUB_STEP_SUMMARY="",
    )
    assert ran.returncode == 1
    assert "does not reach --min-score 100%" in ran.stderr
    values = json.loads(ran.stdout)
    jsonschema.validate(values, load_report_schema())
    cases = ElementTree.parse(tmp_path / "grader.xml").findall("testsuite/testcase")
    assert [case.get("name") for case in cases] == [item["id"] for item in values["items"]]


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        (("--min-score", "many"), ("many", "such as 60", "80%")),
        (("--min-score", "-5"), ("-5",)),
        (("--min-score", "nan"), ("nan",)),
        (("--min-score", "1e9"), ("1e9",)),
        (("--min-score", "101%"), ("101%", "at most")),
        (("--min-score", "9999"), ("9999", "at most")),
        (("--out", "report"), ("--format",)),
        (("--format", "junit", "--out", "no/such/folder.xml"), ("no/such/folder.xml",)),
        (("--format", "junit", "--out", "a", "--json", "a"), ("a file of its own",)),
        (("--format", "junit", "--json", "-"), ("a file of its own",)),
    ],
)
def test_invalid_options_are_refused_before_the_work(
    run: Run, tmp_path: Path, arguments: tuple[str, ...], parts: tuple[str, ...]
) -> None:
    (tmp_path / "hw2.ipynb").write_bytes(notebook_bytes(CORR2D))
    ran: Ran = run("check", "hw2.ipynb", *arguments)
    refused(ran, *parts)


def test_an_unknown_format_is_refused_with_a_list_of_formats(run: Run) -> None:
    ran = run("check", "hw2.ipynb", "--format", "tap")
    assert ran.returncode == 2
    assert all(name in ran.stderr for name in ReportFormat)


def test_help_lists_gradescopes_rules_of_visibility() -> None:
    printed = CliRunner().invoke(app, ["check", "--help"], env={"COLUMNS": "200"}).output
    assert all(rule in printed for rule in get_args(Visibility))


@pytest.mark.parametrize(
    ("text", "items", "reached"),
    [
        ("60", [(Verdict.PASSED, 60, 60), (Verdict.PENDING, 0, 40)], True),
        ("60.5", [(Verdict.PASSED, 60, 60), (Verdict.PENDING, 0, 40)], False),
        ("100%", [(Verdict.PASSED, 60, 60), (Verdict.PENDING, 0, 40)], True),
        ("60%", [(Verdict.PARTIAL, 0.6, 1)], True),
        ("60.1 %", [(Verdict.PARTIAL, 0.6, 1)], False),
        ("30%", [(Verdict.PARTIAL, 0.1 + 0.2, 1)], True),
        ("100%", [(Verdict.PENDING, 0, 1)], True),
        ("0", [(Verdict.FAILED, 0, 1)], True),
    ],
)
def test_pending_points_do_not_count(text: str, items: list[tuple[Verdict, float, float]], reached: bool) -> None:
    minimum, report = MinimumScore.parse(text, 100), report_of(*items)
    assert minimum.is_reached(report) is reached
    assert minimum.describe(report).endswith(f"{'reaches' if reached else 'does not reach'} --min-score {text}")


@pytest.mark.parametrize("text", ["", "%", "60 points", "٦٠", "1,5", "+5", "0x10", "60%%", "inf"])
def test_a_score_is_points_or_a_share(text: str) -> None:
    with pytest.raises(InputError, match="--min-score"):
        MinimumScore.parse(text, 100)
