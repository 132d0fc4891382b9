"""What is wrong with a value of a request is said in words that do not come from pydantic."""

from __future__ import annotations

from enum import StrEnum
from typing import Any, Literal

import pytest
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from grader.service.api.invalid_values import describe_invalid_value


class _Mode(StrEnum):
    NONE = "none"
    QUICK = "quick"


class _Request(BaseModel):
    model_config = ConfigDict(extra="forbid")

    mode: _Mode = _Mode.NONE
    form: Literal["canvas", "moodle"] = "canvas"
    count: int = Field(1, ge=1, le=500)
    points: float = 0
    title: str = Field("", max_length=5)
    names: list[str] = []
    needed: str


@pytest.mark.parametrize(
    ("values", "what"),
    [
        ({}, "it is missing"),
        ({"modus": 1}, "there is no such field; check its spelling"),
        ({"mode": "quik"}, "expected one of none, quick, found 'quik'; did you mean quick?"),
        ({"form": 3}, "expected one of canvas, moodle, found 3"),
        ({"count": "x"}, "expected a whole number, found 'x'"),
        ({"count": 1.5}, "expected a whole number, found 1.5"),
        ({"count": 0}, "expected a number of at least 1, found 0"),
        ({"count": 501}, "expected a number of at most 500, found 501"),
        ({"points": []}, "expected a number, found a list"),
        ({"title": "too long"}, "expected at most 5 characters, found 'too long'"),
        ({"title": None}, "expected text, found nothing"),
        ({"names": "one"}, "expected a list, found 'one'"),
    ],
)
def test_a_value_is_described_by_what_was_expected_and_found(values: dict[str, Any], what: str) -> None:
    with pytest.raises(ValidationError) as caught:
        _Request.model_validate(values if not values else {"needed": "", **values})
    assert [describe_invalid_value(dict(error)) for error in caught.value.errors()] == [what]


def test_a_body_that_is_no_json_and_an_unknown_kind_of_error_are_described() -> None:
    with pytest.raises(ValidationError) as caught:
        _Request.model_validate_json("{")
    assert describe_invalid_value(dict(caught.value.errors()[0])) == "the body is not valid JSON"
    assert describe_invalid_value({"type": "new_kind", "input": {}}) == "an object is not allowed here"
