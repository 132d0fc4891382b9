"""Commands that use a server: login, submit, status, fetch, cancel, regrade and publish. None of them is interactive.

With a student's token they work on that student's submissions, with any other token on batches. The server knows the
role of the token.
"""

from __future__ import annotations

import json
import re
import sys
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from grader.cli.console import (
    NOT_PASSED,
    PASSED,
    app,
    handle_errors,
    refuse_unwritable,
    show_progress,
    write_text,
)
from grader.cli.help_pages import Section
from grader.errors import InputError
from grader.models.recipe import Mode

if TYPE_CHECKING:
    from grader.client.connection import Client

__all__ = ["cancel", "fetch", "login", "publish", "regrade", "status", "submit"]


class _Format(StrEnum):
    JSON = "json"
    HTML = "html"


_Server = Annotated[
    str, typer.Option(metavar="URL", help="The server.", show_default="GRADER_SERVER, or the only one you logged in to")
]
_Batch = Annotated[str, typer.Argument(help="The id of a batch.", show_default=False)]
_Id = Annotated[
    str,
    typer.Argument(
        metavar="ID", help="The id of a batch; with a student's token, of a submission.", show_default=False
    ),
]
_JsonFile = Annotated[str, typer.Option("--json", help="Write the answer as JSON to this file, - for standard output.")]
_Watch = Annotated[bool, typer.Option("--watch", help="Wait until everything is graded, and show the progress.")]


@app.command(
    section=Section.SERVER,
    examples="""
        grader login --server https://grader.example.org
        grader login --server https://grader.example.org < token
    """,
)
def login(
    server: Annotated[str, typer.Option(metavar="URL", help="The server the token is for.", show_default=False)],
) -> None:
    """Store a token for a server in a file that only you can read.

    Type the token, or pipe it in. It is tried before it is stored.
    """
    with handle_errors():
        from grader.client.connection import Client
        from grader.client.credentials import save_token

        with Client(server, _read_token(), origin="standard input") as client:
            client.list_assignments()  # fails if the server does not know the token
            print("stored in", save_token(server, client.token))
            if client.server.startswith("http://") and not re.match(
                r"http://(127\.|localhost\b|\[::1\])", client.server
            ):
                print("note: http:// does not encrypt this token; ask for an address with https://")


@app.command(
    section=Section.SERVER,
    examples="""
        grader submit submissions.zip --watch
        grader submit hw2.ipynb my_layers.py data/
    """,
)
def submit(
    paths: Annotated[
        list[Path], typer.Argument(help="Folders, zip files, notebooks, and what they use.", show_default=False)
    ],
    assignment: Annotated[str, typer.Option(help="An assignment of the server.")] = "hw2",
    training: Annotated[
        Mode, typer.Option(help="How items earned by training are graded: not at all, quickly or fully.")
    ] = Mode.QUICK,
    title: Annotated[
        str, typer.Option(help="The title of the batch. The same files under another title are a new batch.")
    ] = "",
    server: _Server = "",
    json_file: _JsonFile = "",
    watch: _Watch = False,
) -> None:
    """Submit to a server: a class, or with a student's token all these files as one submission.

    Submitting the same files again returns the same batch or submission. In the folder of a class, each subfolder is
    one student's. With --watch, a student sees the report at the end.

    Exit codes: 0 accepted (with --watch: all graded), 1 some are not, 2 the input is wrong, 3 the server failed.
    """
    with handle_errors(), _connect(server) as client:
        from grader.client.packing import pack
        from grader.render.text import sanitise_line

        refuse_unwritable(json_file)
        with show_progress() as progress, tempfile.TemporaryDirectory(prefix="upload-") as scratch:
            is_student = _is_student(client)
            progress("packing")
            files = pack(paths, Path(scratch), lambda text: print("note:", sanitise_line(text), file=sys.stderr))
            progress(f"sending to {client.server}")
            send = client.submit_own if is_student else client.submit
            accepted = send(files, assignment=assignment, training=training.value, title=title)
            progress("")
        if json_file:
            write_text(json_file, _to_json(accepted))
        if json_file != "-":
            _show_accepted(accepted)
        code = PASSED
        if watch and is_student:
            submission = _watch_own(client, str(accepted["submission"]))
            code = _get_own_code(submission)
            if json_file != "-":
                _show_own(client, submission)
        elif watch:
            code = _watch(client, str(accepted["batch"]))
    raise typer.Exit(code)


