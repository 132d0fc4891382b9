"""Completion in the shell: `grader completion`, and what it completes."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from grader.cli.completion_scripts import SCRIPTS
from grader.cli.console import app, handle_errors
from grader.cli.formats import ReportFormat
from grader.cli.help_pages import Section
from grader.cli.typer_internals import Command, find_completions
from grader.errors import GraderError, InputError

__all__ = ["complete_assignments", "complete_formats", "complete_items", "completion", "find_words"]


class _Shell(StrEnum):
    BASH = "bash"
    ZSH = "zsh"
    FISH = "fish"


@app.command(
    section=Section.MACHINE,
    examples="""
        eval "$(grader completion bash)"
        eval "$(grader completion zsh)"
        grader completion fish | source
    """,
)
def completion(
    shell: Annotated[
        _Shell | None,
        typer.Argument(metavar="SHELL", help="The shell: bash, zsh or fish.", show_default="that of $SHELL"),
    ] = None,
) -> None:
    """Print a script with which the shell completes commands, options, assignments and items.

    Add the line for your shell to ~/.bashrc, to ~/.zshrc (below compinit), or to ~/.config/fish/config.fish.
    """
    with handle_errors():
        name = shell or Path(os.environ.get("SHELL", "")).name
        if name not in SCRIPTS:
            raise InputError(f"name a shell, {', '.join(_Shell)}: $SHELL is {os.environ.get('SHELL') or 'not set'}")
        print(SCRIPTS[name], end="")


@app.command("completion-words", hidden=True)
def complete_words(
    context: typer.Context,
    shell: Annotated[_Shell, typer.Argument()],
    words: Annotated[list[str] | None, typer.Argument()] = None,
) -> None:
    """Print what may stand for the last word, a line for each; scripts of `grader completion` call this."""
    program = context.find_root().command
    for value, text in find_words(program, shell, words or [""]):
        print(value if shell == _Shell.BASH or not text else f"{value}\t{text}")


def find_words(program: Command, shell: str, words: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Yield what may stand for the last of some words of a command line, each with a short text.

    Args:
        program: the whole program, as typer made it.
        shell: bash, zsh or fish.
        words: the words after the program's name. bash makes words of their own of = and :.
    """
    *before, incomplete = _join(words) if shell == _Shell.BASH else words
    option, mark, value = incomplete.partition("=")
    is_assigned = bool(mark) and option.startswith("-")
    prefix = "" if shell == _Shell.BASH or not is_assigned else f"{option}="
    for item in find_completions(program, "grader", list(before), incomplete):
        if item.value.startswith(value if is_assigned else incomplete):
            first = (item.help or "").replace("`", "").partition(". ")[0]
            yield f"{prefix}{item.value}", " ".join(first.split())


def _join(words: Sequence[str]) -> list[str]:
    """Put together again what bash took apart: "--format", "=", "junit" is one word."""
    joined: list[str] = []
    for word in words:
        if joined and (word in ("=", ":") or joined[-1].endswith(("=", ":"))):
            joined[-1] += word
        else:
            joined.append(word)
    return joined


def complete_assignments(incomplete: str) -> list[str]:
    """Return the names of assignments that begin like this."""
    from grader.assignment import list_assignment_folders

    rubrics = [path for folder in list_assignment_folders() for path in folder.glob("*/rubric.toml")]
    return sorted({path.parent.name for path in rubrics if path.parent.name.startswith(incomplete)})


def complete_formats(incomplete: str) -> list[str]:
    """Return the formats that begin like this; a file after = is completed by the shell."""
    return [form for form in ReportFormat if form.startswith(incomplete)]


def complete_items(context: typer.Context, incomplete: str) -> list[tuple[str, str]]:
    """Return the ids of an assignment's items that begin like this, with their titles."""
    from grader.assignment import find_assignment

    try:
        assignment = find_assignment(context.params.get("assignment") or "hw2")
    except (GraderError, OSError):
        return []
    return [(item.id, item.title) for item in assignment.items if item.id.startswith(incomplete)]
