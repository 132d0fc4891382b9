"""Standard output and standard error as the log of a CI system, whose runner obeys commands in it."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from typing import Any, TextIO

__all__ = ["RunnerLog", "escape_commands", "is_ci"]

_LINE_OF_COLONS = re.compile(r"^(\s*)::", re.MULTILINE)
_VARIABLES = ("CI", "GITHUB_ACTIONS", "TF_BUILD", "TEAMCITY_VERSION")  # GitHub, GitLab and most others set CI


def is_ci() -> bool:
    """Return whether a CI system runs this command."""
    return any(os.environ.get(name, "").lower() not in ("", "0", "false") for name in _VARIABLES)


def escape_commands(document: str) -> str:
    """Return a JSON, HTML or XML document of the same content in which no runner finds a command.

    In Markdown and in commands for the runner, our own renderers have escaped what a student wrote.
    """
    if document.startswith(("{", "[")):
        return document.replace("##", "#\\u0023")
    if document.startswith("<"):
        return _LINE_OF_COLONS.sub(r"\1&#58;:", document).replace("##", "#&#35;")
    return document


class RunnerLog:
    """A stream whose lines hold no commands for a runner. What is written to its `buffer` stays as it is.

    A line is held until it ends or the stream is flushed, because its parts may be written one by one.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._held = ""

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        """Write text."""
        self._held += text
        lines, end, rest = self._held.rpartition("\n")
        self._held = rest
        self._write(lines + end)
        return len(text)

    def writelines(self, lines: Iterable[str]) -> None:
        """Write texts one after the other."""
        self.write("".join(lines))

    def flush(self) -> None:
        """Write what is held, and flush the stream."""
        held, self._held = self._held, ""
        self._write(held)
        self._stream.flush()

    def _write(self, text: str) -> None:
        if text:
            from grader.render.text import defuse_commands

            self._stream.write(defuse_commands(text))