@app.command(
    section=Section.SERVER,
    examples="""
        grader status
        grader status BATCH --watch
    """,
)
def status(
    which: Annotated[
        str,
        typer.Argument(
            metavar="ID", help="The id of a batch; with a student's token, of a submission. Without it, list all."
        ),
    ] = "",
    server: _Server = "",
    json_file: _JsonFile = "",
    watch: _Watch = False,
) -> None:
    """Show the batches on a server, or the progress of one batch.

    With a student's token, show that student's submissions, or the report of one submission.

    Exit codes: 0 everything is graded, 1 something is not (yet), 2 there is no such id, 3 the server failed.
    """
    with handle_errors(), _connect(server) as client:
        refuse_unwritable(json_file)
        if watch and not which:
            raise InputError("--watch needs the id of a batch or of a student's submission")
        show = _show_own_status if _is_student(client) else _show_status
        code = show(client, which, json_file, watch)
    raise typer.Exit(code)


def _show_status(client: Client, batch: str, json_file: str, watch: bool) -> int:
    from grader.render.batches import render_batches, render_submissions

    if not batch:
        batches = list(client.list_batches())
        if json_file:
            write_text(json_file, _to_json(batches))
        if json_file != "-":
            render_batches(batches, Console())
        return PASSED
    if watch:
        _watch(client, batch)
    about, submissions = client.get_batch(batch), list(client.list_submissions(batch))
    if json_file:
        write_text(json_file, _to_json({**about, "items": submissions}))
    if json_file != "-":
        render_submissions(about, submissions, Console())
    return _get_code(about, submissions)


def _show_own_status(client: Client, submission: str, json_file: str, watch: bool) -> int:
    from grader.render.batches import render_own

    if not submission:
        listed = list(client.list_own_submissions())
        if json_file:
            write_text(json_file, _to_json(listed))
        if json_file != "-":
            render_own(listed, Console())
        return PASSED
    found = _watch_own(client, submission) if watch else client.get_submission(submission)
    if json_file:
        write_text(json_file, _to_json(found))
    if json_file != "-":
        _show_own(client, found)
    return _get_own_code(found)


@app.command(
    section=Section.SERVER,
    examples="""
        grader fetch BATCH --out reports/
    """,
)
def fetch(
    which: _Id,
    out: Annotated[Path, typer.Option(metavar="FOLDER", help="Write the files to this folder.", show_default=False)],
    formats: Annotated[
        list[_Format] | None,
        typer.Option(
            "--format", help="Format of the reports, besides JSON. May be repeated.", show_default="json and html"
        ),
    ] = None,
    server: _Server = "",
) -> None:
    """Download the reports, gradebook and summary of a batch.

    Reports that are already in the folder are not downloaded again. With a student's token, download the report of one
    submission.

    Exit codes: 0 all submissions have a report, 1 some have none (yet), 2 the input is wrong, 3 the server failed.
    """
    with handle_errors(), _connect(server) as client:
        fetch_reports = _fetch_own if _is_student(client) else _fetch
        code = fetch_reports(client, which, out, [form.value for form in formats or _Format])
    raise typer.Exit(code)


def _fetch(client: Client, batch: str, out: Path, formats: list[str]) -> int:
    from grader.client.fetching import fetch
    from grader.render.text import sanitise_line, sanitise_text

    with show_progress() as progress:
        fetched = fetch(client, batch, out, formats, progress)
        progress("")
    print(f"{fetched.reports} reports in", sanitise_text(str(out)))
    for key, reason in fetched.without.items():
        print(f"no report: {sanitise_line(key)}: {sanitise_line(reason)}")
    return NOT_PASSED if fetched.without else PASSED


def _fetch_own(client: Client, submission: str, out: Path, formats: list[str]) -> int:
    from grader.client.fetching import fetch_own
    from grader.render.text import sanitise_line, sanitise_text

    found = client.get_submission(submission)
    if found["points"]:
        for file in fetch_own(client, str(found["id"]), out, formats):
            print(sanitise_text(str(file)))
    else:
        print(f"no report: {sanitise_line(str(found['message'] or found['state']))}")
    return _get_own_code(found)


