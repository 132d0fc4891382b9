"""The command line. Every command is thin, and calls one function of the package."""

from __future__ import annotations

TYPE_CHECKING = False  # what type checkers take for true; the module typing is not imported yet
if TYPE_CHECKING:
    from grader.cli.commands import app

__all__ = ["app"]


def __getattr__(name: str) -> object:
    # The commands are imported when they are first needed: `grader --version` needs none, and the entry point has to
    # be there already if somebody presses Ctrl-C meanwhile.
    if name == "app":
        from grader.cli.commands import app

        return app
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
