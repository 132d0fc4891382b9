"""Words and marks shared by all formats, and the sanitising that every text of a student goes through."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from grader.place import Place
from grader.results.report import Verdict

__all__ = [
    "MARKS",
    "defuse_commands",
    "describe_missing_layers",
    "describe_place",
    "format_points",
    "sanitise_line",
    "sanitise_text",
]

MARKS: Mapping[Verdict, str] = {
    Verdict.PASSED: "✓",
    Verdict.FAILED: "✗",
    Verdict.PARTIAL: "~",
    Verdict.ABSENT: "–",  # noqa: RUF001 (an en dash is as wide as the other marks)
    Verdict.ERROR: "!",
    Verdict.PENDING: "…",
}

_MAX_LENGTH = 2000
_MAX_LINE = 200
_TERMINAL_COMMAND = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]")
_RUNNER_COMMAND = re.compile(r"^\s*:(?=:)|#(?=#\w*\[)", re.MULTILINE)
_DIRECTIONS = (0x061C, 0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2066, 0x206A))
_SEPARATORS = (0x2028, 0x2029)
_TAGS = range(0xE0000, 0xE0080)  # characters that no font draws
_VISIBLE = {
    **{code: chr(0x2400 + code) for code in range(0x20)},
    0x7F: "\u2421",
    **{code: f"⟨U+{code:04X}⟩" for code in (*range(0x80, 0xA0), *_DIRECTIONS, *_SEPARATORS, *_TAGS)},
    **dict.fromkeys(range(0xD800, 0xE000), "\ufffd"),
    ord("\n"): "\n",
    ord("\t"): "    ",
}


def sanitise_text(text: str, longest: int = _MAX_LENGTH) -> str:
    """Return text that is safe on a terminal and on a page.

    Colours are dropped. Control characters and marks that change the writing direction are made visible. Text beyond
    `longest` characters is cut.
    """
    cut = len(text) - longest
    shown = _TERMINAL_COMMAND.sub("", text[:longest]).replace("\r\n", "\n").translate(_VISIBLE)
    return f"{shown}… ({cut:,} more characters)" if cut > 0 else shown


def defuse_commands(text: str) -> str:
    """Return text in which no runner of a CI system finds a command, by a blank inside of each.

    GitHub's obeys a line that begins with :: after any blanks, and ##[command] anywhere. Azure's obeys ##vso[command],
    and TeamCity ##teamcity[command].
    """
    return _RUNNER_COMMAND.sub(lambda match: f"{match[0]} ", text)


def sanitise_line(text: str) -> str:
    """Return sanitised text on one line, for names and titles."""
    return sanitise_text(" ".join(text[: _MAX_LINE + 1].splitlines()), _MAX_LINE)


def describe_place(file: str | None, cell: int | None, line: int | None = None, total: int | None = None) -> str:
    """Return a place in a submission in words, "" if no file is known.

    Args:
        file: the notebook's name.
        cell: the index among all of its cells, from 0.
        line: the line within the cell, from 1.
        total: the number of its cells, if it is known.
    """
    if file is None:
        return ""
    name = sanitise_line(file)
    return name if cell is None else Place(name, cell, line).describe(total)


def describe_missing_layers(names: Iterable[str]) -> str:
    """Return in words which layers of the sandbox did not hold, "" if all did."""
    listed = ", ".join(map(sanitise_line, names))
    return f"sandbox without {listed}" if listed else ""


def format_points(value: float) -> str:
    """Format points without trailing zeros."""
    return f"{value:.4f}".rstrip("0").rstrip(".")
