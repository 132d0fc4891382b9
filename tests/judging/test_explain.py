"""What went wrong is explained: by the known mistake that answers the same, or else by the smallest input."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

from grader.assignment import load_assignment
from grader.errors import AssignmentError
from grader.judging.judge import judge
from grader.judging.local import LocalStudent
from grader.results.report import ItemResult, Report, Verdict
from grader.student import Definition, Fault, StudentFault
from tests.support.in_process_work import InProcessWork

ANSWERS = """
    import torch
    from torch.nn import functional as F

    __all__ = ["corr2d"]

    def corr2d(X, K):
        return F.conv2d(X[None, None], K[None, None])[0, 0]

    def unneeded():
        return corr2d
"""
TESTS = """
    import torch
    from torch.nn import functional as F
    from grader.testing import Case, Searchable, assert_close, given, item, small_sizes

    def cases(draw):
        yield Case("the book's example", X=torch.arange(9.0).reshape(3, 3) + 4711, K=torch.arange(4.0).reshape(2, 2))
        yield Case("an image of 4x3", X=draw.normal(4, 3), K=draw.normal(2, 3))

    def one(draw):
        image, kernel = small_sizes(draw)
        return Case("a small image", X=draw.whole(*image), K=draw.whole(*kernel))

    @item("corr2d.values")
    @given(Searchable(cases, one))
    def test_values(student, case):
        assert_close(student.corr2d(case.X, case.K), F.conv2d(case.X[None, None], case.K[None, None])[0, 0])
"""
MISTAKES = """
    import math
    import torch
    from torch.nn import functional as F
    from grader.testing import misconception

    CORR2D = ("corr2d.values",)

    @misconception("corr2d", breaks=CORR2D, says="the kernel is flipped", look="slide it as it is")
    def flipped(X, K):
        return F.conv2d(X[None, None], K.flip(0, 1)[None, None])[0, 0]

    @misconception("corr2d", breaks=CORR2D, says="this is a matrix product", look="the kernel slides")
    def product(X, K):
        return X @ K

    @misconception("corr2d", breaks=CORR2D, says="it is scaled", look="nothing is scaled")
    def scaled(X, K):
        return F.conv2d(X[None, None], math.pi * K[None, None])[0, 0]
