"""README and docs say what is so: their commands, links, paths and pictures are compared with the code."""

from __future__ import annotations

import io
import re
from pathlib import Path

import pytest
from PIL import Image
from rich.console import Console
from typer.testing import CliRunner

from grader.assignment import Assignment
from grader.cli import app
from grader.collection import read_submission
from grader.grading.grade import grade
from grader.models.recipe import Mode
from grader.render import render_terminal
from grader.sandbox.host.sandbox import Zygote
from grader.sandbox.jail.layer_log import LAYERS
from grader.training.trainer import Trainer
from tests.support.floors import FLOORS
from tests.support.paths import EXAMPLE, ROOT

DOCS = ROOT / "docs"
PAGES = [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md")] + sorted(
    DOCS.glob("*.md")
)
TEXTS = {page.name: page.read_text(encoding="utf-8") for page in PAGES}
ARCHITECTURE = TEXTS["architecture.md"]


@pytest.mark.slow
def test_the_page_on_reports_shows_what_the_example_gets(zygote: Zygote, hw2: Assignment, trainer: Trainer) -> None:
    report = grade(read_submission([EXAMPLE]), hw2, zygote, mode=Mode.QUICK, trainer=trainer)
    console = Console(file=io.StringIO(), width=80)
    render_terminal(report, console)
    assert isinstance(console.file, io.StringIO)
    printed = [line.rstrip() for line in console.file.getvalue().split("\n")]
    shown = [line.removeprefix("    ") for line in TEXTS["report.md"].split("\n")]
    last = next(number for number, line in enumerate(printed) if hw2.trained[-1].id in line)
    end = printed.index("", last)
    start = shown.index(printed[0])
    assert _without_shares(shown[start : start + end + 1]) == _without_shares(printed[: end + 1])
    assert f"{report.score:g} of {report.max_score:g} points" in TEXTS["README.md"], "make readme"


def _without_shares(lines: list[str]) -> list[str]:
    """Leave out how many images a model is right on: processors differ in the last bits, and after an epoch in more."""
    return [re.sub(r"right on \d+\.\d%", "right on N%", line) for line in lines]


def test_the_picture_of_a_report_is_small_and_has_a_description() -> None:
    with Image.open(DOCS / "report.png") as picture:
        assert picture.width <= 1000
    assert (DOCS / "report.png").stat().st_size < 300_000
    (image,) = re.findall(r"<img [^>]*>", TEXTS["README.md"])
    assert 'src="docs/report.png"' in image
    assert 'alt="' in image


def test_the_pages_agree_on_the_rubric_of_hw2() -> None:
    """tests/authoring/test_verify.py compares README.md with what `grader rubric verify` finds."""
    (score,) = re.findall(r"Mutation score: \d+ of (\d+) \(100 %\)", TEXTS["README.md"])
    assert f"Mutation score: {score} of {score} (100 %)" in TEXTS["differences.md"]
    assert f"of {score} mutants" in TEXTS["differences.md"]


def _find_commands() -> set[str]:
    printed = CliRunner().invoke(app, ["--help"], env={"COLUMNS": "100"}).output
    return set(re.findall(r"^  (\w+)  ", printed, re.MULTILINE))


@pytest.mark.parametrize("page", TEXTS)
def test_every_command_that_a_page_shows_exists(page: str) -> None:
    shown = set(re.findall(r"^(?:    |    \$ |\$ )grader (\w+)\b(?!\.)", TEXTS[page], flags=re.MULTILINE))
    assert shown <= _find_commands()


def test_the_page_on_commands_has_every_command() -> None:
    shown = set(re.findall(r"grader (\w+)", TEXTS["commands.md"]))
    assert _find_commands() - shown == set()


