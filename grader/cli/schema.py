"""`grader schema`: the JSON schema of reports."""

from __future__ import annotations

import json

from grader.cli.console import app, handle_errors
from grader.cli.help_pages import Section

__all__ = ["schema"]


@app.command(section=Section.MACHINE, examples="  grader schema > report.schema.json")
def schema() -> None:
    """Print the JSON schema of reports."""
    with handle_errors():
        from grader.results.report import load_report_schema

        print(json.dumps(load_report_schema(), indent=2))