"""
CONV2D = "import math, torch\nfrom torch.nn import functional as F\ndef corr2d(X, K): return {}"
RIGHT = CONV2D.format("F.conv2d(X[None, None], K[None, None])[0, 0]")
FLIPPED = CONV2D.format("(X.unfold(0, K.shape[0], 1).unfold(1, K.shape[1], 1) * K.flip(0).flip(1)).sum(dim=(2, 3))")
ABSOLUTE = CONV2D.format("F.conv2d(X[None, None], K[None, None])[0, 0].abs()")

Explain = Callable[..., ItemResult]


def rubric(folder: Path, tests: str, mistakes: str, options: str) -> Path:
    files = {"answers/convolution.py": ANSWERS, "hw/test_a.py": tests, "hw/misconceptions/a.py": mistakes}
    for name, source in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(dedent(source))
    (folder / "hw" / "rubric.toml").write_text(
        'title = "T"\npoints = 4\nreference = "../answers"\n[sections]\n"7.2.1" = "One"\n[[items]]\n'
        f'id = "corr2d.values"\nsection = "7.2.1"\ntitle = "Values"\npoints = 4\nnames = ["corr2d"]\n{options}\n'
    )
    return folder / "hw"


@pytest.fixture
def explain(tmp_path: Path) -> Explain:
    """Judge cells by the rubric above."""

    def run(*cells: str, tests: str = TESTS, mistakes: str = MISTAKES, options: str = "") -> ItemResult:
        assignment = load_assignment(rubric(tmp_path, tests, mistakes, options))
        (result,) = judge(assignment, InProcessWork(*cells), "a submission")
        json.dumps(dict(result.evidence), allow_nan=False)
        return result

    return run


def test_a_known_mistake_is_named_with_its_section_before_what_went_wrong(explain: Explain) -> None:
    result = explain(FLIPPED)
    assert (result.verdict, result.points, result.misconception) == (Verdict.FAILED, 0, "flipped")
    assert result.message.startswith(
        "the kernel is flipped; slide it as it is (section 7.2.1). "
        "Wrong in 2 of 2 cases, first with the book's example: expected "
    )
    assert "smallest" not in result.evidence
    assert result.evidence["cases"] == {"right": 0, "total": 2}


def test_a_mistake_that_raises_is_named_too(explain: Explain) -> None:
    result = explain("def corr2d(X, K): return X @ K")
    assert (result.verdict, result.misconception) == (Verdict.ERROR, "product")
    assert result.message.startswith("this is a matrix product; the kernel slides (section 7.2.1). Wrong in 2 of 2")


def test_a_mistake_may_need_what_only_its_own_file_imports(explain: Explain) -> None:
    result = explain(CONV2D.format("math.pi * F.conv2d(X[None, None], K[None, None])[0, 0]"))
    assert (result.verdict, result.misconception) == (Verdict.FAILED, "scaled")


def test_a_mistake_that_earns_some_points_is_named_too(explain: Explain) -> None:
    half = FLIPPED + " if len(X) == 3 else F.conv2d(X[None, None], K[None, None])[0, 0]"
    flipped = "K.flip(0, 1)[None, None])[0, 0]"
    mistakes = MISTAKES.replace(flipped, "(K.flip(0, 1) if len(X) == 3 else K)[None, None])[0, 0]")
    result = explain(half, mistakes=mistakes, options="partial = true")
    assert (result.verdict, result.points, result.misconception) == (Verdict.PARTIAL, 2, "flipped")


def test_only_a_mistake_that_breaks_the_item_and_answers_every_case_alike_is_named(explain: Explain) -> None:
    assert explain(FLIPPED + " if X.shape[0] == 3 else X").misconception is None
    assert explain(FLIPPED + " + 0.1 * (len(X) == 4)").misconception is None
    with pytest.raises(AssignmentError, match=r"breaks corr2d\.shape"):
        explain(FLIPPED, mistakes=MISTAKES.replace('"corr2d.values"', '"corr2d.shape"'))


def numbers(value: Any) -> Iterator[float]:
    """Give every number within JSON values."""
    if isinstance(value, Mapping):
        value = list(value.values())
    if isinstance(value, list):
        for each in value:
            yield from numbers(each)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield value


@pytest.mark.parametrize(
    ("cell", "name"), [(FLIPPED, "flipped"), ("def corr2d(X, K): return X @ K", "product"), (ABSOLUTE, None)]
)
def test_a_hidden_item_names_the_mistake_and_shows_no_input_nor_value(
    explain: Explain, cell: str, name: str | None
) -> None:
    # Whatever the student's function gives appears nowhere either.
    result = explain(cell, options="visible = false")
    assert result.misconception == name
    assert ("(section 7.2.1)" in result.message) is (name is not None)
    assert result.evidence == {}
    text = Report("hw", "HW", "revision", (), (result,)).to_json()
    for shown in ("4711", "expected", "found", "book's example", "image", "inputs", "smallest", "shape", "mat1"):
        assert shown not in text
    assert set(numbers(json.loads(text))) <= {0, 4}  # points, and the cell


def test_another_mistake_gets_the_smallest_input_that_goes_wrong(explain: Explain) -> None:
    result = explain(ABSOLUTE)
    assert (result.verdict, result.misconception) == (Verdict.FAILED, None)
    assert result.message.endswith(
        "; the smallest input that goes wrong is a small image: expected -1 at [0, 0], found 1"
    )
    assert result.message.startswith("wrong in 1 of 2 cases, first with an image of 4x3: expected ")
    smallest = result.evidence["smallest"]
    assert smallest["case"] == "the smallest input that goes wrong: a small image"
    assert {name: value["values"] for name, value in smallest["inputs"].items()} == {"X": [[1.0]], "K": [[-1.0]]}
    assert (smallest["expected"]["values"], smallest["found"]["values"]) == ([[-1.0]], [[1.0]])
    assert result.evidence["case"] == "an image of 4x3"


def test_without_a_way_to_draw_one_case_nothing_smaller_is_looked_for(explain: Explain) -> None:
    result = explain(ABSOLUTE, tests=TESTS.replace("Searchable(cases, one)", "cases"))
    assert "smallest" not in result.evidence
    assert "smallest" not in result.message


def test_an_error_has_no_smallest_input(explain: Explain) -> None:
    result = explain("def corr2d(X, K): raise ValueError('no')")
    assert (result.verdict, result.misconception) == (Verdict.ERROR, None)
    assert "smallest" not in result.evidence


def test_nothing_is_explained_where_an_item_passes_or_is_absent(explain: Explain) -> None:
    passed, absent = explain(RIGHT), explain("x = 1")
    assert (passed.verdict, passed.message, passed.misconception) == (Verdict.PASSED, "right", None)
    assert (absent.verdict, absent.misconception) == (Verdict.ABSENT, None)
    assert "section" not in absent.message
    assert explain(FLIPPED, RIGHT).misconception is None
    tests = (
        TESTS + "\n    from grader.testing import Absent\n\n    @item('corr2d.values')\n    def test_absent(student):"
    )
    assert explain(RIGHT, tests=tests + "\n        raise Absent('nothing')\n").misconception is None


def test_the_first_test_that_went_wrong_is_explained(explain: Explain) -> None:
    other = (
        TESTS
        + """
    @item("corr2d.values")
    def test_zeros(student):
        assert_close(student.corr2d(torch.zeros(2, 2), torch.zeros(1, 1)), torch.zeros(2, 2))
    """
    )
    result = explain(FLIPPED, tests=other)
    assert result.misconception == "flipped"
    assert result.tests == {"test_values": Verdict.FAILED, "test_zeros": Verdict.PASSED}


@pytest.mark.slow
def test_two_runs_explain_alike(explain: Explain) -> None:
    for cell in (FLIPPED, ABSOLUTE):
        assert explain(cell) == explain(cell)


def test_a_mistake_that_breaks_the_test_as_the_answer_does_is_named(explain: Explain) -> None:
    frail = """
    from torch.nn import functional as F
    from grader.testing import item
    import torch

    @item("corr2d.values")
    def test_values(student):
        X, K = torch.ones(2, 2), torch.ones(1, 1)
        assert student.corr2d(X, K).sum() == F.conv2d(X[None, None], K[None, None]).sum()
    """
    mistakes = """
    from grader.testing import misconception

    @misconception("corr2d", breaks=("corr2d.values",), says="it gives a text", look="give a tensor")
    def text(X, K):
        return "Y"

    @misconception("corr2d", breaks=("corr2d.values",), says="it gives nothing", look="return Y")
    def nothing(X, K):
        pass
    """
    result = explain("def corr2d(X, K): pass", tests=frail, mistakes=mistakes)
    assert (result.verdict, result.misconception) == (Verdict.FAILED, "nothing")
    assert result.message == (
        "it gives nothing; return Y (section 7.2.1). corr2d returns nothing; a tensor of shape (2, 2) is expected"
    )


def test_a_mistake_that_does_not_stand_alone_costs_only_the_explanation(explain: Explain) -> None:
    mistakes = (
        MISTAKES
        + """
    class Base: ...

    @misconception("corr2d", breaks=CORR2D, says="a", look="b")
    class Alone(Base):
        pass
    """
    )
    result = explain(ABSOLUTE, mistakes=mistakes)
    assert (result.verdict, result.misconception) == (Verdict.FAILED, None)
    assert "smallest" in result.evidence


class OpenedOnce(InProcessWork):
    """The time for all tests together is over after the first of them."""

    @contextmanager
    def open(
        self,
        definition: Definition | None,
        aliases: Mapping[str, str] | None = None,
        seconds: float | None = None,
        *,
        shared: bool = False,
        at_most: float | None = None,
    ) -> Iterator[LocalStudent]:
        if self.opened:
            raise StudentFault(Fault.TIMED_OUT, "all tests together ran past their time")
        with super().open(definition, aliases, seconds) as student:
            yield student


def test_where_no_time_is_left_the_verdict_stands_without_a_smallest_input(tmp_path: Path) -> None:
    assignment = load_assignment(rubric(tmp_path, TESTS, MISTAKES, ""))
    (result,) = judge(assignment, OpenedOnce(ABSOLUTE), "a submission")
    assert result.verdict is Verdict.FAILED
    assert "smallest" not in result.evidence
