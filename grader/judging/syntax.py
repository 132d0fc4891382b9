"""Say what is wrong with a line that is no Python, in words that a student understands."""

from __future__ import annotations

import difflib
import re
import unicodedata

__all__ = ["describe_syntax_error", "is_syntax_error"]

_ERROR = re.compile(r"(SyntaxError|IndentationError|TabError)(?:: (.*))?", re.DOTALL)
_LONGEST_CODE = 100  # characters
_KEYWORDS = (
    "def",
    "class",
    "return",
    "for",
    "while",
    "if",
    "elif",
    "else",
    "import",
    "from",
    "with",
    "lambda",
    "raise",
)
_CLOSE = 0.75
_OPERATORS = {"&&": "and", "||": "or", "++": "+= 1", "--": "-= 1", "=<": "<=", "=>": ">=", "<>": "!="}


def is_syntax_error(error: str) -> bool:
    """Return whether the text of an exception is that of a syntax error."""
    return _ERROR.match(error) is not None


def describe_syntax_error(where: str, line: int, error: str, source: str) -> str:
    """Return "cell 3 has a SyntaxError in line 5: expected ':' (`for j in range(3)`)", and advice if there is some.

    Args:
        where: the cell in words.
        line: the line in the cell, from 1.
        error: the exception's class and text.
        source: the source of the cell.
    """
    found = _ERROR.match(error)
    kind, text = (found[1], found[2] or "invalid syntax") if found else ("SyntaxError", error)
    lines = source.splitlines()
    code = lines[line - 1].strip() if 0 < line <= len(lines) else ""
    shown = code if len(code) <= _LONGEST_CODE else f"{code[: _LONGEST_CODE - 1]}…"
    advice = _advise(text, code)
    article = "an" if kind.startswith("I") else "a"
    quoted = f" (`{shown}`)" if shown else ""
    return f"{where} has {article} {kind} in line {line}: {text}{quoted}{f'; {advice}' if advice else ''}"


def _advise(text: str, code: str) -> str:
    """Return what may be meant, or what to do, or "" if Python's own words are as clear."""
    character = re.search(r"invalid character '(.)'", text)
    if character and unicodedata.category(character[1]) in ("Pi", "Pf", "Ps"):
        return f"{character[1]} is a typographic quotation mark: type ' or \" instead"
    if re.search(r"invalid (?:non-printable )?character", text):
        return "it came with copied text: delete it and type the line again"
    if "inconsistent use of tabs" in text:
        return "indent all lines with spaces"
    if "expected an indented block after function definition" in text:
        return "the function has no body, or nothing but comments"
    if "expected ':'" in text and re.match(r"else\s+if\b", code):
        return "`else if` is written elif"
    if "was never closed" in text:
        return "the bracket that it opens is not closed"
    if "'return' outside function" in text:
        return "the line is not indented as the lines of the function are"
    return _advise_invalid(code) if text == "invalid syntax" else ""


def _advise_invalid(code: str) -> str:
    if re.match(r"(?:pip3?|conda|apt(?:-get)?)\s+\w", code):
        return "a line for the shell begins with an exclamation mark: !pip install ..."
    if re.match(r"(?:cd|ls|wget|git)\s", code):
        return "a line for the shell begins with an exclamation mark"
    if re.search(r"<[^<>]*(?:code|here|answer)[^<>]*>|_{3,}|\byour code\b", code, re.IGNORECASE):
        return "a placeholder is left in it"
    operator = next((sign for sign in _OPERATORS if sign in code), "")
    if operator:
        return f"Python writes {_OPERATORS[operator]} for {operator}"
    first = re.match(r"[^\W\d]+", code)
    if first and first[0] not in _KEYWORDS:
        near = difflib.get_close_matches(first[0].lower(), _KEYWORDS, 1, _CLOSE)
        return f"did you mean {near[0]}?" if near else ""
    return ""