@pytest.mark.parametrize("page", TEXTS)
def test_every_make_target_that_a_page_names_exists(page: str) -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), flags=re.MULTILINE))
    named = set(re.findall(r"(?:`|^    )make (?:[A-Z]+=\w+ )?([a-z]+)", TEXTS[page], flags=re.MULTILINE))
    assert named <= targets


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_of_a_page_leads_somewhere(page: Path) -> None:
    links = [link.partition("#")[0] for link in re.findall(r"\]\(([^)\s]+)\)", page.read_text("utf-8"))]
    local = [link for link in links if link and not link.startswith(("http:", "https:"))]
    assert [link for link in local if not (page.parent / link).exists()] == []


def test_every_page_can_be_reached_from_the_readme() -> None:
    reached, left = set(), ["README.md"]
    while left:
        page = left.pop()
        if page not in reached and page in TEXTS:
            reached.add(page)
            left += [
                Path(link.partition("#")[0]).name for link in re.findall(r"\]\(([^)\s]+\.md[^)\s]*)\)", TEXTS[page])
            ]
    assert set(TEXTS) - reached == set()


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md", "SECURITY.md", "architecture.md"])
def test_every_path_that_a_page_names_is_there(page: str) -> None:
    paths = re.findall(
        r"`((?:benchmarks|deploy|docs|examples|grader|reference|rubrics|scripts|tests)/[^`\s]*)`", TEXTS[page]
    )
    fixed = [path for path in paths if not re.search(r"[<*…]", path)]
    assert fixed or page in ("README.md", "SECURITY.md")
    assert [path for path in fixed if not (ROOT / path.partition("::")[0]).exists()] == []


@pytest.mark.parametrize("house", FLOORS)
def test_the_picture_of_the_floors_is_right(house: str) -> None:
    picture = ARCHITECTURE.partition(f"<!-- floors: {house} -->")[2].partition("<!--")[0]
    floors = [set(line.split(" · ")) for line in re.findall(r"^    (\S.*)$", picture, re.MULTILINE)]
    assert floors == [set(floor) for floor in reversed(FLOORS[house])], "draw docs/architecture.md anew"


@pytest.mark.parametrize(
    "thing",
    [
        "report format", "sandbox layer", "rubric item", "API route", "page", "optimiser of trainings", "command",
        "database column", "database query", "LMS's way to name submissions", "misconception", "message to students",
    ],
)  # fmt: skip
def test_a_newcomer_finds_where_it_goes(thing: str) -> None:
    table = ARCHITECTURE.partition("## Where does it go?")[2].partition("\n## ")[0]
    rows = [line.split("|") for line in table.splitlines() if line.startswith("|")]
    (first, *_) = [row for row in rows if re.match(rf" an? {re.escape(thing)}\b", row[1])] or [[]]
    assert first, f"no row for {thing}"
    assert "`" in first[2] or ":" in first[2]


def test_the_sandbox_page_has_every_layer() -> None:
    page = TEXTS["sandbox.md"].lower()
    table = "".join(line for line in page.split("\n") if line.startswith("|"))
    for layer in LAYERS:
        assert layer.removesuffix(" namespace").removesuffix(" cgroup") in table


def _read_promises() -> list[tuple[str, str, str]]:
    section = TEXTS["sandbox.md"].split("## What is promised\n")[1].split("\n## ")[0]
    rows = [line.strip("| ").split(" | ") for line in section.split("\n") if line.startswith("| ")]
    return [(promise, enforced, tested) for promise, enforced, tested in rows[2:]]


@pytest.mark.parametrize(("promise", "enforced", "tested"), _read_promises(), ids=lambda text: text[:40])
def test_every_promise_names_what_enforces_it_and_attacks_that_exist(promise: str, enforced: str, tested: str) -> None:
    files = re.findall(r"`([^`]+)`", enforced)
    assert files, f"nothing enforces: {promise}"
    for file in files:
        assert (ROOT / "grader" / file).exists() or (ROOT / file).exists(), f"{file} is gone"
    tests = re.findall(r"`([^`]+)::(\w+)`", tested)
    assert tests, f"nothing tests: {promise}"
    for file, name in tests:
        assert f"def {name}(" in (ROOT / "tests" / file).read_text(encoding="utf-8"), f"{file} has no {name}"
