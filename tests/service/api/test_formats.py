"""The response has the format that the client asked for."""

from __future__ import annotations

import pytest

from grader.service.api.formats import choose_format
from grader.service.api.problems import Problem

OFFERED = {"json": "application/json", "html": "text/html", "text": "text/plain"}


@pytest.mark.parametrize(
    ("accept", "found"),
    [
        ("", "json"),
        ("*/*", "json"),
        ("text/html", "html"),
        ("TEXT/HTML;charset=utf-8", "html"),
        ("text/*", "html"),
        ("text/plain, text/html;q=0.9", "text"),
        ("text/plain;q=0.2, text/html;q=0.9", "html"),
        ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", "html"),
        ("*/*;q=0.1, application/json;q=0", "html"),
        ("text/html;q=nonsense, text/plain", "text"),
        ("nonsense", "json"),
    ],
)
def test_the_header_chooses(accept: str, found: str) -> None:
    assert choose_format(None, accept, OFFERED) == found


def test_the_query_comes_before_the_header() -> None:
    assert choose_format("text", "text/html", OFFERED) == "text"


@pytest.mark.parametrize("accept", ["image/png", "text/html;q=0"])
def test_what_is_not_offered_is_not_given(accept: str) -> None:
    with pytest.raises(Problem, match="text/html, text/plain") as refused:
        choose_format(None, accept, OFFERED)
    assert refused.value.slug == "not-acceptable"
