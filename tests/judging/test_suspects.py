"""Known mistakes that fail a test alike are told apart by other items and further cases, or else all are named."""

from __future__ import annotations

from pathlib import Path
from textwrap import dedent

import pytest

from grader.assignment import load_assignment
from grader.judging.judge import judge
from grader.results.report import ItemResult
from tests.support.in_process_work import InProcessWork

REFERENCE = """
    __all__ = ["halve"]

    def halve(X, mode="down"):
        return X // 2 if mode == "down" else -(-X // 2)
"""
TESTS = """
    from .answers.halving import halve
    from grader.testing import Case, assert_close, given, item

    def few(draw):
        yield Case("four", X=draw.whole(2, low=2, high=3))

    def ask_up(student, case):
        return student.halve(case.X, "up")

    @item("down")
    @given(few, further=(ask_up,))
    def test_down(student, case):
        assert_close(student.halve(case.X), halve(case.X))

    @item("up")
    @given(few)
    def test_up(student, case):
        assert_close(student.halve(case.X, "up"), halve(case.X, "up"))
"""
MISTAKES = """
    from grader.testing import misconception

    @misconception("halve", breaks=("down",), says="down is one too small", look="do not subtract")
    def down_too_small(X, mode="down"):
        return X // 2 - int(mode == "down")

    @misconception("halve", breaks=("down",), says="down is nothing", look="look at down")
    def down_is_nothing(X, mode="down"):
        return 0 * X if mode == "down" else -(-X // 2)
"""
RIGHT = "def halve(X, mode='down'):\n    return {} if mode == 'down' else {}"
UP = "-(-X // 2)"


def judged(folder: Path, cell: str, mistakes: str = MISTAKES, tests: str = TESTS) -> dict[str, ItemResult]:
    """Judge a cell by the rubric above."""
    files = {"answers/__init__.py": "", "answers/halving.py": REFERENCE, "test_a.py": tests}
    files["misconceptions/a.py"] = mistakes
    for name, source in files.items():
        (folder / "hw" / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / "hw" / name).write_text(dedent(source))
    items = "".join(
        f'[[items]]\nid = "{name}"\nsection = "1"\ntitle = "Halve"\npoints = 1\nnames = ["halve"]\n'
        for name in ("down", "up")
    )
    (folder / "hw" / "rubric.toml").write_text(
        f'title = "T"\npoints = 2\nreference = "answers"\n[sections]\n"1" = "One"\n{items}'
    )
    results = judge(load_assignment(folder / "hw"), InProcessWork(cell), "a submission")
    return {result.id: result for result in results}


def mistake(name: str, breaks: str, body: str, extra: str = "") -> str:
    return f"""
    @misconception("halve", breaks={breaks}, says="it is {name}", look="look at {name}"{extra})
    def {name}(X, mode="down"):
        return {body}
"""


def test_a_further_case_tells_two_mistakes_apart(tmp_path: Path) -> None:
    # 2 and 3 are halved to 1, which both mistakes turn into 0. Only a question about the other mode tells them apart.
    found = judged(tmp_path, RIGHT.format("0 * X", UP))
    assert found["down"].misconception == "down_is_nothing"
    assert found["down"].message.startswith("down is nothing; look at down (section 1). Wrong in 1 of 1 cases")


def test_of_mistakes_that_all_answer_a_mere_question_otherwise_the_one_that_claims_least_is_named(
    tmp_path: Path,
) -> None:
    # `up` is wrong in another way: what is said of `down` is true nevertheless, if it says nothing of `up`.
    both = mistake("both", '("down", "up")', "0 * X")
    only = MISTAKES.replace("X // 2 - int(mode", "5 * X - int(mode")
    found = judged(tmp_path, RIGHT.format("0 * X", "X + 7"), only + both)
    assert (found["down"].misconception, found["up"].misconception) == ("down_is_nothing", None)


def test_mistakes_that_answer_a_further_case_of_the_test_otherwise_are_not_named(tmp_path: Path) -> None:
    tests = TESTS.replace(
        "few, further=(ask_up,)", "Searchable(few, lambda draw: Case('five', X=draw.whole(1, low=5, high=5)))"
    )
    tests = tests.replace("import Case,", "import Case, Searchable,")
    found = judged(tmp_path, RIGHT.format("0 * X + 8 * (X > 4)", UP), tests=tests)
    assert found["down"].misconception is None


def test_two_that_nothing_tells_apart_are_both_named(tmp_path: Path) -> None:
    twin = mistake("twin", '("down",)', "X * 0 if mode == 'down' else -(-X // 2)")
    one = MISTAKES.replace("X // 2 - int(mode", "5 * X - int(mode")
    found = judged(tmp_path, RIGHT.format("0 * X", UP), one + twin)["down"]
    assert found.misconceptions == ("down_is_nothing", "twin")
    assert found.message.startswith(
        "either down is nothing, or it is twin; look at down; look at twin (section 1). Wrong in 1 of 1 cases"
    )


def test_a_mistake_that_another_item_contradicts_is_not_named(tmp_path: Path) -> None:
    # It would have broken `up` as well, which is right.
    only = "    from grader.testing import misconception\n" + mistake("both", '("down", "up")', "0 * X")
    assert judged(tmp_path, RIGHT.format("0 * X", UP), only)["down"].misconception is None
    found = judged(tmp_path, RIGHT.format("0 * X", "0 * X"), only)
    assert (found["down"].misconception, found["up"].misconception) == ("both", "both")


def test_a_mistake_that_explains_both_items_goes_before_two_that_explain_one_each(tmp_path: Path) -> None:
    both = mistake("both", '("down", "up")', "0 * X")
    up = mistake("up_is_nothing", '("up",)', "X // 2 if mode == 'down' else 0 * X")
    found = judged(tmp_path, RIGHT.format("0 * X", "0 * X"), MISTAKES + both + up)
    assert (found["down"].misconception, found["up"].misconception) == ("both", "both")


@pytest.mark.parametrize("declared", ["", ", same_as=('down_is_nothing',)"])
def test_mistakes_declared_the_same_are_asked_nothing_further(tmp_path: Path, declared: str) -> None:
    # The two do differ in the other mode; a declaration spares the question.
    twin = mistake("twin", '("down",)', "X * 0 if mode == 'down' else -(-X // 2) + 1", declared)
    found = judged(tmp_path, RIGHT.format("0 * X", UP), MISTAKES.replace("- int(mode", "+ 9 * int(mode") + twin)["down"]
    assert found.misconceptions == (("down_is_nothing", "twin") if declared else ("down_is_nothing",))


def test_more_than_three_that_cannot_be_told_apart_name_nothing(tmp_path: Path) -> None:
    many = "".join(mistake(f"twin_{n}", '("down",)', f"0 * X * {n} if mode == 'down' else {UP}") for n in range(3))
    found = judged(tmp_path, RIGHT.format("0 * X", UP), MISTAKES.replace("- int(mode", "+ 9 * int(mode") + many)["down"]
    assert found.misconception is None
