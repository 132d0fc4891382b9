"""The HW2 rubric as a whole: what is there, in one notebook or in two, and what is not."""

from __future__ import annotations

from grader.judging.judge import judge
from grader.results.report import Verdict
from tests.support.hw2_book import CHAPTER_7, CHAPTER_8, HW2, IMPORTS, INIT, POOL, graded, lost
from tests.support.in_process_work import InProcessWork


def test_an_empty_submission_has_nothing_and_is_told_what_is_missing() -> None:
    results = judge(HW2, InProcessWork(), "a submission")
    assert [result.id for result in results] == [item.id for item in HW2.items if not item.by_person]
    assert {result.verdict for result in results} == {Verdict.ABSENT}
    assert results[0].message == "corr2d is not defined in this submission"


def test_two_notebooks_are_one_submission() -> None:
    files = {"7.ipynb": list(CHAPTER_7.values()), "8.ipynb": [IMPORTS, *CHAPTER_8.values()]}
    results = {result.id: result for result in judge(HW2, InProcessWork(files=files), "a submission")}
    assert lost(results) == {}
    assert (results["corr2d.values"].file, results["vgg_block"].file) == ("7.ipynb", "8.ipynb")


def test_the_verdicts_depend_on_nothing_but_submission_and_rubric() -> None:
    changed = {
        "pool": POOL.replace("window.max()", "window.max().clamp(min=0)"),
        "init": INIT.replace("xavier", "kaiming"),
    }
    assert graded(**changed) == graded(**changed)
