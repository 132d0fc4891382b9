"""IPython's shell: its options, its statements, and what it does to the text of cells before it runs them."""

from __future__ import annotations

import ast
import functools
import os
import re
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from pathlib import Path
from types import TracebackType
from typing import Any

import IPython.core.display
import IPython.display
from IPython.core import debugger
from IPython.core.history import HistoryManager
from IPython.core.interactiveshell import InteractiveShell
from IPython.external.pickleshare import PickleShareDB
from matplotlib_inline.backend_inline import set_matplotlib_close, set_matplotlib_formats
from traitlets.config import Config

from grader.sandbox.guest.internals.replacement import replace_attribute

__all__ = [
    "LIKE_A_MAGIC",
    "add_working_folder",
    "configure",
    "display_nothing",
    "keep_stored_values_in",
    "offer_removed_names",
    "parse_body",
    "replace_debugger_prompt",
    "replace_parser",
    "replace_statement_loop",
    "run_bodies_of_magics",
    "run_without_loop",
    "set_option",
    "show_lines_in_tracebacks",
    "show_nothing",
    "transform_magics_only",
    "wrap_statements",
]

# A line that begins like one of IPython's commands, an assignment of one, or a question mark anywhere.
LIKE_A_MAGIC = re.compile(r"^\s*[%!,;/]|=[\s\\]*[%!]|\?", re.MULTILINE)

_MOST_FRAMES = 8  # at each end of a traceback
_OWN_MODULES = "grader.sandbox.guest."


def set_option(config: Config, kind: Any, name: str, value: Any) -> None:
    """Configure an option of a class.

    Raises:
        AttributeError: the class has no such option. traitlets itself would ignore it.
    """
    if name not in kind.class_trait_names(config=True):
        raise AttributeError(f"{kind.__module__}.{kind.__name__} has no option {name!r}")
    config[kind.__name__][name] = value


def configure(config: Config) -> None:
    """Keep no history, and keep tracebacks short until `show_lines_in_tracebacks`."""
    set_option(config, HistoryManager, "enabled", False)
    # The default walks and highlights the source of every frame: 0.2 s for one error inside d2l.
    set_option(config, InteractiveShell, "xmode", "Plain")
    set_option(config, InteractiveShell, "colors", "nocolor")


def transform_magics_only(shell: Any) -> None:
    """Skip IPython's token transforms (`%magic`, `!command`, `help?`) for cells that have nothing like them.

    Saves 0.08 ms a cell. A transformer that the notebook adds is always asked.
    """
    transformers = shell.input_transformer_manager
    stock = list(transformers.token_transformers)

    def transform_if_needed(lines: list[str]) -> list[str]:
        needed = transformers.token_transformers != stock or LIKE_A_MAGIC.search("".join(lines))
        transformed: list[str] = transform(lines) if needed else lines
        return transformed

    transform = replace_attribute(transformers, "do_token_transforms", transform_if_needed)


def wrap_statements(shell: Any, wrap: Callable[[Callable[..., Awaitable[Any]]], Callable[..., Awaitable[Any]]]) -> None:
    """Replace the function that runs each statement of a cell by `wrap` of it.

    The function takes the statement's code and IPython's result, whose `error_in_exec` it sets, and returns whether
    the statement failed.
    """
    replace_attribute(shell, "run_code", wrap(shell.run_code))


def add_working_folder(path: list[str]) -> None:
    """Add the working folder to the import path where IPython does, after the standard library."""
    folders = ("site-packages", "dist-packages")
    path.insert(next((i for i, entry in enumerate(path) if os.path.basename(entry) in folders), 0), "")  # noqa: PTH119


def keep_stored_values_in(shell: Any, folder: Path) -> None:
    """Let `%store` and `%bookmark` keep their values below this folder."""
    replace_attribute(shell, "_db", PickleShareDB(folder / ".ipython" / "profile_default" / "db"))


def replace_debugger_prompt(instead: Callable[[], None]) -> None:
    """Call `instead` where a debugger would ask for commands, and go on."""

    def interaction(stopped: Any, *_: Any) -> None:
        instead()
        stopped.set_continue()

    for kind in (debugger.Pdb, debugger.OldPdb):
        replace_attribute(kind, "interaction", interaction)


