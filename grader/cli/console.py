"""The application and what its commands share: exit codes, errors, progress and output files."""

from __future__ import annotations

import io
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import typer
from rich.console import Console
from rich.text import Text

from grader.errors import GraderError, InputError

__all__ = [
    "NOT_PASSED",
    "PASSED",
    "SYSTEM_FAULT",
    "WRONG_INPUT",
    "accept_interrupts",
    "app",
    "handle_errors",
    "hold_interrupts",
    "refuse_unwritable",
    "show_progress",
    "write_text",
]

PASSED, NOT_PASSED, WRONG_INPUT, SYSTEM_FAULT = 0, 1, 2, 3

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    help="Grade deep-learning notebooks in a sandbox that knows no answers.",
    epilog="Exit codes: 0 every automatic item passed, 1 some did not, 2 the input is wrong, 3 the system failed.",
)


@contextmanager
def handle_errors() -> Iterator[None]:
    """Turn our exceptions into one clear line and an exit code."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal that cannot show Korean still gets its report
    try:
        yield
    except InputError as error:
        _fail(str(error), WRONG_INPUT)
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] in ("grader", "reference"):
            raise
        _fail(f"this command needs {error.name}: pip install 'notebook-grader[service]'", WRONG_INPUT)
    except GraderError as error:
        _fail(f"the grader failed, not the submission: {error}", SYSTEM_FAULT)
    except (OSError, MemoryError) as error:
        _fail(f"this machine failed, not the submission: {type(error).__name__}: {error}", SYSTEM_FAULT)


@contextmanager
def accept_interrupts() -> Iterator[None]:
    """Let Ctrl-C end a command that has no other end, even if SIGINT was ignored when it started.

    A shell without job control has background jobs ignore SIGINT. For work that ends by itself that is what the user
    wants, and it stays so; a command that runs until Ctrl-C could not be ended cleanly.
    """
    handler = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, handler or signal.SIG_DFL)


@contextmanager
def hold_interrupts() -> Iterator[None]:
    """Delay Ctrl-C until the end of an import: torch's takes an interrupt for a failed experiment and goes on."""
    handler = signal.getsignal(signal.SIGINT)
    if handler is not signal.default_int_handler:  # interrupts are ignored, as in background jobs, or handled
        yield
        return
    held: list[int] = []
    signal.signal(signal.SIGINT, lambda number, _: held.append(number))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, handler)
    if held:
        raise KeyboardInterrupt


def _fail(message: str, code: int) -> None:
    from grader.render.text import sanitise_text

    # File names and messages of a student's code may contain terminal commands.
    text = sanitise_text(message)
    print("grader:", " ".join(text.split()) if code == WRONG_INPUT else text, file=sys.stderr)
    raise typer.Exit(code)


@contextmanager
def show_progress() -> Iterator[Callable[[str], None]]:
    """Show the current step on a terminal; show nothing elsewhere."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield lambda _: None
        return
    from grader.render.text import sanitise_line

    with console.status("reading") as status:

        def show(step: str) -> None:
            if not step:
                return status.stop()
            status.start()  # an earlier part of the work may have stopped it
            # As literal text, because file names may contain markup of rich.
            return status.update(Text(sanitise_line(step), overflow="ellipsis", no_wrap=True))

        yield show


def refuse_unwritable(*files: str) -> None:
    """Refuse output files that cannot be written, before any work is done.

    Raises:
        InputError: two reports have the same file, or its folder does not exist.
    """
    targets = [file for file in files if file]
    for file in targets:
        if targets.count(file) > 1:
            raise InputError(f"two reports would go to {file}: give each a file of its own")
        if file != "-" and (not Path(file).absolute().parent.is_dir() or Path(file).is_dir()):
            raise InputError(f"cannot write the report to {file}: give a file in a folder that exists")


def write_text(file: str, text: str) -> None:
    """Write text to a file, or to standard output if `file` is "-"."""
    if file == "-":
        # Bytes, because JSON is UTF-8 whatever the terminal's encoding is.
        sys.stdout.buffer.write(text.encode("utf-8"))
        sys.stdout.flush()
        return
    try:
        Path(file).write_text(text, encoding="utf-8")
    except OSError as error:
        raise InputError(f"cannot write the report to {file}: {error.strerror}") from None
