"""Words in code cells: comments and strings of students who forgot to change the cell's type."""

from __future__ import annotations

import ast
import re

__all__ = ["read_prose"]

_MIN_WORDS = 4
_WORD = re.compile(r"[^\W\d_\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]{2,}|[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]")
_MAGIC = re.compile(r"\s*[!%]")


def read_prose(code: str) -> str:
    """Return the words of a code cell that has no code but comments and strings, "" for other cells."""
    lines = [line.strip() for line in code.split("\n") if line.strip()]
    first = next((line for line in lines if not line.startswith("#")), "")
    body = _parse(code) if first.startswith(("'", '"')) else None if first else []
    if body is None:
        return ""
    values = [node.value for node in body if isinstance(node, ast.Expr)]
    strings = [value.value for value in values if isinstance(value, ast.Constant) and isinstance(value.value, str)]
    if len(strings) < len(body):
        return ""
    comments = [line.lstrip("# ") for line in lines if line.startswith("#")]
    text = "\n".join([*(string.strip("\n") for string in strings), *(line for line in comments if not _is_code(line))])
    return text if len(_WORD.findall(text)) >= _MIN_WORDS else ""


def _is_code(comment: str) -> bool:
    """Return whether a comment is code that was commented out."""
    body = _parse(comment)
    if body is None:
        return _MAGIC.match(comment) is not None
    return any(not isinstance(node, ast.Expr) or isinstance(node.value, ast.Call) for node in body)


def _parse(code: str) -> list[ast.stmt] | None:
    try:
        return ast.parse(code).body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
