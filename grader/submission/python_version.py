"""Which Python a cell was written for, if it is newer than ours: ruff knows all grammars. No student code runs here."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

__all__ = ["describe_newer_python", "find_newer_python"]

_SECONDS = 10.0
_LONGEST_SOURCE = 400_000
_NEWER = re.compile(r"\(syntax was added in Python (3\.\d+)\)")
_OURS = sys.version_info[:2]
_COMMAND = ("check", "--isolated", "--no-cache", "--quiet", "--select", "F704", "--output-format", "json")
# IPython's own syntax: commands, and what asks for help.
_SHELL_LINE = re.compile(r"^([ \t]*)(?:[%!?].*|[\w.]+[ \t]*\?{1,2}[ \t]*)$", re.MULTILINE)
_SHELL_VALUE = re.compile(r"^([ \t]*\w[\w., ]*=)[ \t]*[%!].*$", re.MULTILINE)
_CELL_MAGIC = re.compile(r"\s*%%(\w+)")
_PYTHON_CELLS = frozenset({"capture", "prun", "time", "timeit"})  # their body is Python


def find_newer_python(source: str) -> str | None:
    """Return the Python that a cell needs, such as "3.12", if a newer one than ours reads it.

    None if the cell has a mistake in any Python, or if it cannot be told.
    """
    magic = _CELL_MAGIC.match(source)
    ruff = Path(sys.executable).with_name("ruff")
    if len(source) > _LONGEST_SOURCE or (magic and magic[1] not in _PYTHON_CELLS) or not ruff.exists():
        return None
    text = _SHELL_VALUE.sub(r"\1 None", _SHELL_LINE.sub(r"\1pass", source))
    target = f"py{_OURS[0]}{_OURS[1]}"
    try:
        done = subprocess.run(
            [ruff, *_COMMAND, "--target-version", target, "-"],
            input=text.encode(),
            capture_output=True,
            timeout=_SECONDS,
            cwd="/",
            check=False,
        )
        messages = [str(found["message"]) for found in json.loads(done.stdout) if found["code"] != "F704"]
    except (OSError, subprocess.TimeoutExpired, ValueError, KeyError, TypeError):
        return None
    versions = [_NEWER.search(message) for message in messages]
    found = [version[1] for version in versions if version]
    if not found or len(found) < len(messages):
        return None
    return max(found, key=lambda version: int(version.partition(".")[2]))


def describe_newer_python(version: str) -> str:
    """Return what the report says of a cell that needs a newer Python."""
    return f"written for Python {version} or newer; this grader runs {_OURS[0]}.{_OURS[1]}"
