"""The command line: thin, every command calls one function of the package."""

# Importing a module adds its commands, in the order in which they are listed.
from grader.cli import check, batch, gradebook, marks, remote, service, worker, calibrate, authoring, data  # noqa: F401, I001
from grader.cli.console import app

__all__ = ["app"]
