"""The command line: thin, every command calls one function of the package."""

from grader.cli import authoring, calibrate, check, data  # noqa: F401 - importing a module adds its commands
from grader.cli.console import app

__all__ = ["app"]
