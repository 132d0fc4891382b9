"""What is wrong with a value of a request, in our words: pydantic finds it, and speaks to programmers."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from grader.spelling import did_you_mean

__all__ = ["describe_invalid_value"]

_LONGEST = 60  # characters of a value that a message repeats
_TYPES = {
    "int": "a whole number",
    "float": "a number",
    "decimal": "a number",
    "finite_number": "a finite number",
    "bool": "true or false",
    "string": "text",
    "list": "a list",
    "tuple": "a list",
    "set": "a list",
    "dict": "an object",
    "model": "an object",
    "date": "a date",
    "datetime": "a date and a time",
    "uuid": "an id",
    "bytes": "text",
    "url": "an address",
}

_Context = Mapping[str, Any]
_BOUNDS: Mapping[str, Callable[[_Context], str]] = {
    "greater_than": lambda context: f"a number above {context['gt']}",
    "greater_than_equal": lambda context: f"a number of at least {context['ge']}",
    "less_than": lambda context: f"a number below {context['lt']}",
    "less_than_equal": lambda context: f"a number of at most {context['le']}",
    "string_too_long": lambda context: f"at most {context['max_length']} characters",
    "string_too_short": lambda context: f"at least {context['min_length']} characters",
    "too_long": lambda context: f"at most {context['max_length']} entries",
    "too_short": lambda context: f"at least {context['min_length']} entries",
}


def describe_invalid_value(error: Mapping[str, Any]) -> str:
    """Return what was expected and what was found instead.

    Args:
        error: an error as pydantic lists it: its `type`, its `ctx` and its `input`.
    """
    kind, context = str(error["type"]), error.get("ctx") or {}
    if kind == "missing":
        return "it is missing"
    if kind == "extra_forbidden":
        return "there is no such field; check its spelling"
    if kind == "json_invalid":
        return "the body is not valid JSON"
    found = _show(error.get("input"))
    if kind in ("enum", "literal_error"):
        return _describe_choice(str(context.get("expected", "")), error.get("input"), found)
    try:
        expected = _BOUNDS[kind](context) if kind in _BOUNDS else _name_type(kind)
    except KeyError:
        expected = ""
    return f"expected {expected}, found {found}" if expected else f"{found} is not allowed here"


def _describe_choice(listed: str, value: object, found: str) -> str:
    choices = re.findall(r"'([^']*)'", listed)
    question = did_you_mean(value, choices) if isinstance(value, str) else ""
    return f"expected one of {', '.join(choices)}, found {found}{f'; {question}' if question else ''}"


def _name_type(kind: str) -> str:
    """Return in words what an error such as "int_parsing" or "string_type" expects."""
    return next((words for name, words in _TYPES.items() if re.match(rf"{name}(_|$)", kind)), "")


def _show(value: object) -> str:
    if value is None:
        return "nothing"
    if isinstance(value, str):
        return f"'{value[:_LONGEST]}…'" if len(value) > _LONGEST else f"'{value}'"
    if isinstance(value, bool | int | float):
        return str(value).lower()[:_LONGEST]
    return "a list" if isinstance(value, list | tuple) else "an object"
