"""All commands. Importing a module adds its commands; `grader --help` lists them in this order."""

# isort: off
from grader.cli import check as check
from grader.cli import batch as batch, gradebook as gradebook, marks as marks
from grader.cli import calibrate as calibrate, authoring as authoring, mutation as mutation, data as data
from grader.cli import remote as remote, service as service, worker as worker
from grader.cli import doctor as doctor, daemon as daemon, key as key, schema as schema, completion as completion
from grader.cli.console import app

__all__ = ["app"]
