"""The command line. Every command is thin, and calls one function of the package."""

# Importing a module adds its commands; `grader --help` lists them in this order.
from grader.cli import check, batch, gradebook, marks, remote, service, worker, calibrate, authoring, data  # noqa: F401, I001
from grader.cli.console import app

__all__ = ["app"]
