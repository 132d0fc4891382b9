"""What `--help` prints: plain text that breaks lines between words, at any width."""

from __future__ import annotations

import inspect
import os
import re
import shutil
import textwrap
from collections.abc import Iterator, Sequence
from enum import StrEnum

from grader.cli.typer_internals import Command, Context, TyperGroup, list_parameters

__all__ = ["Section", "get_path", "get_width", "render_help", "render_usage", "show_bold", "wrap"]

_WIDEST, _NARROWEST = 100, 20
_TWO_COLUMNS = 64  # from this width on, texts stand beside names, else below them
_LONGEST_NAME = 24  # longer names have a line of their own


class Section(StrEnum):
    """The sections in which help lists commands."""

    SUBMISSION = "One submission"
    CLASS = "A class"
    ASSIGNMENT = "An assignment"
    SERVER = "A server"
    MACHINE = "This machine"


def get_width() -> int:
    """Return the width for texts on this terminal, in characters."""
    return max(min(shutil.get_terminal_size().columns, _WIDEST), _NARROWEST)


def render_help(context: Context, width: int, bold: bool) -> str:
    """Return the help of a command.

    Args:
        context: the command, and how it was called.
        width: the width of lines in characters; only a single word may be longer.
        bold: whether headings are bold, by a command to the terminal.
    """
    command = context.command
    parameters = list_parameters(context)
    parts = [
        "\n\n".join(_render_paragraphs(command.help or "", width)),
        render_usage(context, width),
        _render_list("Arguments", [(each.name, each.help) for each in parameters if each.is_argument], width),
        *_render_commands(context, width),
        _render_list("Options", [(each.name, each.help) for each in parameters if not each.is_argument], width),
        _render_examples(command.epilog or "", width),
    ]
    text = "\n\n".join(part for part in parts if part) + "\n"
    return re.sub(r"^(\w[\w ]*:)$|^(Usage:)", "\x1b[1m\\g<0>\x1b[0m", text, flags=re.MULTILINE) if bold else text


def render_usage(context: Context, width: int) -> str:
    """Return the line that shows how a command is called."""
    arguments = [each for each in list_parameters(context) if each.is_argument]
    words = ["[OPTIONS]", *(each.name if each.is_required else f"[{each.name}]" for each in arguments)]
    if isinstance(context.command, TyperGroup):
        words.append("COMMAND ...")
    return wrap(f"Usage: {get_path(context)} {' '.join(words)}", width, hanging=7)


def wrap(text: str, width: int, indent: int = 0, hanging: int = 0) -> str:
    """Break a text into lines between words.

    Args:
        text: the text; its own line breaks count as blanks.
        width: the width of lines.
        indent: number of blanks before each line.
        hanging: number of further blanks before each line but the first.
    """
    return textwrap.fill(
        text,
        width,
        initial_indent=" " * indent,
        subsequent_indent=" " * (indent + hanging),
        break_long_words=False,
        break_on_hyphens=False,
    )


def get_path(context: Context) -> str:
    """Return a command with the groups that it stands in."""
    parent = get_path(context.parent) if context.parent else ""
    return f"{parent} {context.info_name or ''}".strip()


def _render_paragraphs(text: str, width: int) -> Iterator[str]:
    for paragraph in inspect.cleandoc(text).replace("`", "").split("\n\n"):
        if paragraph.strip():
            yield wrap(paragraph, width)


def _render_commands(context: Context, width: int) -> Iterator[str]:
    """Yield the sections of a group's commands, in the order in which they were added."""
    if not isinstance(context.command, TyperGroup):
        return
    sections: dict[str, list[tuple[str, str]]] = {}
    for name in context.command.list_commands(context):
        command = context.command.get_command(context, name)
        if command is not None and not command.hidden:
            section = getattr(command, "rich_help_panel", None) or "Commands"
            sections.setdefault(str(section), []).append((name, _summarise(command)))
    order = {str(section): number for number, section in enumerate(Section)}
    for section, rows in sorted(sections.items(), key=lambda entry: order.get(entry[0], len(order))):
        yield _render_list(section, rows, width)


def _summarise(command: Command) -> str:
    """Return the first sentence of a command's help."""
    first = " ".join(inspect.cleandoc(command.help or "").split("\n\n")[0].split()).replace("`", "")
    return re.split(r"(?<=[.:])\s", first)[0].rstrip(":")


def _render_list(title: str, rows: Sequence[tuple[str, str]], width: int) -> str:
    if not rows:
        return ""
    if width < _TWO_COLUMNS:
        lines = [wrap(name, width, 2, 4) + ("\n" + wrap(text, width, 6) if text else "") for name, text in rows]
        return "\n".join([f"{title}:", *lines])
    column = 4 + min(max(len(name) for name, _ in rows), _LONGEST_NAME)
    return "\n".join([f"{title}:", *(_render_row(name, text, column, width) for name, text in rows)])


def _render_row(name: str, text: str, column: int, width: int) -> str:
    lines = wrap(text, width, column)
    if len(name) + 4 > column:
        return f"{wrap(name, width, 2, 4)}\n{lines}"
    return f"  {name}".ljust(column) + lines[column:]


def _render_examples(text: str, width: int) -> str:
    """Return an epilogue: commands line by line, which may go on after a backslash, and paragraphs."""
    blocks = []
    for block in textwrap.dedent(text).strip().split("\n\n"):
        lines = block.splitlines()
        if any(line.startswith("  ") for line in lines):
            blocks.append("\n".join(_render_example(line, width) for line in lines))
        elif lines:
            blocks.append(wrap(block, width))
    return "\n\n".join(blocks)


def _render_example(line: str, width: int) -> str:
    if len(line) <= width or not line.startswith("  "):
        return line
    rows = wrap(line.strip(), width - 2, 2, 4).splitlines()
    return " \\\n".join(rows)


def show_bold(stream: object) -> bool:
    """Tell whether headings on a stream may be bold."""
    is_terminal = getattr(stream, "isatty", lambda: False)()
    return bool(is_terminal) and not os.environ.get("NO_COLOR") and os.environ.get("TERM", "dumb") != "dumb"