def show_lines_in_tracebacks(shell: Any) -> None:
    """Show the code around each line of a traceback, as Jupyter does.

    The grader's own frames are left out, and the middle of a long traceback: Jupyter itself takes eight seconds for an
    endless recursion.
    """
    tracebacks = shell.InteractiveTB

    def get_fewer_records(trace: Any, *args: Any, **options: Any) -> Any:
        return get_records(_shorten(trace), *args, **options)

    get_records = replace_attribute(tracebacks, "get_records", get_fewer_records)
    tracebacks.set_mode("Context")


def _shorten(trace: TracebackType) -> TracebackType:
    """Return a traceback without the grader's own frames, and without its middle if it is long."""
    places: list[TracebackType] = []
    place: TracebackType | None = trace
    while place is not None:
        places.append(place)
        place = place.tb_next
    kept = [place for place in places if not str(place.tb_frame.f_globals.get("__name__")).startswith(_OWN_MODULES)]
    if len(kept) > 2 * _MOST_FRAMES:
        kept = kept[:_MOST_FRAMES] + kept[-_MOST_FRAMES:]
    if kept == places:
        return trace
    shortened = None
    for place in reversed(kept):
        shortened = TracebackType(shortened, place.tb_frame, place.tb_lasti, place.tb_lineno)
    return shortened or trace


def show_nothing(shell: Any) -> None:
    """Make neither text nor pictures of what cells display."""
    replace_attribute(shell.display_formatter, "format", lambda *_, **__: ({}, {}))


def display_nothing(shell: Any) -> None:
    """Let `display` and figures show nothing, in a process that is no kernel any more."""
    for name in ("publish", "clear_output"):
        replace_attribute(shell.display_pub, name, lambda *_, **__: None)


def offer_removed_names() -> None:
    """Offer the names of `IPython.display` also where older versions had them: notebooks begin with such an import."""
    moved = {"set_matplotlib_close": set_matplotlib_close, "set_matplotlib_formats": set_matplotlib_formats}
    for name, value in moved.items():
        vars(IPython.display).setdefault(name, value)
    for name, value in vars(IPython.display).items():
        if not name.startswith("_"):
            vars(IPython.core.display).setdefault(name, value)


def replace_statement_loop(shell: Any, run: Callable[..., Awaitable[bool]]) -> Callable[..., Awaitable[Any]]:
    """Replace the function that runs the parsed statements of a cell, and return IPython's own.

    Both take a list of statements, the name of their file, IPython's `interactivity`, a compiler and IPython's result,
    and return whether a statement failed.
    """
    stock: Callable[..., Awaitable[Any]] = replace_attribute(shell, "run_ast_nodes", run)
    return stock


def replace_parser(shell: Any, parse: Callable[[str, Callable[[str], ast.Module]], ast.Module]) -> None:
    """Parse cells by `parse`, which is given the source and a parser that raises SyntaxError."""

    def parse_cell(source: str, filename: str = "<unknown>", symbol: str = "exec") -> ast.Module:
        return parse(source, lambda part: stock(part, filename, symbol))

    stock = replace_attribute(shell.compile, "ast_parse", parse_cell)


def run_bodies_of_magics(shell: Any, names: Iterable[str], run: Callable[[str], Any]) -> None:
    """Let cell magics such as %%time call `run` with their body, instead of running it as one piece of code.

    The magics time or profile the call, and show the value that it returns.
    """
    # A magic can only be given source, and all that this can reach is the shell.
    shell.run_statements = run
    for name in names:
        # Finding it loads its class, which would otherwise replace ours when it is first used.
        shell.register_magic_function(_pass_body_on(shell.find_cell_magic(name)), "cell", name)


def _pass_body_on(stock: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(stock)
    def magic(line: str, cell: str | None = None, **scope: Any) -> Any:
        return stock(line, cell and f"get_ipython().run_statements({cell!r})", **scope)

    return magic


def parse_body(shell: Any, body: str) -> tuple[str, ast.Module]:
    """Return the body of a magic as IPython transforms it, and its statements.

    Raises:
        SyntaxError: it is no Python.
    """
    text = shell.transform_cell(body)
    return text, shell.transform_ast(shell.compile.ast_parse(text))


def run_without_loop(statements: Coroutine[Any, Any, Any]) -> Any:
    """Run what may not await anything to its end, while an event loop may be running. Return its result.

    Raises:
        SyntaxError: it does await something.
    """
    try:
        statements.send(None)
    except StopIteration as end:
        return end.value
    statements.close()
    raise SyntaxError("'await' outside function")
