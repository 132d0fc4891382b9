"""What is concluded from grading known submissions."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from grader.results.verification import Naming, RubricTest, Verification, VerifiedSubmission

VALUES, SHAPE = RubricTest("values", "test_values"), RubricTest("shape", "test_shape")
EDGES = RubricTest("values", "test_edges")


def checked(
    name: str, must_lose: tuple[str, ...], *failed: RubricTest, kind: str = "mutant", loses: tuple[str, ...] = ()
) -> VerifiedSubmission:
    lost = loses or tuple(dict.fromkeys(test.item for test in failed))
    return VerifiedSubmission(kind, name, ("f",), must_lose, 0.0, lost, failed)


def verification(*rows: VerifiedSubmission) -> Verification:
    return Verification("hw", "0" * 64, 10, rows, (VALUES, EDGES, SHAPE))


def test_a_mutant_that_loses_exactly_what_it_breaks_is_caught() -> None:
    result = verification(checked("a", ("values",), VALUES))
    assert (result.perfect, result.caught, result.survivors) == (True, 1, ())
    assert result.checked[0].verdict == "right"


def test_a_mutant_that_loses_nothing_survives() -> None:
    result = verification(checked("a", ("values",)))
    assert (result.perfect, result.caught) == (False, 0)
    assert [mutant.name for mutant in result.survivors] == ["a"]
    assert result.checked[0].verdict == "survives"


def test_a_mutant_that_loses_more_or_something_else_is_not_right() -> None:
    more, other = checked("a", ("values",), VALUES, SHAPE), checked("b", ("values",), SHAPE)
    assert [submission.verdict for submission in (more, other)] == ["loses too much", "loses other items"]
    assert not verification(more).perfect
    assert verification(more, other).caught == 0


@pytest.mark.parametrize(
    ("named", "same_as", "confused"),
    [
        (("wide_kernel",), (), False),
        ((), (), False),
        (("tall_kernel",), (), True),
        (("tall_kernel", "wide_kernel"), (), True),
        (("tall_kernel", "wide_kernel"), ("tall_kernel",), False),
        (("tall_kernel",), ("tall_kernel",), True),
    ],
)
def test_a_mutant_is_confused_if_another_is_named_that_is_not_declared_the_same(
    named: tuple[str, ...], same_as: tuple[str, ...], confused: bool
) -> None:
    mutant = replace(checked("wide kernel", ("values",), VALUES), names=(Naming("values", named),), same_as=same_as)
    result = verification(mutant)
    assert result.perfect is not confused
    (row,) = json.loads(result.to_json())["checked"]
    assert row["confused"] == (["values"] if confused else [])
    assert row["names"] == [{"item": "values", "misconceptions": list(named)}]


def test_a_solution_that_loses_a_point_is_not_right_and_no_survivor() -> None:
    result = verification(checked("solution", (), VALUES, kind="solution"))
    assert not result.perfect
    assert (result.mutants, result.survivors) == ((), ())


def test_a_test_is_needed_where_it_alone_takes_an_item_from_a_mutant() -> None:
    both, alone = checked("a", ("values",), VALUES, EDGES), checked("b", ("shape",), SHAPE)
    assert verification(both, alone).unneeded == (EDGES, VALUES)
    assert verification(both, alone, checked("c", ("values",), EDGES)).unneeded == (VALUES,)


def test_a_test_that_only_an_alternative_fails_is_not_needed() -> None:
    assert SHAPE in verification(checked("a", (), SHAPE, kind="alternative")).unneeded


def test_the_json_has_every_row_and_what_is_concluded() -> None:
    values = json.loads(verification(checked("a", ("values",), VALUES), checked("b", ("shape",))).to_json())
    assert (values["perfect"], values["mutants"], values["caught"]) == (False, 2, 1)
    assert [row["verdict"] for row in values["checked"]] == ["right", "survives"]
    assert {test["name"] for test in values["unneeded_tests"]} == {"test_edges", "test_shape"}
