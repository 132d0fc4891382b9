"""A table of a TOML file that is read key by key, with errors that say which one is wrong."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from grader.errors import AssignmentError

__all__ = ["REQUIRED", "TomlTable"]

REQUIRED = object()
_WORDS = {
    str: "a string",
    bool: "true or false",
    float: "a number",
    int: "a whole number",
    list: "a list",
    dict: "a table",
}


class TomlTable:
    """A TOML table that is emptied key by key, so that the remaining keys are the unknown ones."""

    def __init__(self, content: dict[str, Any], where: str) -> None:
        self.content = dict(content)
        self.where = where

    def error(self, what: str) -> AssignmentError:
        return AssignmentError(f"{self.where}: {what}")

    def take(self, key: str, kind: type, default: Any = REQUIRED) -> Any:
        value = self.content.pop(key, default)
        if value is REQUIRED:
            raise self.error(f"{key} is missing: add {key} = {_WORDS[kind]}")
        accepted = (int, float) if kind is float else kind
        if not isinstance(value, accepted) or (isinstance(value, bool) and kind is not bool):
            raise self.error(f"{key} must be {_WORDS[kind]}, not {value!r}")
        return value

    def text(self, key: str, default: Any = REQUIRED) -> str:
        return str(self.take(key, str, default))

    def texts(self, key: str, default: tuple[str, ...]) -> tuple[str, ...]:
        values = self.take(key, list, list(default))
        if not all(isinstance(value, str) for value in values):
            raise self.error(f"{key} must be a list of strings, not {values!r}")
        return tuple(values)

    def choice(self, key: str, options: tuple[str, ...], default: str) -> str:
        value = self.text(key, default)
        if value not in options:
            listed = " or ".join(f'"{option}"' for option in options)
            raise self.error(f"{key} must be {listed}, not {value!r}")
        return value

    def points(self, key: str) -> float:
        value = float(self.take(key, float))
        if not 0 < value < math.inf:
            raise self.error(f"{key} must be above zero, not {value:g}")
        return value

    def tables(self, key: str) -> Iterator[tuple[int, dict[str, Any]]]:
        for number, value in enumerate(self.take(key, list), start=1):
            if not isinstance(value, dict):
                raise self.error(f"{key} must be tables: write [[{key}]]")
            yield number, value

    def require_empty(self) -> None:
        if self.content:
            raise self.error(f"unknown key {', '.join(sorted(self.content))}: check its spelling")
