"""Commands and groups with plain help, and with messages in our words."""

from __future__ import annotations

import errno
import os
import re
import sys
import textwrap
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TextIO, TypeVar

import typer

from grader.cli.help_pages import get_width, render_help, show_bold, wrap
from grader.cli.typer_internals import (
    ClickException,
    Command,
    Context,
    HelpFormatter,
    NoArgsIsHelpError,
    TyperCommand,
    TyperGroup,
    UsageError,
)
from grader.cli.usage_errors import describe_unknown_command, describe_usage_error

__all__ = ["BROKEN_PIPE", "CommandLine", "has_lost_reader", "is_broken_pipe", "print_error", "silence"]

BROKEN_PIPE = 141  # 128 and the number of SIGPIPE, as shells count
_HELP = {"help_option_names": ["-h", "--help"]}

_Function = TypeVar("_Function", bound=Callable[..., Any])


class CommandLine(typer.Typer):
    """A group of commands, or the whole program.

    Args:
        help: what the group is for.
        opens_files: whether a file in place of a command means `check` with this file.
        settings: further settings of `typer.Typer`.
    """

    def __init__(self, *, help: str, opens_files: bool = False, **settings: Any) -> None:
        super().__init__(
            cls=_Program if opens_files else _Group,
            help=help,
            no_args_is_help=not settings.get("invoke_without_command", False),
            add_completion=False,  # `grader completion` has scripts of its own
            pretty_exceptions_enable=False,
            rich_markup_mode=None,
            context_settings=_HELP,
            **settings,
        )

    def command(
        self, name: str | None = None, *, section: str = "", examples: str = "", **settings: Any
    ) -> Callable[[_Function], _Function]:
        """Add a command.

        Args:
            name: its name; None for that of the function.
            section: the section of help in which it is listed.
            examples: lines that begin with two blanks, below a heading.
            settings: further settings of typer's own `command`.
        """
        epilog = f"Examples:\n{textwrap.indent(textwrap.dedent(examples).strip(), '  ')}" if examples else None
        settings = {"cls": _PlainCommand, "rich_help_panel": section or None, "epilog": epilog, **settings}
        return super().command(name, context_settings=_HELP, **settings)


class _PlainCommand(TyperCommand):
    """A command whose help is plain text."""

    def parse_args(self, context: Context, words: list[str]) -> list[str]:
        """Read the words of a command line.

        Raises:
            UsageError: they are wrong. It knows the command, also if typer's parser has left that out.
        """
        try:
            return super().parse_args(context, words)
        except UsageError as error:
            error.ctx = error.ctx or context
            raise

    def format_help(self, context: Context, formatter: HelpFormatter) -> None:
        """Write the help."""
        formatter.write(render_help(context, get_width(), show_bold(sys.stdout)))


class _Group(TyperGroup):
    """A group whose help is plain text, and whose errors are in our words."""

    def format_help(self, context: Context, formatter: HelpFormatter) -> None:
        """Write the help."""
        formatter.write(render_help(context, get_width(), show_bold(sys.stdout)))

    def resolve_command(self, context: Context, words: list[str]) -> tuple[str | None, Command | None, list[str]]:
        """Find the command that a word names.

        Raises:
            UsageError: there is none.
        """
        name = words[0]
        if self.get_command(context, name) is None and not context.resilient_parsing and not name.startswith("-"):
            context.fail(describe_unknown_command(context, name))
        return super().resolve_command(context, words)

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,
        windows_expand_args: bool = True,
        **extra: Any,
    ) -> Any:
        """Run the program, and end the process with its exit code."""
        try:
            code = super().main(args, "grader", complete_var, False, windows_expand_args, **extra)
        except NoArgsIsHelpError as error:
            print(error.format_message(), file=sys.stderr)
            code = error.exit_code
        except ClickException as error:
            print_error(describe_usage_error(error))
            code = error.exit_code
        except OSError as error:
            if not is_broken_pipe(error):
                raise
            code = BROKEN_PIPE
        except SystemExit:  # typer's way to end when it finds that a pipe is closed
            if not has_lost_reader():
                raise
            code = BROKEN_PIPE
        if code == BROKEN_PIPE:
            silence()
        sys.exit(code if isinstance(code, int) else 0)


class _Program(_Group):
    """The whole program: `grader FILE` means `grader check FILE`."""

    def resolve_command(self, context: Context, words: list[str]) -> tuple[str | None, Command | None, list[str]]:
        """Find the command that a word names, `check` if it is a file.

        Raises:
            UsageError: there is none, and there is no such file.
        """
        if self.get_command(context, words[0]) is None and _is_file(words[0]):
            words = ["check", *words]
        return super().resolve_command(context, words)


def _is_file(word: str) -> bool:
    """Tell whether a word is a file, or is written like one: a name with an ending, a path."""
    return word == "-" or "/" in word or bool(re.search(r"\.\w+$|^\.\.?$", word)) or Path(word).exists()


def print_error(message: str) -> None:
    """Print a message on standard error, on a terminal with lines broken between words."""
    text = f"grader: {message}"
    if sys.stderr.isatty():
        text = "\n".join(wrap(line, get_width()) for line in text.splitlines())
    print(text, file=sys.stderr)


def is_broken_pipe(error: BaseException) -> bool:
    """Tell whether an error means that the program which reads our output has ended, as `head` does."""
    return isinstance(error, OSError) and error.errno == errno.EPIPE and has_lost_reader()


def has_lost_reader() -> bool:
    """Tell whether the program which reads our output or our messages has ended."""
    return any(map(_has_lost_reader, _find_streams()))


def _find_streams() -> list[TextIO]:
    return [stream for stream in (sys.__stdout__, sys.__stderr__) if stream is not None]


def _has_lost_reader(stream: TextIO) -> bool:
    import select

    poll = select.poll()
    try:
        poll.register(stream.fileno(), 0)
    except (OSError, ValueError):
        return False  # closed, or no file at all
    return any(event & select.POLLERR for _, event in poll.poll(0))


def silence() -> None:
    """Drop what is still to be printed to a program that has ended, so that the end of the process is quiet."""
    for stream in _find_streams():
        if _has_lost_reader(stream):
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, stream.fileno())
            os.close(nowhere)
