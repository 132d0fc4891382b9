"""Removes package installs from a cell's source: the packages are installed already, and there is no network."""

from __future__ import annotations

import keyword
import re

__all__ = ["neutralise_installs"]

_INSTALLERS = ("apt", "apt-get", "conda", "mamba", "micromamba", "pip", "uv")
_SHELL_CELLS = frozenset({"!", "bash", "script", "sh", "sx", "system"})
_PYTHON_CELLS = frozenset({"capture", "prun", "time", "timeit"})  # IPython runs their body as a cell

# Every pattern is anchored and its parts exclude one another, so that hostile lines take linear time.
_ESCAPED = re.compile(r"(?P<indent>\s*)(?P<target>[^\s=!%'\"#(][^=!%'\"#(]*=\s*)?(?P<statement>[!%].*)")
_AUTOMAGIC = re.compile(r"(?P<indent>\s*)(?:pip3?|conda|mamba|uv)\s+(?:--[a-z]|-[Vhqv]\b|(?P<word>[a-z]+)\b)")
_PROGRAM = re.compile(rf"pip[\d.]+|{'|'.join(_INSTALLERS)}")
_STRING_MARKS = re.compile(r"\\.|'''|\"\"\"|'|\"|#")
_LONGEST_COMMAND = 2000
_LONGEST_SOURCE = 1_000_000  # longer source is generated; its installs fail without a network


def neutralise_installs(source: str) -> tuple[str, tuple[str, ...]]:
    """Replace install commands by lines that do nothing, without changing the number of any line.

    Return the new source and the commands that were removed.
    """
    if len(source) > _LONGEST_SOURCE or not any(installer in source for installer in _INSTALLERS):
        return source, ()
    lines = source.split("\n")
    start, shell = _find_body(lines)
    new_lines, removed = lines[:start], []
    quotes, continued = "", False
    for line in lines[start:]:
        replacement = "" if continued else None if quotes else _replace(line, shell)
        if replacement is None:
            new_lines.append(line)
            quotes = "" if shell else _open_quotes(line, quotes)
            continue
        if not continued:
            removed.append(line.strip())
        new_lines.append(replacement)
        continued = line.endswith("\\")
    return "\n".join(new_lines), tuple(removed)


def _find_body(lines: list[str]) -> tuple[int, bool]:
    """Return the index of the first line after cell magics, and whether the lines are shell commands."""
    for index, line in enumerate(lines):
        if line and not line.isspace() and not line.startswith("%%"):
            return index, False
        magic = "".join(line[2:_LONGEST_COMMAND].split()[:1])
        if magic in _SHELL_CELLS:
            return index + 1, True
        if magic and magic not in _PYTHON_CELLS:
            break
    return len(lines), False


def _replace(line: str, shell: bool) -> str | None:
    """Return the replacement of a line that installs, or None if it does not install."""
    if shell:
        indent = line[: len(line) - len(line.lstrip())]
        return f"{indent}:" if _runs_installer(line) else None
    if escaped := _ESCAPED.match(line):
        if not _installs(escaped["statement"]):
            return None
        return escaped["indent"] + (f"{escaped['target']}[]" if escaped["target"] else "pass")
    automagic = _AUTOMAGIC.match(line)
    if automagic is None or keyword.iskeyword(automagic["word"] or ""):
        return None
    return f"{automagic['indent']}pass"


def _installs(statement: str) -> bool:
    """Return whether a statement that starts with IPython's "!" or "%" installs."""
    if statement.startswith("!"):
        return _runs_installer(statement.lstrip("!"))
    magic, _, rest = statement[1:_LONGEST_COMMAND].partition(" ")
    if magic in {"sx", "system"}:
        return _runs_installer(rest)
    if magic in {"time", "timeit"}:
        return rest.lstrip().startswith(("!", "%")) and _installs(rest.lstrip())
    return statement.startswith("%") and magic in _INSTALLERS


def _runs_installer(command: str) -> bool:
    """Return whether one of the commands in a shell line is an installer."""
    return any(_is_installer(part.split()) for part in re.split(r"[;&|]+", command[:_LONGEST_COMMAND]))


def _is_installer(words: list[str]) -> bool:
    while words and (words[0] == "sudo" or "=" in words[0] or words[0].startswith("-")):
        words = words[1:]
    if "-m" in words[1:-1] and ("python" in words[0] or "sys.executable" in words[0]):
        words = words[words.index("-m") + 1 :]
    return bool(words) and _PROGRAM.fullmatch(words[0].rpartition("/")[2]) is not None


def _open_quotes(line: str, quotes: str) -> str:
    """Return the quotes of the string that is open after a line, given those that were open before it."""
    if not quotes and line.lstrip().startswith(("!", "%")):
        return ""
    for mark in _STRING_MARKS.finditer(line):
        if quotes:
            if mark[0].startswith(quotes):
                quotes = ""
        elif mark[0] == "#":
            return ""
        elif mark[0] != "\\":
            quotes = mark[0] if mark[0][0] in "'\"" else ""
    return quotes if len(quotes) > 1 or line.endswith("\\") else ""
