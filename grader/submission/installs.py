"""Takes package installs out of a cell's source: the course's packages are there already, and there is no network."""

from __future__ import annotations

import keyword
import re

__all__ = ["neutralise_installs"]

_INSTALLERS = ("apt", "apt-get", "conda", "mamba", "micromamba", "pip", "uv")
_SHELL_CELLS = frozenset({"!", "bash", "script", "sh", "sx", "system"})
_PYTHON_CELLS = frozenset({"capture", "prun", "time", "timeit"})  # their body is read as a cell once more

# Every pattern is anchored and its parts exclude one another, so that a hostile line costs no more than its length.
_ESCAPED = re.compile(r"(?P<indent>\s*)(?P<target>[^\s=!%'\"#(][^=!%'\"#(]*=\s*)?(?P<statement>[!%].*)")
_AUTOMAGIC = re.compile(r"(?P<indent>\s*)(?:pip3?|conda|mamba|uv)\s+(?:--[a-z]|-[Vhqv]\b|(?P<word>[a-z]+)\b)")
_PROGRAM = re.compile(rf"pip[\d.]+|{'|'.join(_INSTALLERS)}")
_STRING_MARKS = re.compile(r"\\.|'''|\"\"\"|'|\"|#")
_LONGEST_COMMAND = 2000
_LONGEST_SOURCE = 1_000_000  # nobody wrote it, and what it installs fails without a network


def neutralise_installs(source: str) -> tuple[str, tuple[str, ...]]:
    """Replace install commands by lines that do nothing; every other line stays, at its number.

    Returns the new source and the commands that were taken out.
    """
    if len(source) > _LONGEST_SOURCE or not any(installer in source for installer in _INSTALLERS):
        return source, ()
    lines = source.split("\n")
    start, shell = _body(lines)
    kept, removed = lines[:start], []
    quotes, continued = "", False
    for line in lines[start:]:
        replacement = "" if continued else None if quotes else _replacement(line, shell)
        if replacement is None:
            kept.append(line)
            quotes = "" if shell else _open_quotes(line, quotes)
            continue
        if not continued:
            removed.append(line.strip())
        kept.append(replacement)
        continued = line.endswith("\\")
    return "\n".join(kept), tuple(removed)


def _body(lines: list[str]) -> tuple[int, bool]:
    """Return where the lines that may install begin, past cell magics, and whether they are a shell's."""
    for index, line in enumerate(lines):
        if line and not line.isspace() and not line.startswith("%%"):
            return index, False
        magic = "".join(line[2:_LONGEST_COMMAND].split()[:1])
        if magic in _SHELL_CELLS:
            return index + 1, True
        if magic and magic not in _PYTHON_CELLS:
            break
    return len(lines), False


def _replacement(line: str, shell: bool) -> str | None:
    """Return what stands in for a line that installs, None where it does not install."""
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
    """Whether a statement with IPython's "!" or "%" in front installs."""
    if statement.startswith("!"):
        return _runs_installer(statement.lstrip("!"))
    magic, _, rest = statement[1:_LONGEST_COMMAND].partition(" ")
    if magic in {"sx", "system"}:
        return _runs_installer(rest)
    if magic in {"time", "timeit"}:
        return rest.lstrip().startswith(("!", "%")) and _installs(rest.lstrip())
    return statement.startswith("%") and magic in _INSTALLERS


def _runs_installer(command: str) -> bool:
    """Whether one of a shell line's commands is an installer."""
    return any(_is_installer(part.split()) for part in re.split(r"[;&|]+", command[:_LONGEST_COMMAND]))


def _is_installer(words: list[str]) -> bool:
    while words and (words[0] == "sudo" or "=" in words[0] or words[0].startswith("-")):
        words = words[1:]
    if "-m" in words[1:-1] and ("python" in words[0] or "sys.executable" in words[0]):
        words = words[words.index("-m") + 1 :]
    return bool(words) and _PROGRAM.fullmatch(words[0].rpartition("/")[2]) is not None


def _open_quotes(line: str, quotes: str) -> str:
    """Return the quotes of the string that is still open after a line, given those open before it."""
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