@app.command(section=Section.SERVER)
def cancel(which: _Id, server: _Server = "") -> None:
    """Cancel the grading of a batch or of a student's submission. Finished reports are kept."""
    with handle_errors(), _connect(server) as client:
        from grader.render.text import sanitise_line

        stop = client.cancel_own if _is_student(client) else client.cancel
        print(sanitise_line(f"{stop(which)['cancelled']} jobs cancelled"))


@app.command(section=Section.SERVER)
def regrade(batch: _Batch, server: _Server = "", watch: _Watch = False) -> None:
    """Grade a batch again with the current rubric. Students see the new reports after `grader publish`.

    Exit codes: 0 accepted (with --watch: all graded), 1 some are not, 2 there is no such batch, 3 the server failed.
    """
    with handle_errors(), _connect(server) as client:
        from grader.render.text import sanitise_line

        accepted = client.regrade(batch)
        count = accepted["gradings"]  # codespell:ignore gradings
        print(sanitise_line(f"grading {count} submissions again with rubric {str(accepted['revision'])[:12]}"))
        code = _watch(client, batch) if watch else PASSED
    raise typer.Exit(code)


@app.command(section=Section.SERVER)
def publish(
    batch: _Batch,
    server: _Server = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show which points would change.")] = False,
) -> None:
    """Publish the drafts of a regrade to the students, and show which points change."""
    with handle_errors(), _connect(server) as client:
        from grader.render.batches import render_changes
        from grader.render.text import sanitise_line

        preview = client.preview_regrade(batch)
        render_changes(preview, Console())
        if not dry_run:
            print(sanitise_line(f"{client.publish(batch)['published']} reports published"))


@contextmanager
def _connect(server: str) -> Iterator[Client]:
    from grader.client.connection import Client
    from grader.client.credentials import find_credentials

    known = find_credentials(server)
    with Client(known.server, known.token, origin=known.origin) as client:
        yield client


def _read_token() -> str:
    """Read a token: without echo from a terminal, else from standard input."""
    if not sys.stdin.isatty():
        return sys.stdin.readline()
    from getpass import getpass

    return getpass("Token: ")


def _is_student(client: Client) -> bool:
    return bool(client.whoami().get("role") == "student")


def _watch(client: Client, batch: str) -> int:
    """Show the progress of a batch until it is done, and return the exit code."""
    from grader.render.batches import BatchProgress

    with BatchProgress(Console(stderr=True), client.get_batch(batch)) as progress:
        for event in client.follow_events(batch):
            progress.update(event.kind, str(event.data.get("submission")))
    return _get_code(client.get_batch(batch), client.list_submissions(batch))


def _watch_own(client: Client, submission: str) -> Any:
    """Show each state of a submission until its grading has ended, and return it in the last state."""
    from grader.render.batches import render_state

    found: Any = None
    for found in client.follow_submission(submission):
        render_state(found, Console(stderr=True))
    return found


def _show_own(client: Client, found: Any) -> None:
    """Show the report of a submission like `grader check`, or its state if there is no report yet."""
    from grader.render.batches import render_own
    from grader.render.terminal import render_terminal
    from grader.results.report import Report

    if found["points"]:
        text = client.get_report(str(found["id"])).decode("utf-8", "replace")
        render_terminal(Report.from_json(text), Console())
    else:
        render_own([found], Console())


def _get_own_code(found: Any) -> int:
    """Return 0 if there is a report on a readable notebook; a regrade changes it once it is published."""
    return PASSED if found["points"] and not found.get("refused") else NOT_PASSED


def _get_code(about: Any, submissions: Iterable[Any]) -> int:
    """Return 0 if every submission was graded, and none is unreadable."""
    graded = about["states"].get("graded", 0) == about["submissions"]
    return PASSED if graded and not any(row.get("refused") for row in submissions) else NOT_PASSED


def _show_accepted(accepted: Any) -> None:
    from grader.render.text import sanitise_line

    if "submission" in accepted:
        kind, text = "submission", f"submission {accepted['submission']}"
    else:
        kind, text = "batch", f"batch {accepted['batch']}: {accepted['submissions']} submissions"
    known = "" if accepted["new"] else f" (submitted before; use another --title for a new {kind})"
    print(f"{sanitise_line(text)}{known}")
    for notice in accepted["notices"]:
        print("note:", sanitise_line(str(notice)))


def _to_json(values: Any) -> str:
    return json.dumps(values, ensure_ascii=False, indent=1, sort_keys=True) + "\n"
